/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints what the daemon's bus objects say of themselves, as introspection XML, for tests/check-bus-doc. No
 * bus, no daemon and no machine are needed: the vtables are put on one end of a socket pair and asked for
 * from the other. Introspection reads only their shape, so no getter is called. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "daemon/bus/bus-internal.h"
#include "policy/cdm-names.h"

static const struct {
        const char *interface;
        const sd_bus_vtable *vtable;
} objects[] = {
        { CDM_INTERFACE_MANAGER, bus_manager_vtable },
        { CDM_INTERFACE_RESERVATION, bus_reservation_vtable },
        { CDM_INTERFACE_POOL, bus_pool_vtable },
        { CDM_INTERFACE_NODE, bus_node_vtable },
};

static void check(int r, const char *what)
{
        if (r >= 0)
                return;
        fprintf(stderr, "bus-introspect: %s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

static sd_bus *new_bus(int fd, bool server)
{
        sd_id128_t id = SD_ID128_NULL;
        sd_bus *bus;

        check(sd_bus_new(&bus), "new");
        check(sd_bus_set_fd(bus, fd, fd), "set fd");
        if (server) {
                check(sd_id128_randomize(&id), "id");
                check(sd_bus_set_server(bus, true, id), "server");
        }
        check(sd_bus_set_anonymous(bus, true), "anonymous");
        check(sd_bus_start(bus), "start");
        return bus;
}

static int print_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const char *xml;
        bool *done = userdata;

        check(-sd_bus_message_get_errno(reply), "Introspect");
        check(sd_bus_message_read(reply, "s", &xml), "read");
        puts(xml);
        *done = true;
        return 0;
}

int main(void)
{
        int fds[2];
        bool done = false;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
                perror("socketpair");
                return EXIT_FAILURE;
        }
        sd_bus *server = new_bus(fds[0], true), *client = new_bus(fds[1], false);
        for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
                check(sd_bus_add_object_vtable(server, NULL, CDM_PATH, objects[i].interface,
                                               objects[i].vtable, NULL),
                      objects[i].interface);

        check(sd_bus_call_method_async(client, NULL, NULL, CDM_PATH, "org.freedesktop.DBus.Introspectable",
                                       "Introspect", print_reply, &done, NULL),
              "call");
        while (!done) {
                check(sd_bus_process(server, NULL), "server");
                check(sd_bus_process(client, NULL), "client");
        }
        sd_bus_unref(client);
        sd_bus_unref(server);
        return EXIT_SUCCESS;
}
