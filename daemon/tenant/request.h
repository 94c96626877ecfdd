/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A request, until it is granted, waits or is refused. */

#include <stdbool.h>

#include "daemon/tenant/request-args.h"
#include "policy/decide.h"

typedef struct Answer Answer;
typedef struct Book Book;
typedef struct GrantSet GrantSet;
typedef struct MachineFacts MachineFacts;
typedef struct RequestSet RequestSet;
typedef struct VouchSet VouchSet;

int requests_new(Book *book, MachineFacts *facts, VouchSet *vouches, GrantSet *grants, RequestSet **ret);
RequestSet *requests_free(RequestSet *s);

typedef struct RequestResult {
        uint32_t id;              /* Request: the new reservation */
        const Decision *decision; /* Explain */
} RequestResult;
typedef void (*request_done_t)(const Answer *answer, const RequestResult *result, void *userdata);
/* Takes what args own. done is called once when this returns 0, perhaps at once. A client that has left
 * the bus is answered as well, with CDM_ERROR_STALE. */
int requests_add(RequestSet *s, RequestArgs *args, bool explain, request_done_t done, void *userdata);
/* Recovery is over: those that wait go on. */
void requests_serve(RequestSet *s);

/* The error for a target that cannot have what was asked; NULL: IDENTITY_OK. */
const char *request_identity_error(IdentityVerdict v);
