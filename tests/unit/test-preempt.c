/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <string.h>

#include "policy/place.h"
#include "policy/preempt.h"
#include "tests/unit/check-main.h"

#define PAGE UINT64_C(4096)

static Ledger *ledger;
static PreemptNode nodes[3];
static PreemptInput in;

static void start(void)
{
        ck_assert_int_eq(ledger_new(&ledger), 0);
        nodes[0] = (PreemptNode){ 2, 100 * PAGE };
        nodes[1] = (PreemptNode){ 3, 100 * PAGE };
        in = (PreemptInput){ .ledger = ledger,
                             .nodes = nodes,
                             .n_nodes = 2,
                             .tenant = "asker.service",
                             .priority = 10,
                             .size_bytes = 50 * PAGE,
                             .page_bytes = PAGE };
}

static void stop(void)
{
        ledger_free(ledger);
}

/* pages of node 2, and of node 3 */
static Reservation *hold(uint32_t id, const char *unit, int32_t priority, unsigned two, unsigned three)
{
        Share shares[2];
        size_t n_shares = 0;
        Reservation *r;

        ck_assert_int_eq(reservation_new(&r), 0);
        if (!r->target)
                r->target = calloc(1, sizeof(*r->target));
        r->id = id;
        r->pool = strdup("hbm");
        r->target->unit = strdup(unit);
        r->priority = priority;
        r->state = RESERVATION_ACTIVE;
        if (two)
                shares[n_shares++] = (Share){ 2, two * PAGE };
        if (three)
                shares[n_shares++] = (Share){ 3, three * PAGE };
        ck_assert_int_eq(reservation_set_shares(r, shares, n_shares), 0);
        r->size_bytes = (two + three) * PAGE;
        ck_assert_int_eq(ledger_add(ledger, r), 0);
        return r;
}

/* "no-room", "wait", or the ids */
static void expect(const char *expected)
{
        PreemptVerdict verdict;
        char text[256] = "";
        Victim *v;
        size_t n;

        ck_assert_int_eq(preempt(&in, &verdict, &v, &n), 0);
        if (verdict != PREEMPT_DISPLACE) {
                ck_assert_uint_eq(n, 0);
                snprintf(text, sizeof(text), "%s", verdict == PREEMPT_WAIT ? "wait" : "no-room");
        }
        for (size_t i = 0; i < n; i++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u", i ? " " : "", v[i].id);
        free(v);
        ck_assert_str_eq(text, expected);
}

START_TEST(buffers_are_not_taken_away)
{
        Reservation *r = hold(1, "a.service", 0, 100, 0);

        hold(2, "b.service", 10, 0, 100);
        r->exact_bytes = PAGE;
        expect("no-room");
        r->exact_bytes = 0;
        expect("1");
}
END_TEST

START_TEST(strictly_lower_priorities_of_others)
{
        hold(1, "a.service", 10, 100, 0);
        hold(2, "b.service", 11, 0, 100);
        expect("no-room");
        in.priority = 11;
        expect("1");
        in.tenant = "a.service";
        expect("no-room");
        in.priority = 12;
        expect("2");
}
END_TEST

START_TEST(as_few_bytes_as_needed)
{
        hold(1, "a.service", 0, 90, 0);
        hold(2, "b.service", 9, 0, 30);
        hold(3, "c.service", 9, 0, 25);
        hold(4, "d.service", 5, 0, 45);
        hold(5, "e.service", 10, 10, 0);
        /* 55 = 2 and 3 is less than 75 = 2 and 4, 70 = 3 and 4, and 90 */
        expect("2 3");
        in.size_bytes = 40 * PAGE;
        expect("4");
        in.size_bytes = 30 * PAGE;
        expect("2");
        in.size_bytes = 200 * PAGE;
        expect("no-room");
        in.size_bytes = 190 * PAGE;
        expect("1 2 3 4");
        in.size_bytes = 191 * PAGE;
        expect("no-room");
}
END_TEST

START_TEST(among_equals_the_lower_priority_then_the_younger)
{
        hold(1, "a.service", 3, 50, 0);
        hold(2, "b.service", 1, 50, 0);
        hold(3, "c.service", 1, 0, 50);
        hold(4, "d.service", 3, 0, 50);
        expect("3");
        in.size_bytes = 100 * PAGE;
        expect("2 3");
        in.size_bytes = 150 * PAGE;
        expect("2 3 4");
}
END_TEST

START_TEST(who_leaves_already_makes_room)
{
        Reservation *a = hold(1, "a.service", 50, 60, 0), *b = hold(2, "b.service", 0, 40, 100);

        expect("2");
        ck_assert_int_eq(ledger_set_state(ledger, a, RESERVATION_REVOKING), 0);
        expect("wait");
        ck_assert_int_eq(ledger_set_state(ledger, a, RESERVATION_DRAINING), 0);
        expect("wait");
        a->stuck = true;
        ck_assert_int_eq(ledger_set_shares(ledger, a, a->shares, a->n_shares), 0);
        expect("2");
        b->priority = 10;
        expect("no-room");
}
END_TEST

START_TEST(whole_nodes)
{
        hold(1, "a.service", 0, 10, 0);
        hold(2, "b.service", 0, 10, 0);
        hold(3, "c.service", 5, 0, 30);
        in.whole = true;
        expect("1 2");
        hold(4, "d.service", 10, 1, 0);
        expect("3");
        hold(5, "asker.service", 0, 0, 60);
        expect("no-room");
}
END_TEST

START_TEST(who_has_a_node_for_himself)
{
        Reservation *r;

        ck_assert_int_eq(reservation_new(&r), 0);
        if (!r->target)
                r->target = calloc(1, sizeof(*r->target));
        *r = (Reservation){ .id = 1, .target = r->target, .state = RESERVATION_ACTIVE, .exclusive = true };
        r->target->unit = strdup("a.service");
        /* it was charged before the last 40 pages came free */
        ck_assert_int_eq(reservation_set_shares(r, &(Share){ 2, 60 * PAGE }, 1), 0);
        r->size_bytes = 60 * PAGE;
        ck_assert_int_eq(ledger_add(ledger, r), 0);
        hold(2, "b.service", 0, 0, 100);
        expect("1");
        r->priority = 10;
        expect("2");
}
END_TEST

START_TEST(of_many_none_can_be_left_out)
{
        for (uint32_t id = 1; id <= 100; id++) {
                char unit[32];

                snprintf(unit, sizeof(unit), "u%u.service", id);
                hold(id, unit, (int32_t)id % 7, 1, 1);
        }
        in.size_bytes = 5 * PAGE;

        PreemptVerdict verdict;
        Victim *v;
        size_t n;
        ck_assert_int_eq(preempt(&in, &verdict, &v, &n), 0);
        ck_assert_int_eq(verdict, PREEMPT_DISPLACE);
        ck_assert_uint_eq(n, 3);
        for (size_t i = 0; i < n; i++)
                ck_assert_int_eq(v[i].priority, 0);
        ck_assert_uint_eq(v[2].id, 98);
        free(v);
}
END_TEST

/* Those that may not be displaced cost nothing, and of those that may be only some are looked at. */
static size_t visits(uint32_t n, int32_t priority)
{
        size_t n_visits = SIZE_MAX, n_victims;
        PreemptVerdict verdict;
        Victim *v;

        for (uint32_t id = 1; id <= n; id++) {
                char unit[32];

                snprintf(unit, sizeof(unit), "u%u.service", id);
                hold(id, unit, priority, 1, 1);
        }
        nodes[0].capacity_bytes = nodes[1].capacity_bytes = n * PAGE;
        in.size_bytes = 5 * PAGE;
        in.ret_n_visits = &n_visits;
        ck_assert_int_eq(preempt(&in, &verdict, &v, &n_victims), 0);
        ck_assert_int_eq(verdict, priority < in.priority ? PREEMPT_DISPLACE : PREEMPT_NO_ROOM);
        ck_assert_uint_eq(n_victims, priority < in.priority ? 3 : 0);
        free(v);
        stop();
        start();
        return n_visits;
}

START_TEST(the_cost_does_not_grow)
{
        ck_assert_uint_eq(visits(1000, 10), 0);
        ck_assert_uint_eq(visits(100000, 11), 0);
        size_t few = visits(10000, 9);
        ck_assert_uint_gt(few, 0);
        ck_assert_uint_le(few, 512);
        ck_assert_uint_eq(visits(100000, 9), few);
}
END_TEST

/* How often the search asked whether a set is enough; the linker puts __wrap_place() in between. */
static size_t n_placed;

bool __real_place(Candidate *, size_t, uint64_t, bool, Placement *);
bool __wrap_place(Candidate *, size_t, uint64_t, bool, Placement *);

bool __wrap_place(Candidate *candidates, size_t n, uint64_t size_bytes, bool whole, Placement *ret)
{
        n_placed++;
        return __real_place(candidates, n, size_bytes, whole, ret);
}

/* Half of 16 equal candidates are needed: there are 12,870 such sets, and each is as good as the others. The
 * search ends after STEPS_MAX steps, with one of them. */
START_TEST(the_search_has_an_end)
{
        enum { CANDIDATES = 16 /* SEARCH_MAX */, STEPS = 2048 /* STEPS_MAX */ };
        PreemptVerdict verdict;
        Victim *v;
        size_t n;

        for (uint32_t id = 1; id <= CANDIDATES; id++) {
                char unit[32];

                snprintf(unit, sizeof(unit), "u%u.service", id);
                hold(id, unit, 0, 6, 0);
        }
        in.n_nodes = 1;
        nodes[0].capacity_bytes = CANDIDATES * 6 * PAGE;
        in.size_bytes = CANDIDATES / 2 * 6 * PAGE;
        n_placed = 0;
        ck_assert_int_eq(preempt(&in, &verdict, &v, &n), 0);
        ck_assert_int_eq(verdict, PREEMPT_DISPLACE);
        ck_assert_uint_eq(n, CANDIDATES / 2);
        ck_assert_uint_gt(n_placed, CANDIDATES);
        ck_assert_uint_le(n_placed, STEPS + CANDIDATES);
        free(v);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("preempt");
        TCase *t = tcase_create("preempt");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, buffers_are_not_taken_away);
        tcase_add_test(t, strictly_lower_priorities_of_others);
        tcase_add_test(t, as_few_bytes_as_needed);
        tcase_add_test(t, among_equals_the_lower_priority_then_the_younger);
        tcase_add_test(t, who_leaves_already_makes_room);
        tcase_add_test(t, whole_nodes);
        tcase_add_test(t, who_has_a_node_for_himself);
        tcase_add_test(t, of_many_none_can_be_left_out);
        tcase_add_test(t, the_cost_does_not_grow);
        tcase_add_test(t, the_search_has_an_end);
        tcase_set_timeout(t, 0);
        suite_add_tcase(s, t);
        return check_main(s);
}
