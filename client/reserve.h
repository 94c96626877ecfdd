/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asking for a reservation: what request, run and explain have in common. Functions return 0 or an exit
 * status, after they have told the user. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "client/args.h"

/* A call of Manager.Request or Manager.Explain with all options that were given; a percentage is resolved
 * with the pool's size first. Without a target, cdmctl's own pidfd tells which unit is meant. */
int reserve_message(sd_bus *bus, const char *member, const Args *args, bool scope, sd_bus_message **ret);

/* 0 or an exit status. */
int reserve_read_pool_size(sd_bus *bus, const char *pool, uint64_t *ret_bytes);

/* Requests, and waits until it is granted where it has to wait. scope: as `run` does. */
int reserve(sd_bus *bus, const Args *args, bool scope, char **ret_path);

/* A copy of args in which --container has become the control group that it has now. *ret_cgroup owns that
 * path, and outlives the copy; NULL where no container was named. */
int reserve_resolve(const Args *args, Args *ret_args, char **ret_cgroup);
