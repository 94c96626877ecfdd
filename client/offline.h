/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The machine and its configuration without a daemon: the same readers and the same decide() that cdmd runs,
 * over a ledger without reservations. Functions return 0 or an exit status, after they have told the user.
 */

#include "client/args.h"
#include "client/objects.h"
#include "policy/config.h"
#include "policy/decide.h"
#include "policy/macro.h"
#include "policy/pool.h"
#include "policy/subject.h"
#include "policy/topology.h"

typedef struct Offline {
        Topology *topology;
        Config *config;
        PoolSet *pools;
} Offline;

/* Reads below root. What is wrong with the configuration goes to stderr, a line each. */
int offline_new(const char *root, Offline **ret);
Offline *offline_free(Offline *o);
DEFINE_CLEANUP(Offline, offline_free);

/* Its pools and nodes as rows. */
int offline_objects(const Offline *o, Objects **ret);
/* The same from the daemon, or with --offline without it. */
int offline_or_bus_objects(const Args *args, Objects **ret);

/* Who would ask, and for what: --user or the caller; --unit, --cgroup, --pid or the caller's own unit. The
 * unit and slice come from the path of a cgroup, where only PID 1 really knows: good enough for a question,
 * never for a grant. Users and groups are those of the root's passwd and group files where it has them. */
int offline_subject(const Args *args, Subject **ret);

/* The request's answer. */
int offline_decide(const Offline *o, const Args *args, const char *pool, const Size *size, Decision **ret);

/* The slice and the unit that a cgroup's path names; either may be NULL. For tests. -ENOMEM. */
int offline_split_cgroup(const char *path, char **ret_slice, char **ret_unit);
/* The slice where systemd puts a service that names none: system.slice, or system-NAME.slice for an instance
 * of a template; NULL for other units. -ENOMEM. */
int offline_default_slice(const char *unit, char **ret);
