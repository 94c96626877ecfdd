/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pid1/unit-call.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

UnitCall *unit_call_free(UnitCall *c)
{
        if (c)
                c->free(c);
        return NULL;
}

int unit_send(UnitCall *c, const char *path, const char *interface, const char *member, gate_reply_t reply,
              void *userdata, const char *types, ...)
{
        sd_bus_message *m = NULL;
        va_list ap;
        int r;

        r = sd_bus_message_new_method_call(gate_pass_bus(c->pass), &m, SYSTEMD_NAME, path, interface,
                                           member);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        if (r >= 0)
                r = gate_send(c->pass, m, reply, userdata);
        sd_bus_message_unref(m);
        return r < 0 ? r : 0;
}

int unit_reply_error(sd_bus_message *reply)
{
        static const struct {
                const char *name;
                int error;
        } table[] = {
                { "org.freedesktop.systemd1.NoSuchUnit", -ENOENT },
                { "org.freedesktop.systemd1.NoUnitForPID", -ESRCH },
                { "org.freedesktop.systemd1.NoSuchProcess", -ESRCH },
                { "org.freedesktop.systemd1.UnitExists", -EEXIST },
                { "org.freedesktop.systemd1.LoadFailed", -EIO },
                { SD_BUS_ERROR_UNKNOWN_OBJECT, -ENOENT },
                { SD_BUS_ERROR_UNKNOWN_PROPERTY, -ENOENT },
                { SD_BUS_ERROR_UNKNOWN_INTERFACE, -ENOENT },
                { SD_BUS_ERROR_NO_REPLY, -ETIMEDOUT },
                { SD_BUS_ERROR_TIMEOUT, -ETIMEDOUT },
        };

        if (!reply)
                return -ETIMEDOUT;
        if (!sd_bus_message_is_method_error(reply, NULL))
                return 0;
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                if (sd_bus_error_has_name(e, table[i].name))
                        return table[i].error;
        return -sd_bus_error_get_errno(e);
}

int unit_path(const char *name, char **ret)
{
        return sd_bus_path_encode(SYSTEMD_UNIT_PATH, name, ret);
}

const char *unit_cgroup_interface(const char *name)
{
        static const char *const table[][2] = {
                { ".service", "org.freedesktop.systemd1.Service" },
                { ".scope", "org.freedesktop.systemd1.Scope" },
                { ".slice", "org.freedesktop.systemd1.Slice" },
                { ".socket", "org.freedesktop.systemd1.Socket" },
                { ".mount", "org.freedesktop.systemd1.Mount" },
                { ".swap", "org.freedesktop.systemd1.Swap" },
        };
        const char *dot = strrchr(name, '.');

        for (size_t i = 0; dot && i < ARRAY_SIZE(table); i++)
                if (strcmp(dot, table[i][0]) == 0)
                        return table[i][1];
        return NULL;
}

bool unit_has_cgroup(const char *name)
{
        return unit_cgroup_interface(name) != NULL;
}
