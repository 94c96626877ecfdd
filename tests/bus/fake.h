/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the made-up services of the bus tests have in common. */

#include <systemd/sd-bus.h>

/* Takes the name on the system bus, prints "ready", and has every message looked at by on_message until the
 * bus goes away. Returns main()'s exit status, always a failure: they are killed. */
int fake_serve(const char *name, sd_bus_message_handler_t on_message, void *userdata);
