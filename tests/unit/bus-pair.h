/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Both ends of a connection to a bus, in one process and event loop. */

#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "tests/unit/check-main.h"

static inline sd_bus *bus_pair_end(sd_event *event, int fd, sd_bus_message_handler_t on_call)
{
        sd_bus *bus;

        ck_assert_int_ge(sd_bus_new(&bus), 0);
        ck_assert_int_ge(sd_bus_set_fd(bus, fd, fd), 0);
        if (on_call) {
                ck_assert_int_ge(sd_bus_set_server(bus, 1, (sd_id128_t){ .bytes = { 1 } }), 0);
                ck_assert_int_ge(sd_bus_add_filter(bus, NULL, on_call, NULL), 0);
        }
        ck_assert_int_ge(sd_bus_start(bus), 0);
        ck_assert_int_ge(sd_bus_attach_event(bus, event, 0), 0);
        return bus;
}

/* on_call: what the server does with each message. */
static inline void bus_pair_new(sd_event *event, sd_bus_message_handler_t on_call, sd_bus **ret_server,
                                sd_bus **ret_client)
{
        int fds[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        *ret_server = bus_pair_end(event, fds[0], on_call);
        *ret_client = bus_pair_end(event, fds[1], NULL);
}

/* Until nothing is left to do. */
static inline void bus_pair_settle(sd_event *event)
{
        int r;

        while ((r = sd_event_run(event, 0)) > 0)
                ;
        ck_assert_int_eq(r, 0);
}
