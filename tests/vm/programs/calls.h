/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls of cdmd and of PID 1 for programs that measure them. Whatever fails ends the program. */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <systemd/sd-bus.h>

#include "tests/vm/programs/pairs.h"

#define MANAGER "org.cdmd1", "/org/cdmd1", "org.cdmd1.Manager"
#define SYSTEMD "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
#define MIB     (UINT64_C(1) << 20)

static sd_bus *bus;

static inline void must(const char *what, int r, const sd_bus_error *error)
{
        if (r >= 0)
                return;
        fprintf(stderr, "%s: %s\n", what, error && error->message ? error->message : strerror(-r));
        exit(EXIT_FAILURE);
}

static char removed[64]; /* the last object that cdmd said is gone */

static inline int on_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *path;

        if (sd_bus_message_read(m, "o", &path) >= 0)
                snprintf(removed, sizeof(removed), "%s", path);
        return 0;
}

static inline void connect_bus(void)
{
        must("bus", sd_bus_open_system(&bus), NULL);
        /* A bare change of a process with many threads takes PID 1 minutes on old kernels. */
        must("bus", sd_bus_set_method_call_timeout(bus, UINT64_C(600) * 1000 * 1000), NULL);
        must("match",
             sd_bus_match_signal(bus, NULL, "org.cdmd1", "/org/cdmd1", "org.freedesktop.DBus.ObjectManager",
                                 "InterfacesRemoved", on_removed, NULL),
             NULL);
}

/* Returns the id. node: on this one, with its pages moved there; NULL: on any. */
static inline uint32_t request(const char *unit, uint64_t bytes, const char *node)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const char *path = NULL;
        int r;

        if (!node)
                r = sd_bus_call_method(bus, MANAGER, "Request", &error, &reply, "sta{sv}", "hbm", bytes, 1,
                                       "unit", "s", unit);
        else
                r = sd_bus_call_method(bus, MANAGER, "Request", &error, &reply, "sta{sv}", "hbm", bytes, 3,
                                       "unit", "s", unit, "migrate", "b", true, "nodes", "s", node);
        must("Request", r, &error);
        must("Request", sd_bus_message_read(reply, "o", &path), NULL);
        uint32_t id = (uint32_t)strtoul(strrchr(path, '/') + 1, NULL, 10);
        sd_bus_message_unref(reply);
        return id;
}

/* Until nothing is left of it, which cdmd says: who asks again and again slows down what he waits for. */
static inline void release(uint32_t id)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char path[64];

        snprintf(path, sizeof(path), "/org/cdmd1/reservation/%" PRIu32, id);
        must("Release",
             sd_bus_call_method(bus, "org.cdmd1", path, "org.cdmd1.Reservation", "Release", &error, NULL,
                                ""),
             &error);
        while (strcmp(removed, path) != 0) {
                int r = sd_bus_process(bus, NULL);

                must("bus", r, NULL);
                if (r == 0)
                        must("bus", sd_bus_wait(bus, UINT64_MAX), NULL);
        }
}

static inline void set_nodes(const char *unit, uint8_t nodes)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        must("SetUnitProperties",
             sd_bus_call_method(bus, SYSTEMD, "SetUnitProperties", &error, NULL, "sba(sv)", unit, true, 1,
                                "AllowedMemoryNodes", "ay", 1, nodes),
             &error);
}
