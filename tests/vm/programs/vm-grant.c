/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-grant UNIT OTHER COUNT: how long do a grant and `cdmctl run` take, compared with what they cannot avoid? In turn
 * Request for UNIT, until it is answered, and SetUnitProperties(AllowedMemoryNodes) of OTHER, which `Exempt=` keeps
 * away from cdmd. Both come after a pause, on one connection. Prints rows (pairs.h). */

#include "tests/vm/programs/calls.h"

#define ORDINARY 3
#define WIDE     7

static double grant(const char *unit)
{
        double begin = now_ms();
        uint32_t id = request(unit, 16 * MIB, NULL);
        double took = now_ms() - begin;

        release(id);
        return took;
}

static double set(const char *unit, uint8_t nodes)
{
        double begin = now_ms();

        set_nodes(unit, nodes);
        return now_ms() - begin;
}

static double ping(const char *name)
{
        double begin = now_ms();

        must("Ping", sd_bus_call_method(bus, name, "/", "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, ""),
             NULL);
        return now_ms() - begin;
}

static void settle(void)
{
        usleep(200 * 1000);
}

int main(int argc, char **argv)
{
        size_t n = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;

        if (n == 0) {
                fprintf(stderr, "usage: vm-grant UNIT OTHER COUNT\n");
                return 2;
        }
        const char *unit = argv[1], *other = argv[2];
        Pair *grants = calloc(n, sizeof(*grants)), *pings = calloc(n, sizeof(*pings)),
             *runs = calloc(n, sizeof(*runs));
        if (!grants || !pings || !runs)
                return 1;
        connect_bus();
        (void)grant(unit);
        for (size_t i = 0; i < n; i++) {
                settle();
                grants[i].reference = set(other, WIDE);
                set_nodes(other, ORDINARY);
                settle();
                grants[i].ours = grant(unit);
                settle();
                pings[i].reference = ping("org.freedesktop.systemd1");
                pings[i].ours = ping("org.cdmd1");
        }
        pairs_print(
                "Request on a running unit, until effective and answered|bare `SetUnitProperties` of the same value "
                "by the same client|<=1.25|ms",
                grants, n);
        pairs_print("`Ping` of cdmd (what a call costs)|`Ping` of PID 1||ms", pings, n);

        const char *ours[] = { "cdmctl", "run", "hbm", "16M", "--", "true", NULL };
        const char *reference[] = { "systemd-run", "--quiet", "--scope", "true", NULL };
        for (size_t i = 0; i < n; i++) {
                settle();
                runs[i].reference = run_ms(reference) + set(other, WIDE);
                set_nodes(other, ORDINARY);
                settle();
                runs[i].ours = run_ms(ours);
        }
        pairs_print(
                "`cdmctl run` … `-- true`|`systemd-run --scope true` and one `SetUnitProperties`|<=1.15|ms",
                runs, n);
        return 0;
}
