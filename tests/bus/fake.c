/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bus/fake.h"

#include <stdio.h>
#include <stdlib.h>

int fake_serve(const char *name, sd_bus_message_handler_t on_message, void *userdata)
{
        sd_bus *bus;
        int r;

        if (sd_bus_open_system(&bus) < 0 || sd_bus_add_filter(bus, NULL, on_message, userdata) < 0 ||
            sd_bus_request_name(bus, name, 0) < 0)
                return EXIT_FAILURE;
        puts("ready");
        fflush(stdout);
        do {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        } while (r >= 0);
        return EXIT_FAILURE;
}
