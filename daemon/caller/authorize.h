/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Authorization by polkit, asynchronously. Every answer but a clear yes is a no. Root needs no polkit. Where
 * polkit is not on the bus at all, the table of defaults decides.
 *
 * The answer may come after minutes (a person types a password), so the caller has to establish again what
 * it knew before it asked. */

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "policy/macro.h"

typedef enum AuthorizeAction {
        AUTHORIZE_REQUEST,            /* for the caller's own unit */
        AUTHORIZE_REQUEST_FOR_OTHERS, /* for any other */
        AUTHORIZE_REQUEST_AS,         /* for another user, or for nobody */
        AUTHORIZE_RELEASE_OTHERS,     /* another user's reservation: release, renew, migrate */
        AUTHORIZE_MANAGE,             /* reload */
        _AUTHORIZE_ACTION_MAX,
} AuthorizeAction;

const char *authorize_action_to_string(AuthorizeAction v);

typedef struct Authorizer Authorizer;
typedef struct Authorize Authorize;

/* The questions of all callers. Few are open at a time, and users are served in turn. */
int authorizer_new(sd_bus *bus, sd_event *event, Authorizer **ret);
/* Each Authorize must have been freed before. */
Authorizer *authorizer_free(Authorizer *z);
DEFINE_CLEANUP(Authorizer, authorizer_free);

/* message: the reason of a denial; NULL when allowed. The Authorize may be freed from within the callback.
 */
typedef void (*authorize_done_t)(bool allowed, const char *message, void *userdata);

bool authorize_is_needed(AuthorizeAction action, uid_t uid);

/* Asks polkit about the sender of m, whose user id is uid, with a password dialog if m allows interactive
 * authorisation. done is called from the event loop, after some minutes at most. */
int authorize_start(Authorizer *z, const char *sender, bool interactive, uid_t uid, AuthorizeAction action,
                    authorize_done_t done, void *userdata, Authorize **ret);
/* Cancels the question; polkit is told to close its dialog. */
Authorize *authorize_free(Authorize *a);
DEFINE_CLEANUP(Authorize, authorize_free);
