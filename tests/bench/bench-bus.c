/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How long does cdmd let others wait while callers keep it busy? 99 of 100 answers to org.freedesktop.DBus.
 * Peer.Ping come within p99. It is measured idle and then under load, for each method in turn: ten clients,
 * each on a connection of its own, call it again as soon as they have an answer.
 *
 *   bench-bus [RESERVATIONS [SECONDS [METHOD]]]     10,000 of 1,000 units, 2 seconds a figure, all methods
 *
 * The bus carries all this on one thread, and shares the machine with the clients. The column `bus` tells
 * what is not cdmd's: p99 of a Ping of another connection under the same load, which passes cdmd by. Two more
 * rows are for comparison: the ten clients call Peer.Ping of that connection, and of cdmd itself. The
 * kernel's files and systemd are made up (tests/bus): what they cost is not in the figures. */

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

#define CLIENTS     10
#define UNITS       1000u
#define SAMPLES_MAX 1000000
#define TARGET      5.0
#define ROUNDS      5

static World w;
static uint32_t n_reservations = 10000;
static double seconds = 2;
static const char *only;

static double now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fatal(const char *what, int r)
{
        fprintf(stderr, "%s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

/* --- what clients call -------------------------------------------------------------------------------- */

/* Any answer will do, an error as well: a negative errno only when there was none. */
static int call(sd_bus *bus, sd_bus_message *m, sd_bus_message **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = sd_bus_call(bus, m, 0, &error, ret);
        return r < 0 && error.name && strncmp(error.name, "System.Error.", 13) != 0 ? 0 : r;
}

static int call_method(sd_bus *bus, const char *path, const char *interface, const char *member,
                       const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        va_list ap;

        int r = sd_bus_message_new_method_call(bus, &m, CDM_BUS_NAME, path, interface, member);
        va_start(ap, types);
        if (r >= 0 && *types)
                r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        return r < 0 ? r : call(bus, m, &reply);
}

static const char *path_of(uint32_t n)
{
        static char path[64];

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, n % n_reservations + 1);
        return path;
}

#define CALL(name) static int call_##name(sd_bus *bus, uint32_t n)
#define MANAGER    bus, CDM_PATH, CDM_INTERFACE_MANAGER

CALL(nothing)
{
        return 0;
}

CALL(ping_other)
{
        return sd_bus_call_method(bus, "org.freedesktop.systemd1", "/", "org.freedesktop.DBus.Peer", "Ping",
                                  NULL, NULL, NULL);
}

CALL(ping)
{
        return call_method(bus, CDM_PATH, "org.freedesktop.DBus.Peer", "Ping", "");
}

CALL(get_reservation)
{
        return call_method(MANAGER, "GetReservation", "u", n % n_reservations + 1);
}

CALL(list)
{
        return call_method(MANAGER, "ListReservations", "uua{sv}", n * 1000 % n_reservations, 1000, 0);
}

CALL(list_100)
{
        return call_method(MANAGER, "ListReservations", "uua{sv}", n * 100 % n_reservations, 100, 0);
}

CALL(list_used)
{
        return call_method(MANAGER, "ListReservations", "uua{sv}", n * 1000 % n_reservations, 1000, 1,
                           CDM_FILTER_USED, "b", 1);
}

CALL(list_nothing)
{
        return call_method(MANAGER, "ListReservations", "uua{sv}", 0, 1000, 1, CDM_FILTER_STATE, "s",
                           "queued");
}

CALL(list_holders)
{
        return call_method(MANAGER, "ListHolders", "");
}

CALL(managed_objects)
{
        return call_method(bus, CDM_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "");
}

CALL(introspect)
{
        return call_method(bus, CDM_PATH_RESERVATION, "org.freedesktop.DBus.Introspectable", "Introspect",
                           "");
}

CALL(get_all)
{
        return call_method(bus, path_of(n), "org.freedesktop.DBus.Properties", "GetAll", "s",
                           CDM_INTERFACE_RESERVATION);
}

CALL(get_used)
{
        return call_method(bus, path_of(n), "org.freedesktop.DBus.Properties", "Get", "ss",
                           CDM_INTERFACE_RESERVATION, "Used");
}

CALL(get_manager)
{
        return call_method(bus, CDM_PATH, "org.freedesktop.DBus.Properties", "GetAll", "s",
                           CDM_INTERFACE_MANAGER);
}

CALL(get_pool)
{
        return call_method(bus, CDM_PATH_POOL "/cdm", "org.freedesktop.DBus.Properties", "GetAll", "s",
                           CDM_INTERFACE_POOL);
}

CALL(get_node)
{
        return call_method(bus, CDM_PATH_NODE "/2", "org.freedesktop.DBus.Properties", "GetAll", "s",
                           CDM_INTERFACE_NODE);
}

CALL(explain)
{
        return call_method(MANAGER, "Explain", "sta{sv}", "cdm", UINT64_C(65536), 1, CDM_OPTION_UNIT, "s",
                           "db.service");
}

CALL(denied)
{
        return call_method(MANAGER, "Request", "sta{sv}", "cdm", 2 * GIB, 1, CDM_OPTION_UNIT, "s",
                           "db.service");
}

CALL(granted)
{
        uint32_t id;
        int r = world_request(bus, "cdm", 65536, &id, 1, CDM_OPTION_UNIT, "s",
                              n % 2 ? "db.service" : "train.service");

        if (r >= 0)
                (void)world_release(bus, id);
        return 0;
}

CALL(renew)
{
        return call_method(bus, path_of(n), CDM_INTERFACE_RESERVATION, "Renew", "t", UINT64_C(3600000000));
}

CALL(reload)
{
        return call_method(MANAGER, "Reload", "");
}

static const struct {
        const char *name;
        int (*call)(sd_bus *bus, uint32_t n);
        uid_t uid;
} loads[] = {
        { "(idle again)", call_nothing, 0 },
        { "(Ping of another connection)", call_ping_other, 0 },
        { "(Ping of cdmd)", call_ping, 0 },
        { "GetReservation", call_get_reservation, USER_NOBODY },
        { "ListReservations, 100 a page", call_list_100, USER_NOBODY },
        { "ListReservations, 1,000 a page", call_list, USER_NOBODY },
        { "ListReservations, with used", call_list_used, USER_NOBODY },
        { "ListReservations, no match", call_list_nothing, USER_NOBODY },
        { "ListHolders", call_list_holders, USER_NOBODY },
        { "GetManagedObjects", call_managed_objects, USER_NOBODY },
        { "Introspect of /reservation", call_introspect, USER_NOBODY },
        { "GetAll of a reservation", call_get_all, USER_NOBODY },
        { "Get of Used", call_get_used, USER_NOBODY },
        { "GetAll of the manager", call_get_manager, USER_NOBODY },
        { "GetAll of a pool", call_get_pool, USER_NOBODY },
        { "GetAll of a node", call_get_node, USER_NOBODY },
        { "Explain", call_explain, USER_NOBODY },
        { "Request, denied", call_denied, 0 },
        { "Request and Release", call_granted, 0 },
        { "Renew", call_renew, 0 },
        { "Reload, refused by polkit", call_reload, USER_NOBODY },
};

/* --- clients ------------------------------------------------------------------------------------------ */

typedef struct Client {
        pid_t pid;
        int out;
} Client;

/* Shared with the clients: a call that is under way ends as any other, and leaves nothing to do for cdmd. */
static volatile int *stopped;

/* Tells how often it called, and what failed. */
static void client_run(size_t load, unsigned which, int out)
{
        uint64_t n = 0;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sd_bus *bus = world_connect(&w, getuid() == 0 ? loads[load].uid : getuid());
        while (!*stopped && loads[load].call != call_nothing) {
                int r = loads[load].call(bus, (uint32_t)(which * 7919 + n));
                if (r < 0) {
                        fprintf(stderr, "%s: %s\n", loads[load].name, strerror(-r));
                        break;
                }
                n++;
        }
        while (!*stopped)
                usleep(1000);
        (void)!write(out, &n, sizeof(n));
        _exit(0);
}

static void clients_start(size_t load, Client *clients)
{
        *stopped = 0;
        for (unsigned i = 0; i < CLIENTS; i++) {
                int fds[2];
                if (pipe(fds) < 0)
                        fatal("pipe", -errno);
                clients[i].pid = fork();
                if (clients[i].pid < 0)
                        fatal("fork", -errno);
                if (clients[i].pid == 0)
                        client_run(load, i, fds[1]);
                close(fds[1]);
                clients[i].out = fds[0];
        }
}

static uint64_t clients_stop(Client *clients)
{
        uint64_t sum = 0, n;

        *stopped = 1;
        for (unsigned i = 0; i < CLIENTS; i++) {
                if (read(clients[i].out, &n, sizeof(n)) == sizeof(n))
                        sum += n;
                close(clients[i].out);
                waitpid(clients[i].pid, NULL, 0);
        }
        return sum;
}

/* --- figures ------------------------------------------------------------------------------------------ */

/* What cdmd's event loop has computed since it was started. */
static double loop_ms(void)
{
        char path[64], text[128];
        unsigned long long ns = 0;

        snprintf(path, sizeof(path), "/proc/%d/schedstat", w.cdmd);
        FILE *f = fopen(path, "r");
        if (f && fgets(text, sizeof(text), f))
                (void)sscanf(text, "%llu", &ns);
        if (f)
                fclose(f);
        return (double)ns / 1e6;
}

static int compare(const void *a, const void *b)
{
        const double *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

typedef struct Samples {
        double *ms;
        size_t n;
} Samples;

static void measure_one(sd_bus *bus, const char *name, Samples *s)
{
        double begin = now();
        int r = sd_bus_call_method(bus, name, CDM_PATH, "org.freedesktop.DBus.Peer", "Ping", NULL, NULL,
                                   NULL);

        if (r < 0)
                fatal("Ping", r);
        s->ms[s->n++] = (now() - begin) * 1000;
        usleep(1000);
}

/* One Ping a millisecond, so that measuring is no load itself. */
static void measure(sd_bus *bus, Samples *s, Samples *other)
{
        double end = now() + seconds / ROUNDS;

        while (now() < end && s->n < SAMPLES_MAX) {
                measure_one(bus, CDM_BUS_NAME, s);
                if (other)
                        measure_one(bus, "org.freedesktop.systemd1", other);
        }
}

static double percentile(const Samples *s, double part)
{
        return s->ms[(size_t)(part * (double)(s->n - 1))];
}

static void print_row(size_t load, sd_bus *bus)
{
        static double idle_ms[SAMPLES_MAX], busy_ms[SAMPLES_MAX], other_ms[SAMPLES_MAX];
        Samples idle = { idle_ms, 0 }, busy = { busy_ms, 0 }, other = { other_ms, 0 };
        uint64_t n_calls = 0;

        /* In turns, so that what else the machine does meets both. */
        for (int i = 0; i < ROUNDS; i++) {
                Client clients[CLIENTS];

                measure(bus, &idle, NULL);
                clients_start(load, clients);
                usleep(50 * 1000);
                measure(bus, &busy, &other);
                n_calls += clients_stop(clients);
        }
        qsort(idle.ms, idle.n, sizeof(double), compare);
        qsort(busy.ms, busy.n, sizeof(double), compare);
        qsort(other.ms, other.n, sizeof(double), compare);
        double ratio = percentile(&busy, 0.99) / percentile(&idle, 0.99);
        printf("%-32s %8.2f %8.2f %8.2f %8.2f %8.2f %8.2f %6.1f%s %8" PRIu64 "\n", loads[load].name,
               percentile(&idle, 0.5), percentile(&idle, 0.99), percentile(&busy, 0.5),
               percentile(&busy, 0.99), percentile(&other, 0.99), percentile(&busy, 1), ratio,
               ratio < TARGET ? " " : "!", n_calls);
        fflush(stdout);
}

/* --- a burst of control groups ------------------------------------------------------------------------ */

#define BURST 10000

static void burst_path(char *path, size_t size, const char *parent, unsigned i)
{
        snprintf(path, size, "%s/sys/fs/cgroup%s/%u.service", w.root, parent, i);
}

static void burst_make(const char *parent)
{
        char path[512];

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned i = 0; i < BURST; i++) {
                burst_path(path, sizeof(path), parent, i);
                if (mkdir(path, 0755) < 0)
                        _exit(1);
        }
        _exit(0);
}

static void burst_remove(const char *parent)
{
        char path[512];

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned i = 0; i < BURST; i++) {
                burst_path(path, sizeof(path), parent, i);
                if (rmdir(path) < 0)
                        _exit(1);
        }
        _exit(0);
}

/* Until cdmd has been idle for a while. */
static void print_burst(sd_bus *bus, const char *name, void (*make)(const char *parent), const char *parent)
{
        static double ms[SAMPLES_MAX];
        Samples s = { ms, 0 };
        double longest = 0, begin = loop_ms(), last = begin, since = now(), start = now();
        pid_t pid = fork();

        if (pid == 0)
                make(parent);
        while (now() < since + 1 && s.n < SAMPLES_MAX) {
                double before = loop_ms();
                measure_one(bus, CDM_BUS_NAME, &s);
                double after = loop_ms();
                longest = after - before > longest ? after - before : longest;
                if (after - last > 20) {
                        last = after;
                        since = now();
                }
        }
        int status = 0;
        waitpid(pid, &status, 0);
        qsort(s.ms, s.n, sizeof(double), compare);
        printf("%-44s %8.2f %8.2f %8.2f %8.2f %8.0f %8.1f%s\n", name, percentile(&s, 0.5),
               percentile(&s, 0.99), percentile(&s, 1), longest, loop_ms() - begin, since - start,
               status ? " FAILED" : "");
        fflush(stdout);
}

static void burst_parent(const char *path, uid_t uid)
{
        char full[512];

        snprintf(full, sizeof(full), "%s/sys/fs/cgroup%s", w.root, path);
        if (mkdir(full, 0755) < 0 || chown(full, uid, (gid_t)-1) < 0)
                fatal(full, -errno);
        usleep(100 * 1000); /* so that it is watched before the burst */
}

static void print_bursts(sd_bus *bus)
{
        printf("\n%-44s %8s %8s %8s %8s %8s %8s\n", "milliseconds of a Ping, while 10,000 control groups",
               "p50", "p99", "longest", "loop", "sum", "seconds");
        print_burst(bus, "of units come", burst_make, "/system.slice");
        print_burst(bus, "of units go", burst_remove, "/system.slice");
        burst_parent("/other", 0);
        print_burst(bus, "that systemd does not own come", burst_make, "/other");
        print_burst(bus, "that systemd does not own go", burst_remove, "/other");
        burst_parent("/user.slice", 0);
        burst_parent("/user.slice/user@1.service", USER_DAEMON);
        print_burst(bus, "that a user owns come", burst_make, "/user.slice/user@1.service");
        print_burst(bus, "that a user owns go", burst_remove, "/user.slice/user@1.service");
}

/* world.c can only be used in a test. */
START_TEST(bench)
{
        unsigned n_units = n_reservations < UNITS ? n_reservations : UNITS;

        stopped = mmap(NULL, sizeof(*stopped), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ck_assert(stopped != MAP_FAILED);
        world_directory = "/dev/shm"; /* as /run: nothing waits for a disk */
        world_start(&w);
        world_kill_cdmd(&w, SIGTERM);
        world_put_reservations(&w, 1, n_reservations, n_units);
        double begin = now();
        world_start_cdmd(&w);
        world_start_polkit(&w, "no");
        printf("%" PRIu32 " reservations of %u units, ready after %.1f s; %d clients; %.1f s a figure\n\n",
               n_reservations, n_units, now() - begin, CLIENTS, seconds);
        printf("%-32s %8s %8s %8s %8s %8s %8s %6s  %8s\n", "milliseconds of a Ping, while", "p50 idle",
               "p99 idle", "p50", "p99", "bus", "longest", "ratio", "calls");
        sd_bus *bus = world_connect(&w, geteuid());
        for (size_t i = 0; i < ARRAY_SIZE(loads); i++)
                if (!only || strstr(loads[i].name, only))
                        print_row(i, bus);
        if (!only || strstr("burst", only))
                print_bursts(bus);
        printf("\n!: more than %.0f times as long as idle\n", TARGET);
        sd_bus_flush_close_unref(bus);
        world_stop(&w);
}
END_TEST

int main(int argc, char **argv)
{
        Suite *s = suite_create("bench-bus");
        TCase *c = tcase_create("bench");

        if (argc > 1)
                n_reservations = (uint32_t)strtoul(argv[1], NULL, 10);
        if (argc > 2)
                seconds = strtod(argv[2], NULL);
        if (argc > 3)
                only = argv[3];
        if (n_reservations == 0 || seconds <= 0) {
                fprintf(stderr, "usage: bench-bus [RESERVATIONS [SECONDS [METHOD]]]\n");
                return 2;
        }
        setenv("CK_FORK", "no", 1);
        tcase_set_timeout(c, 0);
        tcase_add_test(c, bench);
        suite_add_tcase(s, c);
        return check_main(s);
}
