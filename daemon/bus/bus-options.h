/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The a{sv} of Request and Explain. */

#include <systemd/sd-bus.h>

#include "daemon/tenant/manager.h"
#include "daemon/tenant/request-args.h"

/* A label that cannot be one. */
typedef struct BadLabel {
        char *key; /* NULL: there is none; owned by the caller */
        const char *reason;
} BadLabel;

/* Reads "a{ss}". */
int bus_options_read_labels(sd_bus_message *m, Labels *labels, BadLabel *bad);

/* Reads "sta{sv}". An unknown key, a key twice or a value of another type is refused, because ignoring it
 * would grant something else than was asked for. Negative errno with *error set; args are untouched then. */
int bus_options_read(sd_bus_message *call, bool explain, RequestArgs *args, sd_bus_error *error);
