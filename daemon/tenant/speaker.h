/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Determines in whose name a request is made, after the caller was identified and before the request is
 * judged. */

#include "daemon/loop/answer.h"
#include "daemon/tenant/request-args.h"

typedef struct Core Core;
typedef struct VouchSet VouchSet;

typedef struct Speaking Speaking;

/* identity and args are borrowed until done. explain: a new vouch applies to this request, but is not kept.
 * done: without an error the identity's subject has the labels and the user that policy judges. done may be
 * called before this function returns; *ret is set first. done may free the Speaking. On failure done is not
 * called. */
int speaking_start(Core *core, VouchSet *vouches, Identity *identity, const RequestArgs *args, bool explain,
                   answer_done_t done, void *userdata, Speaking **ret);
Speaking *speaking_free(Speaking *s);
