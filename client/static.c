/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl static: reserves what Static= rules say for a unit that is about to start. systemd runs it (see
 * cdm-policy(5)) as cdmd-static@UNIT.service, whose output also appears in the journal of UNIT. */

#include <stdio.h>
#include <unistd.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "policy/cdm-names.h"

/* Retry, because cdmd may be restarted while a unit starts. A retry finds reservations that were made
 * before. */
#define ATTEMPTS_MAX 3

static int static_tell(sd_bus_message *reply)
{
        const char *path;

        int r = sd_bus_message_enter_container(reply, 'a', "o");
        while (r >= 0 && (r = sd_bus_message_read(reply, "o", &path)) > 0)
                printf("reservation %u is granted\n", client_path_to_id(path));
        return r < 0 ? client_garbled(r) : CDM_EXIT_DONE;
}

static int reserve_static(const char *unit)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *reply = NULL;

        int status = client_open(&bus);
        if (status == 0)
                status = client_call(bus, CDM_PATH, CDM_INTERFACE_MANAGER, "ReserveStatic", &reply, "s",
                                     unit);
        return status == 0 ? static_tell(reply) : status;
}

int verb_static(const Args *args)
{
        const char *unit = args->positional[0];
        int status = CDM_EXIT_NO_DAEMON;

        for (int i = 0; i < ATTEMPTS_MAX && status == CDM_EXIT_NO_DAEMON; i++) {
                if (i > 0)
                        sleep(1);
                status = reserve_static(unit);
        }
        if (status != CDM_EXIT_DONE)
                note("%s gets no CDM memory, and is kept off the CDM nodes", unit);
        return status;
}
