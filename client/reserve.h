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

/* Requests and, with --queue, waits until it is granted. scope: as `run` does. */
int reserve(sd_bus *bus, const Args *args, bool scope, char **ret_path);

/* No container can be named yet. 0, or CDM_EXIT_FAILED after it said so. */
int reserve_check_target(const Args *args);
