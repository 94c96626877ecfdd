/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The a{sv} of Request and Explain. */

#include <systemd/sd-bus.h>

#include "daemon/tenant/request-args.h"

/* Reads "sta{sv}". An unknown key, a key twice or a value of another type is refused, because ignoring it
 * would grant something else than was asked for. Negative errno with *error set; args are untouched then. */
int bus_options_read(sd_bus_message *call, bool explain, RequestArgs *args, sd_bus_error *error);

/* Likewise "a{sv}", the options of Admit. *timeout_usec: the default, kept where none is given. */
int bus_options_read_admit(sd_bus_message *call, RequestArgs *args, uint64_t *timeout_usec,
                           sd_bus_error *error);
