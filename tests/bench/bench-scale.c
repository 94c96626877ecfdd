/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How does what cdmd does grow with the number of reservations, rules, waiters and cgroups? Prints rows and points for
 * tests/bench/report.
 *
 *   bench-scale [LARGEST [PART]]      100,000 reservations, 10,000 cgroups; decisions, answers, reservations, cgroups
 *
 * The first part calls decide() and plan() in this process. The second one has whole cdmds on private buses, with made-up
 * machines and a made-up systemd (tests/bus): what the kernel and PID 1 cost is not in these figures. Two worlds of
 * different size take turns, so that what else the machine does meets both. */

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/decide.h"
#include "policy/macro.h"
#include "policy/plan.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"
#include "tests/vm/programs/pairs.h"

#define PAGE  UINT64_C(4096)
#define NODES 64
#define UNITS 1000u

static uint32_t largest = 100000;
static const char *only;

static void fatal(const char *what, int r)
{
        fprintf(stderr, "%s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

static void *allocate(size_t n, size_t size)
{
        void *p = calloc(n, size);

        if (!p)
                fatal("calloc", -ENOMEM);
        return p;
}

static char *text_of(const char *before, uint32_t i, const char *after)
{
        char text[128];

        snprintf(text, sizeof(text), "%s%06" PRIu32 "%s", before, i, after);
        char *copy = strdup(text);
        if (!copy)
                fatal("strdup", -ENOMEM);
        return copy;
}

static void must(const char *what, int r)
{
        if (r < 0)
                fatal(what, r);
}

static void print_point(const char *curve, const char *unit, double x, double y)
{
        printf("point|%s|%s|%.0f|%.6g\n", curve, unit, x, y);
        fflush(stdout);
}

static int compare(const void *a, const void *b)
{
        const double *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

static double median(double *values, size_t n)
{
        qsort(values, n, sizeof(*values), compare);
        return values[n / 2];
}

/* --- decisions ---------------------------------------------------------------------------------------- */

/* Nodes 0 and 1 have CPUs, the others are pool hbm; `s` says what a request is judged by. */
typedef struct Desk {
        Topology topology;
        PoolSet *pools;
        Config *config;
        Ledger *ledger;
        Queue *queue;
        Request *waiting;
        Subject *subjects;
        Snapshot s;
} Desk;

static void desk_rule(Desk *d, char *unit)
{
        Rule *r = allocate(1, sizeof(Rule));

        r->file = text_of("/etc/cdm/policy.d/", (uint32_t)d->config->n_rules, ".conf");
        r->line = 1;
        r->units = allocate(2, sizeof(char *));
        r->units[0] = unit;
        r->on_full = ON_FULL_QUEUE;
        d->config->rules[d->config->n_rules++] = r;
}

static void desk_reservation(Desk *d, uint32_t id)
{
        Reservation *r = NULL;

        must("reservation", reservation_new(&r));
        r->id = id;
        r->pool = strdup("hbm");
        r->state = RESERVATION_ACTIVE;
        r->target = allocate(1, sizeof(Subject));
        r->target->unit = text_of("unit-", id, ".service");
        r->target->uid = 1000 + id % 100;
        r->size_bytes = BULK_BYTES;
        r->rule_file = text_of("/etc/cdm/policy.d/", (uint32_t)d->config->n_rules - 1, ".conf");
        r->shares[r->n_shares++] = (Share){ .node = 2 + (int)(id % (NODES - 2)), .bytes = BULK_BYTES };
        must("ledger_add", ledger_add(d->ledger, r));
}

static void desk_waiter(Desk *d, uint32_t i)
{
        NodeSet claims = NODESET_EMPTY;

        d->subjects[i] = (Subject){ .unit = text_of("waiter-", i, ".service"),
                                    .uid = 1000 + i % 100,
                                    .unit_uid = UID_NONE };
        d->waiting[i] = (Request){
                .id = i + 1, .pool = "hbm", .size_bytes = 16 * GIB, .subject = &d->subjects[i], .queue = true
        };
        must("queue_add", queue_add(d->queue, &d->waiting[i], &claims));
}

static Desk *desk_new(uint32_t n_reservations, uint32_t n_rules, uint32_t n_waiters)
{
        PoolConfig pool = { .name = (char *)"hbm", .nodes_auto = true, .tier = TIER_UNKNOWN };
        const PoolConfig *pools[] = { &pool };
        Desk *d = allocate(1, sizeof(Desk));
        char *error = NULL;

        d->topology.nodes = allocate(NODES, sizeof(Node));
        d->topology.n_nodes = NODES;
        for (int i = 0; i < NODES; i++)
                d->topology.nodes[i] = (Node){ .id = i,
                                               .online = true,
                                               .has_cpu = i < 2,
                                               .size_bytes = i < 2 ? 4096 * GIB : 16 * GIB,
                                               .tier = TIER_UNKNOWN };
        must("pools", pool_set_resolve(&d->topology, pools, 1, &d->pools, &error));
        must("config", config_new(&d->config));
        must("ledger", ledger_new(&d->ledger));
        must("queue", queue_new(&d->queue));
        d->config->rules = allocate(n_rules, sizeof(Rule *));
        for (uint32_t i = 0; i + 1 < n_rules; i++)
                desk_rule(d, text_of("training-", i, "-*.service"));
        desk_rule(d, strdup("*"));
        for (uint32_t i = 1; i <= n_reservations; i++)
                desk_reservation(d, i);
        d->subjects = allocate(n_waiters + 1, sizeof(Subject));
        d->waiting = allocate(n_waiters + 1, sizeof(Request));
        for (uint32_t i = 0; i < n_waiters; i++)
                desk_waiter(d, i);
        d->s = (Snapshot){ .topology = &d->topology,
                           .pools = d->pools,
                           .config = d->config,
                           .ledger = d->ledger,
                           .queue = d->queue,
                           .page_bytes = PAGE,
                           .now_usec = 1000000 };
        return d;
}

/* A request of a new unit and one of a unit that has a reservation, each with what follows from it. */
static void desk_use(const Desk *d)
{
        static const char *const units[] = { "new.service", "unit-000007.service" };

        for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
                Subject subject = { .unit = (char *)units[i], .uid = 0, .unit_uid = UID_NONE };
                Request q = { .pool = "hbm", .size_bytes = BULK_BYTES, .subject = &subject };
                PlanInput in = { .has_property = true };
                Decision *decision = NULL;
                Plan p;

                must("decide", decide(&d->s, &q, &decision));
                if (decision->verdict != VERDICT_GRANTED) {
                        fprintf(stderr, "decide: %s\n", decision->reason);
                        exit(EXIT_FAILURE);
                }
                in.base = in.current = d->pools->ordinary;
                in.wanted = ledger_tenant_nodes(d->ledger, units[i]);
                nodeset_add(&in.wanted, decision->shares[0].node);
                must("plan", plan(&in, &p));
                decision_free(decision);
        }
}

/* Of this thread: what else the machine does is not in it. */
static double thread_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Microseconds of one decision with its plan. */
static double desk_measure(const Desk *d)
{
        unsigned n = 0;
        double begin = thread_ms(), took;

        do {
                for (int i = 0; i < 10; i++)
                        desk_use(d);
                n += 20;
                took = thread_ms() - begin;
        } while (took < 20);
        return took * 1000 / n;
}

static void print_desks(const Desk *large, const Desk *small, const char *row)
{
        Pair pairs[25];

        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
                pairs[i] = (Pair){ desk_measure(large), desk_measure(small) };
        pairs_print(row, pairs, ARRAY_SIZE(pairs));
}

typedef Desk *(*desk_make_t)(uint32_t n);

static Desk *desk_of_reservations(uint32_t n)
{
        return desk_new(n, 1, 0);
}

static Desk *desk_of_rules(uint32_t n)
{
        return desk_new(10, n, 0);
}

static Desk *desk_of_waiters(uint32_t n)
{
        return desk_new(10, 1, n);
}

/* Prints the curve, and the row of two points of it. What a desk has is not given back. */
static void curve_of_desks(const char *curve, desk_make_t make, uint32_t last, uint32_t small,
                           uint32_t large, const char *row)
{
        const Desk *a = NULL, *b = NULL;

        for (uint32_t n = 10; n <= last; n *= 10) {
                const Desk *d = make(n);
                double took[5];

                for (size_t i = 0; i < ARRAY_SIZE(took); i++)
                        took[i] = desk_measure(d);
                print_point(curve, "µs", n, median(took, ARRAY_SIZE(took)));
                a = n == small ? d : a;
                b = n == large ? d : b;
        }
        if (a && b)
                print_desks(b, a, row);
}

static void measure_decisions(void)
{
        curve_of_desks("decide and plan, by reservations", desk_of_reservations, largest, 1000, 100000,
                       "decide and plan with 100,000 reservations|with 1,000|<=2|µs");
        curve_of_desks("decide and plan, by rules", desk_of_rules, largest / 10, 10, 1000,
                       "decide and plan with 1,000 rules, of which the last one matches|with 10||µs");
        curve_of_desks("decide and plan, by waiters", desk_of_waiters, largest, 1000, 100000,
                       "decide and plan with 100,000 waiters|with 1,000|<=2|µs");
}

/* --- whole cdmds -------------------------------------------------------------------------------------- */

static uint64_t status_number(const World *w, const char *file, const char *key)
{
        char path[64], line[256];
        uint64_t value = 0;

        snprintf(path, sizeof(path), "/proc/%d/%s", w->cdmd, file);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f))
                if (strncmp(line, key, strlen(key)) == 0)
                        value = strtoull(line + strlen(key), NULL, 10);
        if (f)
                fclose(f);
        return value;
}

static double cpu_ms(const World *w)
{
        struct timespec t = { 0 };
        clockid_t clock;

        if (clock_getcpuclockid(w->cdmd, &clock) != 0 || clock_gettime(clock, &t) < 0)
                fatal("clock", -errno);
        return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* What is started from now on belongs to that world. */
static void world_enter(World *w)
{
        char path[128];

        setenv("DBUS_SYSTEM_BUS_ADDRESS", w->address, 1);
        snprintf(path, sizeof(path), "%s/notify", w->root);
        setenv("NOTIFY_SOCKET", path, 1);
}

/* What is told of events is not read, and would fill the queue of the client. */
static void world_new(World *w)
{
        world_directory = "/dev/shm"; /* as /run: nothing waits for a disk */
        world_start(w);
        sd_bus_flush_close_unref(w->client);
        w->client = world_connect(w, geteuid());
}

static double restart_ms(World *w)
{
        world_enter(w);
        world_kill_cdmd(w, SIGTERM);
        double begin = now_ms();
        world_start_cdmd(w);
        return now_ms() - begin;
}

static double grant_ms(World *w)
{
        uint32_t id = 0;
        double begin = now_ms();
        int r = world_request(w->client, "cdm", BULK_BYTES, &id, 1, CDM_OPTION_UNIT, "s", "db.service");
        double took = now_ms() - begin;

        if (r < 0) {
                fprintf(stderr, "Request: %s\n", world_message);
                exit(EXIT_FAILURE);
        }
        must("Release", world_release(w->client, id));
        while (sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "GetReservation",
                                  NULL, NULL, "u", id) >= 0)
                usleep(1000);
        return took;
}

static void call(World *w, const char *member, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        va_list ap;

        must(member, sd_bus_message_new_method_call(w->client, &m, CDM_BUS_NAME, CDM_PATH,
                                                    CDM_INTERFACE_MANAGER, member));
        va_start(ap, types);
        if (*types)
                must(member, sd_bus_message_appendv(m, types, ap));
        va_end(ap);
        int r = sd_bus_call(w->client, m, 0, &error, NULL);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", member, error.message);
                exit(EXIT_FAILURE);
        }
}

static double reload_ms(World *w)
{
        char message[4096];
        double begin = now_ms();

        call(w, "Reload", "");
        double took = now_ms() - begin;
        /* What it tells systemd: where nobody reads that, it would wait in the end. */
        while (recv(w->notify, message, sizeof(message), MSG_DONTWAIT) > 0)
                continue;
        return took;
}

/* One page of what comes after that id: how many reservations are on it; *after is moved on, 0 after the last one. */
static int list_page(World *w, uint32_t *after)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int n = 0;

        int r = sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                   "ListReservations", NULL, &reply, "uua{sv}", *after, 1000, 0);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ua{sv})");
        while (r >= 0 && (r = sd_bus_message_skip(reply, "(ua{sv})")) > 0 && ++n)
                if ((r = sd_bus_message_at_end(reply, 0)) != 0)
                        break;
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "u", after);
        return r < 0 ? r : n;
}

/* All after that id, page by page: a page is shorter than what is asked for. */
static int list_rest(World *w, uint32_t after)
{
        int n = 0;

        do {
                int r = list_page(w, &after);
                if (r < 0)
                        return r;
                n += r;
        } while (after > 0);
        return n;
}

/* The last ones, at most 1,000. */
static double list_ms(World *w, uint32_t n)
{
        double begin = now_ms();
        int listed = list_rest(w, n > 1000 ? n - 1000 : 0);
        double took = now_ms() - begin;

        must("ListReservations", listed);
        if ((uint32_t)listed != (n > 1000 ? 1000 : n)) {
                fprintf(stderr, "ListReservations has %d of %" PRIu32 "\n", listed, n);
                exit(EXIT_FAILURE);
        }
        return took;
}

typedef struct Scale {
        const char *of; /* "reservations" */
        uint32_t n;
        World w;
} Scale;

static void scale_fill(Scale *s)
{
        char name[64], cgroup[128];

        world_enter(&s->w);
        world_kill_cdmd(&s->w, SIGTERM);
        if (strcmp(s->of, "reservations") == 0) {
                world_put_reservations(&s->w, 1, s->n, s->n < UNITS ? s->n : UNITS);
                return;
        }
        for (uint32_t i = 0; i < s->n; i++) {
                snprintf(name, sizeof(name), "leaf-%" PRIu32 ".service", i);
                snprintf(cgroup, sizeof(cgroup), "/system.slice/%s", name);
                world_add_unit(&s->w, name, "system.slice", cgroup, "");
        }
}

static void scale_point(const Scale *s, const char *what, const char *unit, double y)
{
        char curve[128];

        snprintf(curve, sizeof(curve), "%s, by %s", what, s->of);
        print_point(curve, unit, s->n, y);
}

/* Until it reads nothing any more: what a start leaves for later is no part of what comes then. */
static void settle(const World *w)
{
        uint64_t before = 0;
        int n_same = 0;

        while (n_same < 3) {
                usleep(300 * 1000);
                uint64_t reads = status_number(w, "io", "syscr:");
                n_same = reads == before ? n_same + 1 : 0;
                before = reads;
        }
}

static void scale_print(Scale *s)
{
        double took[15];

        uint32_t asked = world_steer(&s->w, "Asked", 0);
        scale_point(s, "start to READY", "ms", restart_ms(&s->w));
        scale_point(s, "RSS of cdmd", "MiB", (double)status_number(&s->w, "status", "VmRSS:") / 1024);
        scale_point(s, "processor time of a start", "ms", cpu_ms(&s->w));
        scale_point(s, "reads of a start", "calls", (double)status_number(&s->w, "io", "syscr:"));
        scale_point(s, "calls of PID 1 by a start", "calls", world_steer(&s->w, "Asked", 0) - asked);

        (void)grant_ms(&s->w);
        settle(&s->w);
        uint64_t reads = status_number(&s->w, "io", "syscr:"), writes = status_number(&s->w, "io", "syscw:");
        double cpu = cpu_ms(&s->w);
        asked = world_steer(&s->w, "Asked", 0);
        for (size_t i = 0; i < ARRAY_SIZE(took); i++)
                took[i] = grant_ms(&s->w);
        double n = ARRAY_SIZE(took);
        scale_point(s, "Request, until answered", "ms", median(took, ARRAY_SIZE(took)));
        scale_point(s, "processor time of a grant and release", "ms", (cpu_ms(&s->w) - cpu) / n);
        scale_point(s, "reads of a grant and release", "calls",
                    (double)(status_number(&s->w, "io", "syscr:") - reads) / n);
        scale_point(s, "writes of a grant and release", "calls",
                    (double)(status_number(&s->w, "io", "syscw:") - writes) / n);
        scale_point(s, "calls of PID 1 by a grant and release", "calls",
                    (world_steer(&s->w, "Asked", 0) - asked) / n);
        cpu = cpu_ms(&s->w);
        for (size_t i = 0; i < 5; i++)
                took[i] = reload_ms(&s->w);
        scale_point(s, "Reload", "ms", median(took, 5));
        scale_point(s, "processor time of a Reload", "ms", (cpu_ms(&s->w) - cpu) / 5);
        settle(&s->w);
        if (strcmp(s->of, "reservations") == 0) {
                for (size_t i = 0; i < ARRAY_SIZE(took); i++)
                        took[i] = list_ms(&s->w, s->n);
                scale_point(s, "a list of up to 1,000", "ms", median(took, ARRAY_SIZE(took)));
        }
}

/* Prints the curves, and rows of the sizes small and large, whose worlds stay. */
static void curves_of_worlds(const char *of, uint32_t last, uint32_t small, uint32_t large)
{
        static Scale a, b;
        char row[128];
        Pair pairs[25];

        a.n = b.n = 0;
        for (uint32_t n = 10; n <= last; n *= 10) {
                Scale *s = n == small ? &a : n == large ? &b : allocate(1, sizeof(Scale));
                s->of = of;
                s->n = n;
                world_new(&s->w);
                scale_fill(s);
                scale_print(s);
                if (n != small && n != large)
                        world_stop(&s->w);
        }
        if (!a.n || !b.n)
                return;
        settle(&a.w);
        settle(&b.w);
        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
                pairs[i] = (Pair){ grant_ms(&b.w), grant_ms(&a.w) };
        snprintf(row, sizeof(row), "`Request` with %" PRIu32 " %s|with %" PRIu32 "|<=2|ms", large, of,
                 small);
        pairs_print(row, pairs, ARRAY_SIZE(pairs));
        if (strcmp(of, "reservations") == 0) {
                for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
                        pairs[i] = (Pair){ list_ms(&b.w, large), list_ms(&a.w, small) };
                snprintf(row, sizeof(row), "a list of 1,000 out of %" PRIu32 " %s|out of %" PRIu32 "|<=2|ms",
                         large, of, small);
                pairs_print(row, pairs, ARRAY_SIZE(pairs));
        }
        world_stop(&a.w);
        world_stop(&b.w);
}

/* --- answers without I/O ------------------------------------------------------------------------------ */

static int answer_ping(World *w)
{
        return sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, "org.freedesktop.DBus.Peer", "Ping",
                                  NULL, NULL, NULL);
}

static int answer_all(World *w)
{
        return sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH_RESERVATION "/7",
                                  "org.freedesktop.DBus.Properties", "GetAll", NULL, NULL, "s",
                                  CDM_INTERFACE_RESERVATION);
}

static int answer_manager(World *w)
{
        return sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, "org.freedesktop.DBus.Properties",
                                  "GetAll", NULL, NULL, "s", CDM_INTERFACE_MANAGER);
}

static int answer_property(World *w)
{
        return sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH_RESERVATION "/7",
                                  "org.freedesktop.DBus.Properties", "Get", NULL, NULL, "ss",
                                  CDM_INTERFACE_RESERVATION, "Size");
}

static int answer_explain(World *w)
{
        return sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Explain", NULL,
                                  NULL, "sta{sv}", "cdm", BULK_BYTES, 1, CDM_OPTION_UNIT, "s", "db.service");
}

/* Refused by policy, which is no failure here. */
static int answer_denied(World *w)
{
        int r = sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Request", NULL,
                                   NULL, "sta{sv}", "cdm", 2 * GIB, 1, CDM_OPTION_UNIT, "s", "db.service");

        return r < 0 ? 0 : -EINVAL;
}

static int answer_get(World *w)
{
        return sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "GetReservation",
                                  NULL, NULL, "u", 7);
}

static int answer_list(World *w)
{
        int n = list_rest(w, 0);

        return n == 1000 ? n : -EIO;
}

static double rate(World *w, int (*answer)(World *w))
{
        unsigned n = 0;
        double begin = now_ms(), took;

        do {
                must("call", answer(w));
                n++;
                took = now_ms() - begin;
        } while (took < 20);
        return n * 1000 / took;
}

static void print_rates(World *w, const char *row, int (*ours)(World *w), int (*reference)(World *w),
                        double times)
{
        Pair pairs[100];

        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
                pairs[i] = (Pair){ rate(w, ours), rate(w, reference) / times };
        pairs_print(row, pairs, ARRAY_SIZE(pairs));
}

static void measure_answers(void)
{
        static Scale s = { .of = "reservations", .n = 1000 };

        world_new(&s.w);
        scale_fill(&s);
        (void)restart_ms(&s.w);
        print_rates(&s.w, "`Get` of one property|`Ping` of cdmd|>=0.7|/s", answer_property, answer_ping, 1);
        print_rates(&s.w, "`GetReservation`|`Ping` of cdmd|>=0.7|/s", answer_get, answer_ping, 1);
        print_rates(&s.w, "`Explain`|`Ping` of cdmd|>=0.7|/s", answer_explain, answer_ping, 1);
        print_rates(&s.w, "a `Request` that policy denies|`Ping` of cdmd|>=0.7|/s", answer_denied,
                    answer_ping, 1);
        print_rates(&s.w, "`GetAll` of the manager|`Ping` of cdmd||/s", answer_manager, answer_ping, 1);
        print_rates(
                &s.w,
                "a list of 1,000, by pages of `ListReservations`|1,000 `GetAll` of a reservation|>=0.7|/s",
                answer_list, answer_all, 1000);
        world_stop(&s.w);
}

/* world.c can only be used in a test. */
START_TEST(bench)
{
        if (!only || strcmp(only, "decisions") == 0)
                measure_decisions();
        if (!only || strcmp(only, "answers") == 0)
                measure_answers();
        if (!only || strcmp(only, "reservations") == 0)
                curves_of_worlds("reservations", largest, 1000, 100000);
        if (!only || strcmp(only, "cgroups") == 0)
                curves_of_worlds("cgroups", largest / 10, 1000, 10000);
}
END_TEST

int main(int argc, char **argv)
{
        Suite *s = suite_create("bench-scale");
        TCase *c = tcase_create("bench");

        if (argc > 1)
                largest = (uint32_t)strtoul(argv[1], NULL, 10);
        if (argc > 2)
                only = argv[2];
        setenv("CK_FORK", "no", 1);
        tcase_set_timeout(c, 0);
        tcase_add_test(c, bench);
        suite_add_tcase(s, c);
        return check_main(s);
}
