/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whose a unit is, by what PID 1 says about it. */

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/unit.h"

/* suffix: as ".service". */
bool unit_has_type(const char *name, const char *suffix);
/* Is it the name of a service or scope, in characters that a unit's name may have? */
bool unit_name_can_be_target(const char *name);
bool unit_is_user_manager(const char *name);

/* Does the unit belong to that user, who may ask for it then? unit_uid: of its User=. */
bool unit_is_of_user(const UnitInfo *u, uid_t unit_uid, uid_t uid);
/* May a caller in own_cgroup be moved out of it into a scope? Only if the unit is nobody's service and
 * nobody's delegated subtree. */
bool unit_may_move_caller(const UnitInfo *u, const char *own_cgroup, uid_t unit_uid, uid_t uid);
/* Does it run processes of its own now, or (starting) at once? False: *ret_reason is a sentence, owned by the caller; NULL when out
 * of memory. */
bool unit_is_usable(const UnitInfo *u, bool starting, char **ret_reason);
