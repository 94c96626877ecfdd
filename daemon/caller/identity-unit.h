/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whose a unit is, by what PID 1 says about it. */

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/pid1/unit.h"

/* Is it the name of a service or scope, in characters that a unit's name may have? */
bool unit_name_can_be_target(const char *name);
bool unit_is_user_manager(const char *name);

/* Does the unit belong to that user, who may ask for it then? unit_uid: of its User=. */
bool unit_is_of_user(const UnitInfo *u, uid_t unit_uid, uid_t uid);
/* The process that asks for itself. */
typedef struct Caller {
        uid_t uid;          /* the EUID that the bus vouches for */
        bool only_uid;      /* all UIDs of the process are that one */
        bool scope;         /* it asks to be moved into a scope of its own */
        const char *cgroup; /* where it is: the unit's cgroup, or below */
        const char *tenant; /* a tenant below the unit, in which it is; NULL: the unit is the tenant */
} Caller;

/* What a caller gets that names no target. */
typedef enum CallerPlace {
        CALLER_OWN,    /* the unit, which is the caller's own */
        CALLER_MOVE,   /* a new scope */
        CALLER_OTHERS, /* the unit, as a request for others */
        CALLER_REFUSED,
} CallerPlace;

CallerPlace unit_place_caller(const UnitInfo *u, uid_t unit_uid, const Caller *c);
/* For CALLER_OTHERS and CALLER_REFUSED: a sentence that says why, and how to ask instead; owned by the
 * caller. NULL: out of memory. */
char *unit_advise_caller(const UnitInfo *u, const Caller *c);
/* Does it run processes of its own now, or (starting) at once? False: *ret_reason is a sentence, owned by
 * the caller; NULL when out of memory. */
bool unit_is_usable(const UnitInfo *u, bool starting, char **ret_reason);
