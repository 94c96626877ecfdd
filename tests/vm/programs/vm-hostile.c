/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-hostile request UNIT CONNECTIONS | vm-hostile reload CONNECTIONS: sends cdmd 120 calls on each of so
 * many connections, without waiting for answers. Says "ready" when cdmd has read them all, and at the end
 * "OK REFUSED LAST-ERROR" with the numbers of calls that were answered so. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define EACH      120 /* the bus allows 128 */
#define BUSES_MAX 64

static unsigned n_ok, n_refused;
static char last_error[512] = "-";

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (e) {
                n_refused++;
                snprintf(last_error, sizeof(last_error), "%s: %s", e->name, e->message ? e->message : "");
        } else
                n_ok++;
        return 0;
}

static void check(int r, const char *what)
{
        if (r >= 0)
                return;
        fprintf(stderr, "vm-hostile: %s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

static void send_call(sd_bus *bus, const char *unit)
{
        sd_bus_message *m = NULL;

        check(sd_bus_message_new_method_call(bus, &m, "org.cdmd1", "/org/cdmd1", "org.cdmd1.Manager",
                                             unit ? "Request" : "Reload"),
              "call");
        if (unit)
                check(sd_bus_message_append(m, "sta{sv}", "hbm", UINT64_C(1) << 20, 1, "unit", "s", unit),
                      "arguments");
        check(sd_bus_call_async(bus, NULL, m, on_reply, NULL, UINT64_C(300) * 1000 * 1000), "send");
        sd_bus_message_unref(m);
}

int main(int argc, char **argv)
{
        sd_bus *bus[BUSES_MAX];
        size_t n = argc > 2 ? strtoul(argv[argc - 1], NULL, 10) : 0;
        const char *unit = argc > 3 ? argv[2] : NULL;

        if (n == 0 || n > BUSES_MAX)
                return EXIT_FAILURE;
        for (size_t b = 0; b < n; b++) {
                check(sd_bus_open_system(&bus[b]), "connect");
                for (int i = 0; i < EACH; i++)
                        send_call(bus[b], unit);
                check(sd_bus_call_method(bus[b], "org.cdmd1", "/org/cdmd1", "org.freedesktop.DBus.Peer",
                                         "Ping", NULL, NULL, NULL),
                      "ping");
        }
        puts("ready");
        fflush(stdout);
        for (size_t b = 0; n_ok + n_refused < n * EACH; b = (b + 1) % n) {
                int r = sd_bus_process(bus[b], NULL);
                check(r, "process");
                if (r == 0 && b == n - 1)
                        check(sd_bus_wait(bus[b], 10000), "wait");
        }
        printf("%u %u %s\n", n_ok, n_refused, last_error);
        for (size_t b = 0; b < n; b++)
                sd_bus_flush_close_unref(bus[b]);
        return EXIT_SUCCESS;
}
