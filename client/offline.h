/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The machine and its configuration without a daemon: the same readers and the same decide() as in cdmd,
 * with a ledger without reservations. Functions return 0, or an exit status after they have printed the
 * error. */

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

/* Reads below root. Prints the errors and warnings of the configuration to stderr, one per line. */
int offline_new(const char *root, Offline **ret);
Offline *offline_free(Offline *o);
DEFINE_CLEANUP(Offline, offline_free);

/* Returns the pools and nodes as Objects. */
int offline_objects(const Offline *o, Objects **ret);
/* The same from the daemon, or with --offline without a daemon. */
int offline_or_bus_objects(const Args *args, Objects **ret);

/* Finds the user (--user or the caller) and the target (--unit, --cgroup, --pid or the caller's own unit).
 * Unit and slice are guessed from the path of a cgroup, although only PID 1 knows them: good enough for a
 * question, never for a grant. Users and groups come from the passwd and group files below the root, if it
 * has them. */
int offline_subject(const Args *args, Subject **ret);

/* Decides the request. */
int offline_decide(const Offline *o, const Args *args, const char *pool, const Size *size, Decision **ret);

/* The slice and the unit that a cgroup's path names; either may be NULL. For tests. -ENOMEM. */
int offline_split_cgroup(const char *path, char **ret_slice, char **ret_unit);
/* The slice where systemd puts a service that names none: system.slice, or system-NAME.slice for an instance
 * of a template; NULL for other units. -ENOMEM. */
int offline_default_slice(const char *unit, char **ret);
