/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A tenant comes to a node, or leaves it: which clients are told, how often, and how many in one turn of the
 * event loop. */

#include "tests/unit/check-main.h"

#include <stdio.h>
#include <string.h>

#include "daemon/tenant/neighbours.h"

#define NODE 2

enum { MANY = 200, TOLD_A_TURN = 32 /* SLICE of neighbours.c */ };

static sd_event *event;
static Ledger *ledger;
static Notify *notify;
static Neighbours *neighbours;
static uint32_t last_id;
static unsigned n_told, n_told_of[2 * MANY];

static void on_notice(const Notice *n, void *userdata _unused_)
{
        MUST(n->kind == NOTICE_RESERVATION_CHANGED);
        MUST(n->changed == RESERVATION_CHANGED_STRENGTH);
        MUST(n->id < 2 * MANY);
        n_told_of[n->id]++;
        n_told++;
}

static void start(void)
{
        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(ledger_new(&ledger), 0);
        ck_assert_int_eq(notify_new(&notify), 0);
        ck_assert_int_eq(notify_subscribe(notify, on_notice, NULL), 0);
        ck_assert_int_eq(neighbours_new(event, ledger, notify, &neighbours), 0);
        last_id = 0;
        n_told = 0;
        memset(n_told_of, 0, sizeof(n_told_of));
}

static void stop(void)
{
        neighbours_free(neighbours);
        notify_free(notify);
        ledger_free(ledger);
        sd_event_unref(event);
}

static uint32_t come(const char *unit)
{
        Reservation *r;

        MUST(reservation_new(&r) == 0);
        r->id = ++last_id;
        r->state = RESERVATION_ACTIVE;
        r->pool = strdup("cdm");
        if (!r->target)
                r->target = calloc(1, sizeof(*r->target));
        r->target->unit = strdup(unit);
        MUST(reservation_set_shares(r, &(Share){ NODE, 4096 }, 1) == 0);
        MUST(ledger_add(ledger, r) == 0);
        neighbours_tell(neighbours, r);
        return r->id;
}

static void go(uint32_t id)
{
        Reservation *r = ledger_take(ledger, id);

        MUST(r);
        neighbours_tell(neighbours, r);
        reservation_free(r);
}

/* Until all are told; how many they were. */
static unsigned told(void)
{
        unsigned before = n_told;
        int r;

        do {
                unsigned n = n_told;

                r = sd_event_run(event, 0);
                ck_assert_int_ge(r, 0);
                ck_assert_uint_le(n_told - n, TOLD_A_TURN);
        } while (r > 0);
        return n_told - before;
}

static void come_many(const char *unit)
{
        for (unsigned i = 0; i < MANY; i++)
                (void)come(unit);
}

START_TEST(one_tenant_alone_hears_nothing)
{
        come_many("a.service");
        ck_assert_uint_eq(told(), 0);
        go(come("a.service"));
        go(1);
        ck_assert_uint_eq(told(), 0);
}
END_TEST

/* Only the first reservation of a second tenant, and the end of its last one, change anything. */
START_TEST(others_hear_once_of_one_that_comes_and_goes)
{
        come_many("a.service");
        uint32_t first = come("b.service");
        ck_assert_uint_eq(told(), MANY);
        go(come("b.service"));
        go(come("a.service"));
        uint32_t second = come("b.service");
        go(come("c.service"));
        go(come("c.service"));
        go(first);
        ck_assert_uint_eq(told(), 0);
        go(second);
        ck_assert_uint_eq(told(), MANY);
        for (uint32_t id = 1; id <= MANY; id++)
                ck_assert_uint_eq(n_told_of[id], 2);
}
END_TEST

/* A tenant may come and go before the others are told. The last part is freed in the middle. */
START_TEST(many_wait_to_be_told)
{
        come_many("a.service");
        uint32_t id = come("b.service");
        go(id);
        ck_assert_uint_eq(told(), 2 * MANY);
        (void)come("b.service");
        ck_assert_int_gt(sd_event_run(event, 0), 0);
        ck_assert_uint_eq(n_told, 2 * MANY + TOLD_A_TURN);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("neighbours");
        TCase *t = tcase_create("neighbours");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, one_tenant_alone_hears_nothing);
        tcase_add_test(t, others_hear_once_of_one_that_comes_and_goes);
        tcase_add_test(t, many_wait_to_be_told);
        suite_add_tcase(s, t);
        return check_main(s);
}
