/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Handles a request until it is granted, queued or refused. */

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
/* Takes ownership of the contents of args, also on failure. If this returns 0, done is called once, perhaps
 * before the return. If the client disconnects before the grant starts, done gets CDM_ERROR_STALE. */
int requests_add(RequestSet *s, RequestArgs *args, bool explain, request_done_t done, void *userdata);
/* Must be called when the recovery is over: starts the requests that arrived meanwhile. */
void requests_serve(RequestSet *s);

/* The D-Bus error name for a failed identity lookup; NULL for IDENTITY_OK. */
const char *request_identity_error(IdentityVerdict v);
