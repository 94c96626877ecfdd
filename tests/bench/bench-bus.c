/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How long does cdmd let others wait while callers keep it busy? For each method in turn ten clients, each on
 * a connection of its own, call it again as soon as they have an answer. Meanwhile one more client sends a
 * org.freedesktop.DBus.Peer.Ping a millisecond to cdmd. 99 of 100 answers come within p99.
 *
 *   bench-bus [RESERVATIONS [SECONDS [METHOD]]]     10,000 of 1,000 units, 2 seconds a figure, all methods
 *
 * The bus carries all this on one thread, and shares the machine with the clients. What that costs is no fault
 * of cdmd's, so there are two things to compare with:
 *
 *   idle        nobody calls anything
 *   stand-in    the same ten clients make as many calls a second, and get answers of the same size, from a
 *               process that does nothing else. cdmd is idle, and the machine is as busy as before.
 *
 * The three take turns, in short rounds, so that what else the machine does meets all of them. `loop` is what
 * cdmd's event loop computes for one call, without its threads. The kernel's files and systemd are made up
 * (tests/bus): what they cost is not in the figures. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
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
#define ROUNDS      10
#define STAND_IN    "org.cdmd1.bench.StandIn"

static World w;
static uint32_t n_reservations = 10000;
static double seconds = 2;
static const char *only;
static unsigned n_above_idle, n_above_beside;

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

/* The answers to one call of a load: how many there are, and their size. */
typedef struct Weight {
        unsigned n;
        size_t bytes;
} Weight;

static Weight *weighed; /* NULL: nobody wants to know */

static size_t weigh_basic(sd_bus_message *m, char type)
{
        const char *text;
        uint64_t number;

        switch (type) {
        case 's':
        case 'o':
        case 'g':
                return sd_bus_message_read_basic(m, type, &text) < 0 ? 0 : 5 + strlen(text);
        case 't':
        case 'x':
        case 'd':
                return sd_bus_message_read_basic(m, type, &number) < 0 ? 0 : 8;
        default:
                return sd_bus_message_read_basic(m, type, &number) < 0 ? 0 : 4;
        }
}

/* About as many bytes as the values take in a message. */
static size_t weigh(sd_bus_message *m)
{
        const char *contents;
        size_t bytes = 0;
        char type;

        while (sd_bus_message_peek_type(m, &type, &contents) > 0) {
                if (!strchr("aver", type)) {
                        bytes += weigh_basic(m, type);
                        continue;
                }
                if (sd_bus_message_enter_container(m, type, contents) <= 0)
                        break;
                bytes += 4 + weigh(m);
                if (sd_bus_message_exit_container(m) < 0)
                        break;
        }
        return bytes;
}

/* Any answer will do, an error as well: a negative errno only when there was none. */
static int call(sd_bus *bus, sd_bus_message *m, sd_bus_message **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = sd_bus_call(bus, m, 0, &error, ret);
        if (weighed) {
                weighed->n++;
                weighed->bytes += *ret ? weigh(*ret) : error.message ? strlen(error.message) : 0;
        }
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

CALL(list_pools)
{
        return call_method(MANAGER, "ListPools", "");
}

CALL(list_nodes)
{
        return call_method(MANAGER, "ListNodes", "");
}

/* Two answers, one after the other. */
CALL(granted)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        const char *path;

        int r = sd_bus_message_new_method_call(bus, &m, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                               "Request");
        if (r >= 0)
                r = sd_bus_message_append(m, "sta{sv}", "cdm", UINT64_C(65536), 1, CDM_OPTION_UNIT, "s",
                                          n % 2 ? "db.service" : "train.service");
        if (r >= 0)
                r = call(bus, m, &reply);
        if (r < 0 || !reply)
                return r;
        /* It has been read by weigh(). */
        r = sd_bus_message_rewind(reply, true);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &path);
        return r < 0 ? r : call_method(bus, path, CDM_INTERFACE_RESERVATION, "Release", "");
}

#define RESERVATION bus, path_of(n), CDM_INTERFACE_RESERVATION

CALL(release)
{
        return call_method(RESERVATION, "Release", "");
}

CALL(migrate)
{
        return call_method(RESERVATION, "Migrate", "");
}

CALL(open_buffer)
{
        return call_method(RESERVATION, "OpenBuffer", "t", UINT64_C(65536));
}

CALL(get_nonsense)
{
        return call_method(bus, path_of(n), "org.freedesktop.DBus.Properties", "GetAll", "s",
                           "org.cdmd1.Nonsense");
}

CALL(reserve_static)
{
        return call_method(MANAGER, "ReserveStatic", "s", "db.service");
}

CALL(drain_node)
{
        return call_method(MANAGER, "DrainNode", "u", 2);
}

CALL(undrain_node)
{
        return call_method(MANAGER, "UndrainNode", "u", 2);
}

CALL(renew)
{
        return call_method(bus, path_of(n), CDM_INTERFACE_RESERVATION, "Renew", "t", UINT64_C(3600000000));
}

/* Each client has a reservation of its own, which grows and shrinks in turn. */
CALL(resize)
{
        return call_method(bus, path_of((uint32_t)getpid()), CDM_INTERFACE_RESERVATION, "Resize", "t",
                           UINT64_C(65536) * (1 + n % 2));
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
        { "(nothing)", call_nothing, 0 },
        { "Ping", call_ping, USER_NOBODY },
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
        { "GetAll, no such interface", call_get_nonsense, USER_NOBODY },
        { "ListPools", call_list_pools, USER_NOBODY },
        { "ListNodes", call_list_nodes, USER_NOBODY },
        { "Explain", call_explain, USER_NOBODY },
        { "Request, denied", call_denied, 0 },
        { "Request and Release", call_granted, 0 },
        { "Renew", call_renew, 0 },
        { "Migrate", call_migrate, 0 },
        { "OpenBuffer", call_open_buffer, 0 },
        { "Resize", call_resize, 0 },
        { "Release, refused by polkit", call_release, USER_NOBODY },
        { "Renew, refused by polkit", call_renew, USER_NOBODY },
        { "Migrate, refused by polkit", call_migrate, USER_NOBODY },
        { "OpenBuffer, refused by polkit", call_open_buffer, USER_NOBODY },
        { "Resize, refused by polkit", call_resize, USER_NOBODY },
        { "Reload, refused by polkit", call_reload, USER_NOBODY },
        { "ReserveStatic, refused by polkit", call_reserve_static, USER_NOBODY },
        { "DrainNode, refused by polkit", call_drain_node, USER_NOBODY },
        { "UndrainNode, refused by polkit", call_undrain_node, USER_NOBODY },
};

/* --- the stand-in ------------------------------------------------------------------------------------- */

/* Answers with as many bytes as it is asked for. */
static int stand_in_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint32_t bytes;
        void *space;

        if (!sd_bus_message_is_method_call(m, STAND_IN, "Answer"))
                return 0;
        int r = sd_bus_message_read(m, "u", &bytes);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append_array_space(reply, 'y', bytes, &space);
        if (r < 0)
                return r;
        memset(space, 0, bytes);
        r = sd_bus_send(NULL, reply, NULL);
        return r < 0 ? r : 1;
}

static void stand_in_run(int ready)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sd_bus *bus = world_connect(&w, geteuid());
        int r = sd_bus_add_filter(bus, NULL, stand_in_answer, NULL);

        if (r >= 0)
                r = sd_bus_request_name(bus, STAND_IN, 0);
        if (r < 0)
                fatal("stand-in", r);
        (void)!write(ready, "", 1);
        while (r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        _exit(1);
}

/* fake-polkit tells of every question; it would wait for a reader when the pipe is full. */
static pid_t polkit_reader_start(void)
{
        char text[4096];
        pid_t pid = fork();

        if (pid < 0)
                fatal("fork", -errno);
        if (pid > 0)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (read(w.polkit_out, text, sizeof(text)) > 0)
                ;
        _exit(0);
}

static pid_t stand_in_start(void)
{
        int fds[2];
        char byte;

        if (pipe(fds) < 0)
                fatal("pipe", -errno);
        pid_t pid = fork();
        if (pid == 0)
                stand_in_run(fds[1]);
        close(fds[1]);
        if (pid < 0 || read(fds[0], &byte, 1) != 1)
                fatal("stand-in", -EIO);
        close(fds[0]);
        return pid;
}

static int call_stand_in(sd_bus *bus, const Weight *weight)
{
        int r = 0;

        for (unsigned i = 0; i < weight->n && r >= 0; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;

                r = sd_bus_message_new_method_call(bus, &m, STAND_IN, "/", STAND_IN, "Answer");
                if (r >= 0)
                        r = sd_bus_message_append(m, "u", (uint32_t)(weight->bytes / weight->n));
                if (r >= 0)
                        r = sd_bus_call(bus, m, 0, NULL, &reply);
        }
        return r;
}

/* --- clients ------------------------------------------------------------------------------------------ */

typedef struct Client {
        pid_t pid;
        int out;
} Client;

/* What the clients do: call cdmd as often as they can, or the stand-in so often. */
typedef struct Task {
        size_t load;
        Weight weight;
        double calls_per_second; /* of one client, to the stand-in; 0: cdmd is called */
} Task;

/* Shared with the clients: a call that is under way ends as any other, and leaves nothing to do for cdmd. */
static volatile int *stopped;

static void wait_until(double when)
{
        double left = when - now();

        if (left > 0)
                usleep((useconds_t)(left * 1e6));
}

/* Tells how often it called, and what failed. */
static void client_run(const Task *t, unsigned which, int out)
{
        const typeof(loads[0]) *load = &loads[t->load];
        uint64_t n = 0;
        int r = 0;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sd_bus *bus = world_connect(&w, getuid() == 0 ? load->uid : getuid());
        double begin = now();
        while (!*stopped && load->call != call_nothing && r >= 0) {
                if (t->calls_per_second > 0) {
                        wait_until(begin + (double)n / t->calls_per_second);
                        r = call_stand_in(bus, &t->weight);
                } else {
                        r = load->call(bus, (uint32_t)(which * 7919 + n));
                }
                n++;
        }
        if (r < 0)
                fprintf(stderr, "%s: %s\n", load->name, strerror(-r));
        while (!*stopped)
                usleep(1000);
        (void)!write(out, &n, sizeof(n));
        _exit(0);
}

static void clients_start(const Task *t, Client *clients)
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
                        client_run(t, i, fds[1]);
                close(fds[1]);
                clients[i].out = fds[0];
        }
        usleep(50 * 1000);
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

static void sort(Samples *s)
{
        qsort(s->ms, s->n, sizeof(double), compare);
}

static double percentile(const Samples *s, double part)
{
        return s->n ? s->ms[(size_t)(part * (double)(s->n - 1))] : 0;
}

static void measure_one(sd_bus *bus, Samples *s)
{
        double begin = now();
        int r = sd_bus_call_method(bus, CDM_BUS_NAME, CDM_PATH, "org.freedesktop.DBus.Peer", "Ping", NULL,
                                   NULL, NULL);

        if (r < 0)
                fatal("Ping", r);
        s->ms[s->n++] = (now() - begin) * 1000;
        usleep(1000);
}

/* One Ping a millisecond, so that measuring is no load itself. Returns p95 of this round. */
static double measure(sd_bus *bus, Samples *s)
{
        double end = now() + seconds / ROUNDS;
        size_t first = s->n;

        while (now() < end && s->n < SAMPLES_MAX)
                measure_one(bus, s);
        Samples round = { malloc((s->n - first + 1) * sizeof(double)), s->n - first };
        if (!round.ms)
                fatal("malloc", -ENOMEM);
        memcpy(round.ms, s->ms + first, round.n * sizeof(double));
        sort(&round);
        double p95 = percentile(&round, 0.95);
        free(round.ms);
        return p95;
}

typedef struct Row {
        Samples idle, beside, busy; /* beside: the stand-in has the load */
        double ratio[ROUNDS];       /* busy to beside, p95, of each round */
        uint64_t n_calls;
        double loop_ms, busy_s;
} Row;

static void measure_round(Row *row, int round, Task *t, sd_bus *bus)
{
        Client clients[CLIENTS];

        measure(bus, &row->idle);
        double loop = loop_ms(), begin = now();
        t->calls_per_second = 0;
        clients_start(t, clients);
        double busy = measure(bus, &row->busy);
        uint64_t n = clients_stop(clients);
        double took = now() - begin;
        row->loop_ms += loop_ms() - loop;
        row->busy_s += took;
        row->n_calls += n;
        /* At least one, or it would be as often as possible. */
        t->calls_per_second = (double)(n ? n : 1) / CLIENTS / took;
        clients_start(t, clients);
        row->ratio[round] = busy / measure(bus, &row->beside);
        clients_stop(clients);
}

/* What one call of a load is answered. */
static Weight weigh_load(size_t load)
{
        Weight weight = { 0 };
        sd_bus *bus = world_connect(&w, getuid() == 0 ? loads[load].uid : getuid());

        weighed = &weight;
        int r = loads[load].call(bus, 0);
        weighed = NULL;
        if (r < 0)
                fatal(loads[load].name, r);
        sd_bus_flush_close_unref(bus);
        return weight;
}

static void print_header(void)
{
        printf("milliseconds of a Ping of cdmd (p50, p95, p99), while ten clients call a method of cdmd\n"
               "stand-in: while they call a stand-in as often; ratio: of p99 to p99; spread: quartiles of p95 to p95 "
               "of %d rounds\n\n"
               "%-32s %7s %7s %7s %7s  %-20s %-20s %-27s %6s %7s %6s\n",
               ROUNDS, "", "calls/s", "bytes", "loop us", "Pings", "       idle", "     stand-in",
               "       busy         longest", "/idle", "/stand-in", "spread");
}

static void print_samples(const Samples *s)
{
        printf(" %6.2f %6.2f %6.2f", percentile(s, 0.5), percentile(s, 0.95), percentile(s, 0.99));
}

static void print_row(size_t load, sd_bus *bus)
{
        static double idle_ms[SAMPLES_MAX], beside_ms[SAMPLES_MAX], busy_ms[SAMPLES_MAX];
        Row row = { .idle = { idle_ms, 0 }, .beside = { beside_ms, 0 }, .busy = { busy_ms, 0 } };
        Task task = { .load = load, .weight = weigh_load(load) };
        Samples ratios = { row.ratio, ROUNDS };

        for (int i = 0; i < ROUNDS; i++)
                measure_round(&row, i, &task, bus);
        sort(&row.idle);
        sort(&row.beside);
        sort(&row.busy);
        sort(&ratios);
        double busy = percentile(&row.busy, 0.99), to_idle = busy / percentile(&row.idle, 0.99),
               to_beside = busy / percentile(&row.beside, 0.99);
        printf("%-32s %7.0f %7zu %7.1f %7zu", loads[load].name, (double)row.n_calls / row.busy_s,
               task.weight.bytes, row.n_calls ? row.loop_ms * 1000 / (double)row.n_calls : 0, row.busy.n);
        print_samples(&row.idle);
        print_samples(&row.beside);
        print_samples(&row.busy);
        printf(" %6.2f %6.1f%s %6.1f%s %6.1f %.1f\n", percentile(&row.busy, 1), to_idle,
               to_idle < TARGET ? " " : "!", to_beside, to_beside < TARGET ? " " : "!",
               percentile(&ratios, 0.25), percentile(&ratios, 0.75));
        fflush(stdout);
        n_above_idle += to_idle >= TARGET;
        n_above_beside += to_beside >= TARGET;
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

/* Milliseconds that the event loop computes for a Ping when there is nothing else. */
static double ping_ms(sd_bus *bus)
{
        static double ms[500];
        Samples s = { ms, 0 };
        double begin = loop_ms();

        while (s.n < ARRAY_SIZE(ms))
                measure_one(bus, &s);
        return (loop_ms() - begin) / ARRAY_SIZE(ms);
}

/* Until cdmd has computed little more than the answers to these Pings for a while. */
static void print_burst(sd_bus *bus, const char *name, void (*make)(const char *parent), const char *parent)
{
        static double ms[SAMPLES_MAX];
        Samples s = { ms, 0 };
        double ping = ping_ms(bus), longest = 0, begin = loop_ms(), last = begin, since = now(),
               start = now();
        size_t n_last = 0;
        pid_t pid = fork();

        if (pid == 0)
                make(parent);
        while (now() < since + 1 && s.n < SAMPLES_MAX) {
                double before = loop_ms();
                measure_one(bus, &s);
                double after = loop_ms();
                longest = after - before > longest ? after - before : longest;
                if (after - last > 20 + 2 * ping * (double)(s.n - n_last)) {
                        last = after;
                        n_last = s.n;
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

/* cdmd has a line for each request, and nobody reads them. */
static void start_silently(void)
{
        int copy = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (copy < 0 || null < 0 || dup2(null, STDERR_FILENO) < 0)
                fatal("stderr", -errno);
        world_start_cdmd(&w);
        if (dup2(copy, STDERR_FILENO) < 0)
                fatal("stderr", -errno);
        close(copy);
        close(null);
}

/* world.c can only be used in a test. */
START_TEST(bench)
{
        unsigned n_units = n_reservations < UNITS ? n_reservations : UNITS;

        stopped = mmap(NULL, sizeof(*stopped), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ck_assert(stopped != MAP_FAILED);
        setenv("TMPDIR", "/dev/shm", 1); /* as /run: nothing waits for a disk */
        world_start(&w);
        world_kill_cdmd(&w, SIGTERM);
        world_put_reservations(&w, 1, n_reservations, n_units);
        double begin = now();
        start_silently();
        world_start_polkit(&w, "no");
        pid_t reader = polkit_reader_start(), stand_in = stand_in_start();
        printf("%" PRIu32 " reservations of %u units, ready after %.1f s; %d clients; %.1f s a figure\n\n",
               n_reservations, n_units, now() - begin, CLIENTS, seconds);
        print_header();
        fflush(stdout);
        sd_bus *bus = world_connect(&w, geteuid());
        for (size_t i = 0; i < ARRAY_SIZE(loads); i++)
                if (!only || strstr(loads[i].name, only))
                        print_row(i, bus);
        if (!only || strstr("burst", only))
                print_bursts(bus);
        printf("\n!: %.0f times as long, or longer: %u rows compared with idle, %u compared with the stand-in\n",
               TARGET, n_above_idle, n_above_beside);
        sd_bus_flush_close_unref(bus);
        kill(stand_in, SIGKILL);
        waitpid(stand_in, NULL, 0);
        kill(reader, SIGKILL);
        waitpid(reader, NULL, 0);
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
