/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How does what cdmd does grow with the number of reservations, rules, waiters and cgroups? Prints rows and points for
 * tests/bench/report.
 *
 *   bench-scale [LARGEST [PART]]      100,000 reservations, 10,000 cgroups; decisions, answers, reservations, cgroups,
 *                                     vanishing, foreign, nodes
 *
 * Decisions are those of decide() and plan() in this process. All else is asked of whole cdmds: scale-world.c,
 * scale-change.c. */

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/decide.h"
#include "policy/macro.h"
#include "policy/plan.h"
#include "tests/bench/scale.h"
#include "tests/unit/check-main.h"
#include "tests/vm/programs/pairs.h"

#define PAGE  UINT64_C(4096)
#define NODES 64

static uint32_t largest = 100000;
static const char *only;

void fatal(const char *what, int r)
{
        fprintf(stderr, "%s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

void *allocate(size_t n, size_t size)
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

void must(const char *what, int r)
{
        if (r < 0)
                fatal(what, r);
}

void print_point(const char *curve, const char *unit, double x, double y)
{
        printf("point|%s|%s|%.0f|%.6g\n", curve, unit, x, y);
        fflush(stdout);
}

static int compare(const void *a, const void *b)
{
        const double *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

double median(double *values, size_t n)
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
        const Share share = { .node = 2 + (int)(id % (NODES - 2)), .bytes = BULK_BYTES };
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
        must("reservation_set_shares", reservation_set_shares(r, &share, 1));
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
        if (!only || strcmp(only, "vanishing") == 0)
                measure_vanishing(largest);
        if (!only || strcmp(only, "foreign") == 0)
                measure_foreign(largest / 10);
        if (!only || strcmp(only, "nodes") == 0)
                measure_nodes();
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
