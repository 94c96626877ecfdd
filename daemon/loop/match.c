/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/loop/log.h"
#include "daemon/loop/match.h"

/* userdata belongs to the callback of the match, and is not used here. */
static int match_on_installed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (e)
                log_error("the bus refused a match (%s), so cdmd will miss some changes: %s", e->name,
                          e->message ? e->message : "no reason given");
        return 0;
}

int match_add(sd_bus *bus, sd_bus_slot **ret_slot, const char *rule, sd_bus_message_handler_t cb,
              void *userdata)
{
        return sd_bus_add_match_async(bus, ret_slot, rule, cb, match_on_installed, userdata);
}
