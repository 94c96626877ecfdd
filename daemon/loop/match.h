/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* sd_bus_add_match_async() for this daemon. Without an install callback sd-bus closes the connection when
 * the bus refuses the match, and cdmd exits. This logs the refusal instead. */

#include <systemd/sd-bus.h>

int match_add(sd_bus *bus, sd_bus_slot **ret_slot, const char *rule, sd_bus_message_handler_t cb,
              void *userdata);
