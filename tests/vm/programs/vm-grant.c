/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-grant UNIT OTHER COUNT: how long do a grant and `cdmctl run` take, compared with what they cannot avoid? In turn
 * Request for UNIT, until it is answered; SetUnitProperties(AllowedMemoryNodes) of OTHER, which `Exempt=` keeps
 * away from cdmd; and for OTHER all that a daemon between a client and PID 1 has to do. All come after a pause, on
 * one connection. OTHER is a service in system.slice. Prints rows (pairs.h). */

#include "tests/vm/programs/calls.h"
#include "tests/vm/programs/least.h"

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
        Pair *grants = calloc(n, sizeof(*grants)), *leasts = calloc(n, sizeof(*leasts)),
             *pings = calloc(n, sizeof(*pings)), *runs = calloc(n, sizeof(*runs)),
             *least_runs = calloc(n, sizeof(*least_runs));
        if (!grants || !leasts || !pings || !runs || !least_runs)
                return 1;
        connect_bus();
        (void)grant(unit);
        for (size_t i = 0; i < n; i++) {
                settle();
                grants[i].reference = set(other, WIDE);
                set_nodes(other, ORDINARY);
                settle();
                leasts[i].ours = grants[i].ours = grant(unit);
                settle();
                leasts[i].reference = least_ms(other, WIDE, true);
                set_nodes(other, ORDINARY);
                settle();
                pings[i].reference = ping_ms("org.freedesktop.systemd1");
                pings[i].ours = ping_ms("org.cdmd1");
        }
        pairs_print(
                "Request on a running unit, until effective and answered|bare `SetUnitProperties` of the same value "
                "by the same client|<=1.25|ms",
                grants, n);
        pairs_print(
                "a grant, as above|the least that a daemon in between has to do, by the same client alone||ms",
                leasts, n);
        pairs_print("`Ping` of cdmd (what a call costs)|`Ping` of PID 1||ms", pings, n);

        const char *ours[] = { "cdmctl", "run", "hbm", "16M", "--", "true", NULL };
        const char *reference[] = { "systemd-run", "--quiet", "--scope", "true", NULL };
        for (size_t i = 0; i < n; i++) {
                settle();
                runs[i].reference = run_ms(reference) + set(other, WIDE);
                set_nodes(other, ORDINARY);
                settle();
                least_runs[i].ours = runs[i].ours = run_ms(ours);
                settle();
                least_runs[i].reference =
                        run_ms(reference) + least_ms(other, WIDE, true) + least_ms(other, ORDINARY, false);
        }
        pairs_print(
                "`cdmctl run` … `-- true`|`systemd-run --scope true` and one `SetUnitProperties`|<=1.15|ms",
                runs, n);
        pairs_print(
                "`cdmctl run`, as above|`systemd-run --scope true` and the least that a daemon in between has to do, for the grant and for the release||ms",
                least_runs, n);
        return 0;
}
