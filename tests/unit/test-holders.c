/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The rows of ListHolders, of made-up observations: what they cost, and that nothing gets lost. */

#include <stdio.h>
#include <string.h>

#include "daemon/keeper/holders.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/core.h"
#include "policy/config.h"
#include "tests/unit/check-main.h"

#define NODE        2
#define KIB         UINT64_C(1024)
#define ROWS_A_TURN 64 /* HOLDERS_SLICE */

static Core core;
static Book book;
static BufferSet *buffers;
static Observation o;
static Unattributed unattributed;

static void add_reservations(unsigned n)
{
        for (unsigned i = 1; i <= n; i++) {
                char name[64], cgroup[96];
                Reservation *r;

                snprintf(name, sizeof(name), "u%u.service", i);
                snprintf(cgroup, sizeof(cgroup), "/system.slice/%s", name);
                MUST(reservation_new(&r) == 0);
                r->id = i;
                r->state = RESERVATION_ACTIVE;
                r->size_bytes = KIB;
                if (!r->target)
                        r->target = calloc(1, sizeof(Subject));
                r->target->unit = strdup(name);
                r->target->cgroup = strdup(cgroup);
                MUST(reservation_set_shares(r, &(Share){ NODE, KIB }, 1) == 0);
                MUST(ledger_add(book.ledger, r) == 0);
        }
}

/* n holders below u1.service, with a path of so many letters, and one that is nobody's. */
static void observe(unsigned n, int letters)
{
        o.holders = calloc(n + 1, sizeof(*o.holders));
        o.nodes = calloc(1, sizeof(*o.nodes));
        o.nodes[o.n_nodes++].node = NODE;
        for (unsigned i = 0; i < n; i++) {
                Holder *h = &o.holders[o.n_holders++];
                MUST(asprintf(&h->cgroup, "/system.slice/u1.service/%0*u", letters, i) > 0);
                h->bytes = (NumaBytes){ .node = NODE, .anon = KIB };
        }
        Holder *h = &o.holders[o.n_holders++];
        h->cgroup = strdup("/system.slice/z.service");
        h->bytes = (NumaBytes){ .node = NODE, .anon = 3 * KIB };
}

static void start(void)
{
        book = (Book){ .core = &core, .config = calloc(1, sizeof(Config)) };
        o = (Observation){ 0 };
        ck_assert_int_eq(ledger_new(&book.ledger), 0);
        ck_assert_int_eq(buffers_new(&book, NULL, NULL, NULL, &buffers), 0);
}

static void stop(void)
{
        for (size_t i = 0; i < o.n_holders; i++)
                free(o.holders[i].cgroup);
        free(o.holders);
        free(o.nodes);
        buffers_free(buffers);
        ledger_free(book.ledger);
        free(book.config);
}

static const HolderRow *make(HolderRows **rows, size_t *ret_n)
{
        char **units = calloc(o.n_holders, sizeof(*units));
        size_t n_turns = 1;
        int r;

        ck_assert_int_eq(holder_rows_new(&book, buffers, NULL, &o, units, &unattributed, rows), 0);
        for (; (r = holder_rows_make(*rows)) == 0; n_turns++)
                ;
        ck_assert_int_eq(r, 1);
        ck_assert_uint_ge(n_turns, o.n_holders / ROWS_A_TURN);
        free(units);
        return holder_rows(*rows, ret_n);
}

START_TEST(a_holder_costs_no_walk_over_all_reservations)
{
        enum { RESERVATIONS = 3000, HOLDERS = 500 };
        _cleanup_(holder_rows_free_p) HolderRows *rows = NULL;
        size_t n;

        add_reservations(RESERVATIONS);
        observe(HOLDERS, 4);
        size_t before = ledger_visited(book.ledger);
        const HolderRow *row = make(&rows, &n);
        ck_assert_uint_le(ledger_visited(book.ledger) - before, 2 * HOLDERS);
        ck_assert_uint_eq(n, HOLDERS + 1);
        ck_assert_str_eq(row[0].kind, "reserved");
        ck_assert_str_eq(row[0].unit, "u1.service");
        ck_assert_str_eq(row[n - 1].kind, "intruder");
        ck_assert_str_eq(row[n - 1].cgroup, "/system.slice/z.service");
}
END_TEST

START_TEST(an_answer_stays_below_what_the_bus_takes)
{
        enum { HOLDERS = 10000, LETTERS = 4000 };
        _cleanup_(holder_rows_free_p) HolderRows *rows = NULL;
        uint64_t text = 0, sum = 0;
        size_t n;

        add_reservations(2);
        observe(HOLDERS, LETTERS);
        const HolderRow *row = make(&rows, &n);
        for (size_t i = 0; i < n; i++) {
                text += strlen(row[i].cgroup);
                sum += numa_bytes_all(&row[i].bytes);
        }
        ck_assert_uint_lt(text, 16 << 20);
        ck_assert_uint_eq(sum, (HOLDERS + 3) * KIB);
        /* A rest for each kind. */
        ck_assert_str_eq(row[n - 2].kind, "reserved");
        ck_assert_str_eq(row[n - 2].cgroup, "");
        ck_assert_ptr_nonnull(strstr(row[n - 2].name, "other: "));
        ck_assert_str_eq(row[n - 1].kind, "intruder");
        ck_assert_str_eq(row[n - 1].name, "other: 1 more control groups");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("holders");
        TCase *c = tcase_create("holders");

        tcase_set_timeout(c, 0);
        tcase_add_checked_fixture(c, start, stop);
        tcase_add_test(c, a_holder_costs_no_walk_over_all_reservations);
        tcase_add_test(c, an_answer_stays_below_what_the_bus_takes);
        suite_add_tcase(s, c);
        return check_main(s);
}
