/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Determines in whose name a request is made, after the caller was identified and before the request is
 * judged. */

#include "daemon/tenant/request-args.h"

typedef struct Answer Answer;
typedef struct Core Core;
typedef struct VouchSet VouchSet;

typedef struct Speaking Speaking;

/* answer->error NULL: the identity's subject now has the labels and the user that policy judges. The
 * callee may free the Speaking. */
typedef void (*speaking_done_t)(const Answer *answer, void *userdata);

/* identity and args are borrowed until done. explain: a new vouch applies to this request, but is not kept.
 * done may be called before this function returns; *ret is set first. On failure done is not called. */
int speaking_start(Core *core, VouchSet *vouches, Identity *identity, const RequestArgs *args, bool explain,
                   speaking_done_t done, void *userdata, Speaking **ret);
Speaking *speaking_free(Speaking *s);
