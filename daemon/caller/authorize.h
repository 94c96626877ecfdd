/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asynchronous authorization by polkit. It fails closed: every answer except a clear yes is a denial. Root
 * is not checked. If polkit is not on the bus, the table of defaults decides.
 *
 * The answer may take minutes, because a user types a password. The caller must check again everything that
 * it had established before. */

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/loop/answer.h"
#include "policy/macro.h"

typedef enum AuthorizeAction {
        AUTHORIZE_REQUEST,            /* for the caller's own unit */
        AUTHORIZE_REQUEST_FOR_OTHERS, /* for any other unit */
        AUTHORIZE_REQUEST_AS,         /* for another user, for nobody, or with labels; and Admit */
        AUTHORIZE_RELEASE_OTHERS,     /* every method of another user's reservation */
        AUTHORIZE_MANAGE,             /* Reload, DrainNode, UndrainNode, ReserveStatic */
        _AUTHORIZE_ACTION_MAX,
} AuthorizeAction;

typedef struct Authorizer Authorizer;
typedef struct Authorize Authorize;

/* The questions of all callers. The number of open questions is limited, and users are served
 * round-robin. */
int authorizer_new(sd_bus *bus, sd_event *event, Authorizer **ret);
/* Every Authorize must have been freed first. */
Authorizer *authorizer_free(Authorizer *z);
DEFINE_CLEANUP(Authorizer, authorizer_free);

bool authorize_is_needed(AuthorizeAction action, uid_t uid);

/* Asks polkit about the connection `sender`, which belongs to uid. interactive: polkit may open a password
 * dialog. done is called after a few minutes at most, and may free the Authorize. A denial is
 * CDM_ERROR_DENIED. */
int authorize_start(Authorizer *z, const char *sender, bool interactive, uid_t uid, AuthorizeAction action,
                    answer_done_t done, void *userdata, Authorize **ret);
/* Cancels the question; polkit closes its dialog. */
Authorize *authorize_free(Authorize *a);
DEFINE_CLEANUP(Authorize, authorize_free);
