/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads the arguments and options of Request, Explain and Admit. */

#include <systemd/sd-bus.h>

#include "daemon/tenant/request-args.h"

/* Reads "sta{sv}". An unknown key, a repeated key and a value of another type are refused: if they were
 * ignored, the grant would not be what the client requested. On failure returns a negative errno and leaves
 * args untouched; a refusal also sets *error. */
int bus_options_read(sd_bus_message *call, bool explain, RequestArgs *args, sd_bus_error *error);

/* The same for "a{sv}", the options of Admit. On entry *timeout_usec is the default; it is unchanged if the
 * option is missing. */
int bus_options_read_admit(sd_bus_message *call, RequestArgs *args, uint64_t *timeout_usec,
                           sd_bus_error *error);
