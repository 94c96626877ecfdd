/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Determines the owner of a unit from what PID 1 reports about it. */

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/pid1/unit.h"

/* True if this is the name of a service or scope, with only the characters that are valid in unit names. */
bool unit_name_can_be_target(const char *name);
bool unit_is_user_manager(const char *name);

/* True if the unit belongs to uid, so that this user may ask for it. unit_uid: the UID of its User=. */
bool unit_is_of_user(const UnitInfo *u, uid_t unit_uid, uid_t uid);
/* A process that makes a request for itself. */
typedef struct Caller {
        uid_t uid;          /* the EUID recorded by the bus driver */
        bool only_uid;      /* all UIDs of the process equal uid */
        bool scope;         /* the process asks to be moved into a new scope */
        const char *cgroup; /* cgroup of the process: the unit's, or one below */
        const char *tenant; /* the subtenant that contains the process; NULL: the unit is the tenant */
} Caller;

/* The target of a caller that names none. */
typedef enum CallerPlace {
        CALLER_OWN,    /* the unit, which belongs to the caller */
        CALLER_MOVE,   /* a new scope */
        CALLER_OTHERS, /* the unit, as a request for others */
        CALLER_REFUSED,
} CallerPlace;

CallerPlace unit_place_caller(const UnitInfo *u, uid_t unit_uid, const Caller *c);
/* For CALLER_OTHERS and CALLER_REFUSED: returns a sentence with the reason and an alternative, to be freed
 * by the caller. NULL: out of memory. */
char *unit_advise_caller(const UnitInfo *u, const Caller *c);
/* True if the unit can have a reservation: it is running or, with `starting`, has a pending job. Otherwise
 * *ret_reason is a sentence, to be freed by the caller; NULL when out of memory. */
bool unit_is_usable(const UnitInfo *u, bool starting, char **ret_reason);
