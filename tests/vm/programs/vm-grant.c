/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-grant UNIT OTHER COUNT: how long do a grant and `cdmctl run` take, compared with what they cannot avoid? In turn
 * Request for UNIT, until it is answered; SetUnitProperties(AllowedMemoryNodes) of OTHER, which `Exempt=` keeps
 * away from cdmd; and for OTHER all that a daemon between a client and PID 1 has to do. All come after a pause, on
 * one connection. OTHER is a service in system.slice. Prints rows (pairs.h). */

#include <fcntl.h>

#include "tests/vm/programs/calls.h"

#define STATE    "/run/vm-grant"

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

/* --- the least that a daemon in between has to do ------------------------------------------------------- */

static void ask_who_calls(void)
{
        const char *name;

        must("name", sd_bus_get_unique_name(bus, &name), NULL);
        must("GetConnectionCredentials",
             sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                "GetConnectionCredentials", NULL, NULL, "s", name),
             NULL);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        unsigned *n_pending = userdata;

        must("a property", -sd_bus_message_get_errno(m), sd_bus_message_get_error(m));
        (*n_pending)--;
        return 0;
}

/* All questions are sent before the first answer is read. */
static void ask_what_unit_is(const char *unit)
{
        static const char *const properties[] = { "ControlGroup", "User", "Delegate", "AllowedMemoryNodes" };
        unsigned n_pending = 0;
        char *path;

        must("path", sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path), NULL);
        n_pending++;
        must("ListUnitsByNames",
             sd_bus_call_method_async(bus, NULL, SYSTEMD, "ListUnitsByNames", on_answer, &n_pending, "as", 1,
                                      unit),
             NULL);
        for (size_t i = 0; i < sizeof(properties) / sizeof(*properties); i++) {
                n_pending++;
                must("Get",
                     sd_bus_call_method_async(bus, NULL, "org.freedesktop.systemd1", path,
                                              "org.freedesktop.DBus.Properties", "Get", on_answer,
                                              &n_pending, "ss", "org.freedesktop.systemd1.Service",
                                              properties[i]),
                     NULL);
        }
        free(path);
        while (n_pending > 0) {
                int r = sd_bus_process(bus, NULL);

                must("bus", r, NULL);
                if (r == 0)
                        must("bus", sd_bus_wait(bus, UINT64_MAX), NULL);
        }
}

/* A crash in between leaves the old file or the new one. */
static void store(void)
{
        char text[256];

        memset(text, '.', sizeof(text));
        int fd = open(STATE ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, text, sizeof(text)) != sizeof(text) || fsync(fd) < 0 || close(fd) < 0 ||
            rename(STATE ".new", STATE) < 0)
                must(STATE, -errno, NULL);
}

static void read_back(const char *unit)
{
        char path[512], text[128];

        snprintf(path, sizeof(path), "/sys/fs/cgroup/system.slice/%s/cpuset.mems.effective", unit);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, text, sizeof(text)) <= 0 || close(fd) < 0)
                must(path, -errno, NULL);
}

/* The Ping stands for the call of the daemon. */
static double least(const char *unit, uint8_t nodes)
{
        double begin = now_ms();

        (void)ping("org.cdmd1");
        ask_who_calls();
        ask_what_unit_is(unit);
        store();
        set_nodes(unit, nodes);
        read_back(unit);
        store();
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
             *pings = calloc(n, sizeof(*pings)), *runs = calloc(n, sizeof(*runs));
        if (!grants || !leasts || !pings || !runs)
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
                leasts[i].reference = least(other, WIDE);
                set_nodes(other, ORDINARY);
                settle();
                pings[i].reference = ping("org.freedesktop.systemd1");
                pings[i].ours = ping("org.cdmd1");
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
                runs[i].ours = run_ms(ours);
        }
        pairs_print(
                "`cdmctl run` … `-- true`|`systemd-run --scope true` and one `SetUnitProperties`|<=1.15|ms",
                runs, n);
        return 0;
}
