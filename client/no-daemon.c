/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/no-daemon.h"

#include <string.h>
#include <systemd/sd-bus.h>

#include "policy/macro.h"

/* A name that ends in '.' stands for all names that begin with it. */
static const char *const names[] = {
        SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER, SD_BUS_ERROR_NO_SERVER,
        SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_DISCONNECTED, SD_BUS_ERROR_TIMEOUT,
        "org.freedesktop.DBus.Error.TimedOut",
        /* Activation failed: cdmd.service is disabled (its alias does not exist), masked or broken. */
        "org.freedesktop.DBus.Error.Spawn.", "org.freedesktop.systemd1.",
        SD_BUS_ERROR_FILE_EXISTS, /* masked, but its alias exists (systemd 257) */
};

bool is_no_daemon(const char *error_name)
{
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                size_t n = strlen(names[i]);

                if (names[i][n - 1] == '.' ? strncmp(error_name, names[i], n) == 0
                                           : strcmp(error_name, names[i]) == 0)
                        return true;
        }
        return false;
}
