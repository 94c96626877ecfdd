/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* In whose name a request is made: between the look at who asks and the judgement. */

#include "daemon/tenant/request-args.h"

typedef struct Answer Answer;
typedef struct Core Core;
typedef struct VouchSet VouchSet;

typedef struct Speaking Speaking;

/* answer.error NULL: the identity's subject has the labels and the user under which the request is judged. The
 * Speaking may be freed there. */
typedef void (*speaking_done_t)(const Answer *answer, void *userdata);

/* identity and args stay the caller's until done. explain: nothing that is said is kept. done may be called before
 * this returns; *ret is set by then. On failure done is not called. */
int speaking_start(Core *core, VouchSet *vouches, Identity *identity, const RequestArgs *args, bool explain,
                   speaking_done_t done, void *userdata, Speaking **ret);
Speaking *speaking_free(Speaking *s);
