/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/unit-call.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "policy/macro.h"

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
