/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/caller/identity-unit.h"

#include <stdio.h>
#include <string.h>

#include "policy/cdm-names.h"
#include "policy/word.h"

bool unit_name_can_be_target(const char *name)
{
        return word_is_unit_name(name) &&
               (word_ends_with(name, ".service") || word_ends_with(name, ".scope"));
}

bool unit_is_user_manager(const char *unit)
{
        return strncmp(unit, "user@", 5) == 0 && word_ends_with(unit, ".service");
}

bool unit_is_of_user(const UnitInfo *u, uid_t unit_uid, uid_t uid)
{
        char slice[32];

        if (word_ends_with(u->name, ".service"))
                return !unit_is_user_manager(u->name) && unit_uid == uid;
        snprintf(slice, sizeof(slice), "user-%u.slice", uid);
        if (!u->slice || strcmp(u->slice, slice) != 0)
                return false;
        return strncmp(u->name, "session-", 8) == 0 || strncmp(u->name, CDM_SCOPE_PREFIX, 4) == 0;
}

static bool unit_is_manager_of(const char *unit, uid_t uid)
{
        char manager[40];

        snprintf(manager, sizeof(manager), "user@%u.service", uid);
        return strcmp(unit, manager) == 0;
}

/* True if the caller may be moved out of the unit into a scope of its own. A process may leave the scopes
 * and the service manager of its own user. Root may leave every unit except services with User=, and
 * delegated units that are not user managers: their limits apply to everything that runs there. No user may
 * leave the unit of another user: with the UIDs of a user namespace one user would otherwise get many
 * quotas. */
static bool unit_may_move_caller(const UnitInfo *u, uid_t unit_uid, const Caller *c)
{
        if (unit_is_user_manager(u->name))
                return c->uid == 0 || unit_is_manager_of(u->name, c->uid);
        if (u->delegate || strcmp(c->cgroup, u->cgroup) != 0)
                return false;
        if (word_ends_with(u->name, ".scope"))
                return c->uid == 0 || unit_is_of_user(u, unit_uid, c->uid);
        return c->uid == 0 && !u->user;
}

CallerPlace unit_place_caller(const UnitInfo *u, uid_t unit_uid, const Caller *c)
{
        if (c->scope && c->only_uid && unit_may_move_caller(u, unit_uid, c))
                return CALLER_MOVE;
        if (unit_is_user_manager(u->name))
                return CALLER_REFUSED;
        return c->only_uid && unit_is_of_user(u, unit_uid, c->uid) ? CALLER_OWN : CALLER_OTHERS;
}

char *unit_advise_caller(const UnitInfo *u, const Caller *c)
{
        char *text;
        int r;

        if (!c->only_uid)
                r = asprintf(
                        &text,
                        "a process with several user IDs, such as that of a set-user-ID program, has no "
                        "unit of its own; ask from a process that has one user ID");
        else if (c->tenant)
                r = asprintf(
                        &text,
                        "the caller runs in %s, a part of %s which is not said to be for the caller; the "
                        "manager of that unit can say so (for-uid of Manager.Admit), or root can ask with "
                        "--cgroup %s",
                        c->tenant, u->name, c->tenant);
        else if (!unit_is_user_manager(u->name))
                r = asprintf(
                        &text,
                        "the caller runs in %s, which is not its own unit; use `cdmctl run` in a session "
                        "of your own or below your own service manager (`systemd-run --user`), or let "
                        "root ask with --unit %s",
                        u->name, u->name);
        else if (c->uid == 0 || unit_is_manager_of(u->name, c->uid))
                r = asprintf(&text,
                             "the caller runs below %s, whose processes have no unit of their own; use "
                             "`cdmctl run`, which starts a scope",
                             u->name);
        else
                r = asprintf(
                        &text,
                        "the caller runs below %s, which belongs to another user; use `cdmctl run` in a "
                        "session of your own or below your own service manager (`systemd-run --user`)",
                        u->name);
        return r < 0 ? NULL : text;
}

bool unit_is_usable(const UnitInfo *u, bool starting, char **ret_reason)
{
        bool runs = u->cgroup && *u->cgroup && u->active_state &&
                    (strcmp(u->active_state, "active") == 0 || strcmp(u->active_state, "reloading") == 0 ||
                     strcmp(u->active_state, "activating") == 0);
        int r = 0;

        if (!word_ends_with(u->name, ".service") && !word_ends_with(u->name, ".scope"))
                r = asprintf(ret_reason,
                             "%s is neither a service nor a scope; only those can have a reservation",
                             u->name);
        else if (strcmp(u->name, CDM_UNIT) == 0)
                r = asprintf(ret_reason, "cdmd itself cannot have a reservation");
        else if (u->load_state && strcmp(u->load_state, "loaded") != 0)
                r = asprintf(ret_reason, "there is no unit %s (systemd says: %s)", u->name, u->load_state);
        else if (!runs && !(starting && u->job_pending))
                r = asprintf(ret_reason, "%s is not running; start it first", u->name);
        if (r < 0)
                *ret_reason = NULL;
        return r == 0;
}
