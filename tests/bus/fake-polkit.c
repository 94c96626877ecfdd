/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A polkit with one answer: fake-polkit yes|no|hang. Prints "ready" when it owns its name, and "asked
 * ACTION" for every question. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "tests/bus/fake.h"

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *mode = userdata, *action;

        if (!sd_bus_message_is_method_call(m, "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization"))
                return 0;
        if (sd_bus_message_skip(m, "(sa{sv})") < 0 || sd_bus_message_read(m, "s", &action) < 0)
                return -EINVAL;
        printf("asked %s\n", action);
        fflush(stdout);
        if (strcmp(mode, "hang") == 0)
                return 1;
        return sd_bus_reply_method_return(m, "(bba{ss})", strcmp(mode, "yes") == 0, 0, 0) < 0 ? -EIO : 1;
}

int main(int argc, char **argv)
{
        return argc == 2 ? fake_serve("org.freedesktop.PolicyKit1", on_message, argv[1]) : EXIT_FAILURE;
}
