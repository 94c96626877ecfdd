/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/no-daemon.h"
#include "policy/cdm-names.h"

/* Other errors are CDM_EXIT_NO_DAEMON if is_no_daemon(), else CDM_EXIT_FAILED. */
static const struct {
        const char *name;
        int status;
} error_table[] = {
        { CDM_ERROR_DENIED, CDM_EXIT_DENIED },
        { CDM_ERROR_FULL, CDM_EXIT_FULL },
        { CDM_ERROR_TIMEOUT, CDM_EXIT_TIMEOUT },
        { SD_BUS_ERROR_ACCESS_DENIED, CDM_EXIT_DENIED },
        { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, CDM_EXIT_DENIED },
};

int client_exit_status(const sd_bus_error *error, int r)
{
        /* sd-bus names its own errors after errno. The switch below handles those of the connection. */
        if (error && error->name && strncmp(error->name, "System.Error.", strlen("System.Error.")) != 0) {
                for (size_t i = 0; i < ARRAY_SIZE(error_table); i++)
                        if (strcmp(error_table[i].name, error->name) == 0)
                                return error_table[i].status;
                return is_no_daemon(error->name) ? CDM_EXIT_NO_DAEMON : CDM_EXIT_FAILED;
        }

        switch (-r) {
        case ECONNRESET:
        case ENOTCONN:
        case EPIPE:
        case ECONNREFUSED:
        case ETIMEDOUT:
                return CDM_EXIT_NO_DAEMON;
        default:
                return CDM_EXIT_FAILED;
        }
}

int client_fail(const sd_bus_error *error, int r)
{
        int status = client_exit_status(error, r);
        const char *reason = error && error->message ? error->message : strerror(-r);

        if (status == CDM_EXIT_NO_DAEMON)
                return fail(status,
                            "cdmd cannot be reached: %s\n"
                            "see `systemctl status %s`; `systemctl enable --now %s` starts it%s",
                            reason, CDM_UNIT, CDM_UNIT, tell_offline_hint());
        return fail(status, "%s", reason);
}

int client_garbled(int r)
{
        return fail(CDM_EXIT_FAILED, "cdmd's answer cannot be read (%s): is it of another version?",
                    strerror(-r));
}

int client_open(sd_bus **ret)
{
        sd_bus *bus = NULL;

        int r = sd_bus_open_system_with_description(&bus, "cdmctl");
        if (r < 0)
                return fail(CDM_EXIT_NO_DAEMON,
                            "cdmd cannot be reached: there is no system bus (%s)\n"
                            "start dbus%s",
                            strerror(-r), tell_offline_hint());
        *ret = bus;
        return 0;
}

int client_send(sd_bus *bus, sd_bus_message *m, sd_bus_message **ret_reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        /* A script must get an answer instead of a password prompt. */
        int r = sd_bus_message_set_allow_interactive_authorization(m, isatty(STDIN_FILENO));
        if (r >= 0)
                r = sd_bus_call(bus, m, UINT64_MAX, &error, ret_reply);
        return r < 0 ? client_fail(&error, r) : 0;
}

int client_call(sd_bus *bus, const char *path, const char *interface, const char *member,
                sd_bus_message **ret_reply, const char *types, ...)
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;

        int r = sd_bus_message_new_method_call(bus, &m, CDM_BUS_NAME, path, interface, member);
        if (r >= 0 && *types) {
                va_list ap;

                va_start(ap, types);
                r = sd_bus_message_appendv(m, types, ap);
                va_end(ap);
        }
        if (r < 0)
                return client_fail(NULL, r);
        return client_send(bus, m, ret_reply);
}

int client_watch_daemon(sd_bus *bus, sd_bus_message_handler_t handler, void *userdata)
{
        return sd_bus_add_match_async(bus, NULL,
                                      "type='signal',sender='org.freedesktop.DBus',"
                                      "path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
                                      "member='NameOwnerChanged',arg0='" CDM_BUS_NAME "'",
                                      handler, NULL, userdata);
}

int client_reservation_path(sd_bus *bus, uint32_t id, char **ret_path)
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *reply = NULL;
        const char *path;

        int status = client_call(bus, CDM_PATH, CDM_INTERFACE_MANAGER, "GetReservation", &reply, "u", id);
        if (status != 0)
                return status;

        int r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return client_garbled(r);

        *ret_path = strdup(path);
        return *ret_path ? 0 : fail(CDM_EXIT_FAILED, "out of memory");
}

uint32_t client_path_to_id(const char *path)
{
        size_t n = strlen(CDM_PATH_RESERVATION "/");
        char *end;

        if (strncmp(path, CDM_PATH_RESERVATION "/", n) != 0)
                return 0;
        unsigned long id = strtoul(path + n, &end, 10);
        return *end == '\0' && id <= UINT32_MAX ? (uint32_t)id : 0;
}
