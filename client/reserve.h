/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Requests for a reservation: what request, run and explain have in common. Functions return 0, or an exit
 * status after they have printed the error. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "client/args.h"

/* Makes a call of Manager.Request or Manager.Explain with all given options. A percentage is resolved first,
 * with the pool's size. Without a target, cdmctl's own pidfd identifies the unit. */
int reserve_message(sd_bus *bus, const char *member, const Args *args, bool scope, sd_bus_message **ret);

/* 0 or an exit status. */
int reserve_read_pool_size(sd_bus *bus, const char *pool, uint64_t *ret_bytes);

/* Sends the request, and waits until it is granted. scope: ask for a scope, as `run` does. */
int reserve(sd_bus *bus, const Args *args, bool scope, char **ret_path);

/* Copies args, and replaces --container by the container's cgroup. *ret_cgroup owns that path, and must
 * outlive the copy; NULL if no container was named. */
int reserve_resolve(const Args *args, Args *ret_args, char **ret_cgroup);
