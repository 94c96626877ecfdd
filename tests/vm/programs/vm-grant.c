/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-grant UNIT OTHER NODES COUNT: how long does a grant take, compared with what it cannot avoid? In turn
 * Request for UNIT, until it is answered, and SetUnitProperties(AllowedMemoryNodes) of OTHER to NODES (a bit
 * mask), which `Exempt=` keeps away from cdmd. Both come after a pause, on one connection. Prints a line
 * (pairs.h). */

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

static void check(const char *what, int r, const sd_bus_error *error)
{
        if (r >= 0)
                return;
        fprintf(stderr, "vm-grant: %s: %s\n", what, error->message ? error->message : strerror(-r));
        exit(EXIT_FAILURE);
}

/* Until nothing is left of it, since the next one is to find what this one found. */
static void release(const char *path)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        uint32_t id = (uint32_t)strtoul(strrchr(path, '/') + 1, NULL, 10);
        int r = sd_bus_call_method(bus, "org.cdmd1", path, "org.cdmd1.Reservation", "Release", &error, NULL,
                                   "");

        check("Release", r, &error);
        while (r >= 0) {
                usleep(20 * 1000);
                r = sd_bus_call_method(bus, MANAGER, "GetReservation", NULL, &reply, "u", id);
                reply = sd_bus_message_unref(reply);
        }
}

static double grant(const char *unit)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const char *path;
        double begin = now_ms();
        int r = sd_bus_call_method(bus, MANAGER, "Request", &error, &reply, "sta{sv}", "hbm", 16 * MIB, 1,
                                   "unit", "s", unit);
        double took = now_ms() - begin;

        check("Request", r, &error);
        check("Request", sd_bus_message_read(reply, "o", &path), &error);
        release(path);
        sd_bus_message_unref(reply);
        return took;
}

static double set(const char *unit, uint8_t nodes)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        double begin = now_ms();

        check("SetUnitProperties",
              sd_bus_call_method(bus, SYSTEMD, "SetUnitProperties", &error, NULL, "sba(sv)", unit, true, 1,
                                 "AllowedMemoryNodes", "ay", 1, nodes),
              &error);
        return now_ms() - begin;
}

int main(int argc, char **argv)
{
        size_t n = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;

        if (n == 0) {
                fprintf(stderr, "usage: vm-grant UNIT OTHER NODES COUNT\n");
                return 2;
        }
        uint8_t nodes = (uint8_t)strtoul(argv[3], NULL, 0);
        Pair *pairs = calloc(n, sizeof(*pairs));
        if (!pairs || sd_bus_open_system(&bus) < 0) {
                perror("vm-grant");
                return 1;
        }
        (void)grant(argv[1]);
        for (size_t i = 0; i < n; i++) {
                usleep(200 * 1000);
                pairs[i].reference_ms = set(argv[2], nodes);
                (void)set(argv[2], 3);
                usleep(200 * 1000);
                pairs[i].ours_ms = grant(argv[1]);
        }
        return pairs_print("Request", pairs, n) < 0;
}
