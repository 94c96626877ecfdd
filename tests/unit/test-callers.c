/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/bus-pair.h"
#include "tests/unit/check-main.h"
#include "tests/unit/fake-clients.h"

#include <stdio.h>
#include <string.h>

#include "daemon/bus/bus-callers.h"
#include "daemon/bus/bus-text.h"
#include "policy/cdm-names.h"

static sd_event *event;
static sd_bus *client, *server;
static BusCallers *callers;
static unsigned n_added, n_refused, n_ready;

static void on_ready(void *userdata _unused_)
{
        n_ready++;
}

static int on_call(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
        if (!sd_bus_message_is_method_call(m, NULL, "Ask"))
                return 0;
        MUST(bus_callers_add(callers, m, "questions", NULL) == 1);
        n_added++;
        return 1;
}

static int on_reply(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
        MUST(sd_bus_message_is_method_error(m, CDM_ERROR_BUSY));
        MUST(strstr(sd_bus_message_get_error(m)->message, "questions"));
        n_refused++;
        return 1;
}

static void setup(void)
{
        ck_assert_int_ge(sd_event_new(&event), 0);
        bus_pair_new(event, on_call, &server, &client);
        ck_assert_int_eq(bus_callers_new(NULL, NULL, &bus_limits_lists, on_ready, NULL, &callers), 0);
        n_added = n_refused = n_ready = 0;
        all_are_cached = false;
}

static void teardown(void)
{
        callers = bus_callers_free(callers);
        sd_bus_close_unref(client);
        sd_bus_close_unref(server);
        sd_event_unref(event);
}

/* n calls of one connection. */
static void ask(unsigned uid, unsigned connection, unsigned n)
{
        for (; n > 0; n--) {
                sd_bus_message *m = fake_call(client, uid, connection, "Ask");

                MUST(sd_bus_call_async(client, NULL, m, on_reply, NULL, UINT64_MAX) >= 0);
                sd_bus_message_unref(m);
        }
        bus_pair_settle(event);
}

/* Whose call is next; 0: none waits. */
static unsigned next(void)
{
        sd_bus_message *m = bus_callers_next(callers, NULL, NULL);
        unsigned uid = 0;

        if (m)
                uid = sender_of(sd_bus_message_get_sender(m)).uid;
        sd_bus_message_unref(m);
        return uid;
}

START_TEST(users_are_served_in_turn)
{
        ask(ALICE, 1, 4);
        ask(ALICE, 2, 4);
        ask(BOB, 3, 2);
        ask(CAROL, 4, 1);
        static const unsigned order[] = { ALICE, BOB, CAROL, ALICE, BOB, ALICE, ALICE, ALICE };
        for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
                ck_assert_uint_eq(next(), order[i]);
        /* One who comes anew waits for one call of another user, not for all of them. */
        ask(BOB, 3, 1);
        ck_assert_uint_eq(next(), ALICE);
        ck_assert_uint_eq(next(), BOB);
        ck_assert_uint_eq(next(), ALICE);
        ck_assert_uint_eq(next(), ALICE);
        ck_assert_uint_eq(next(), 0);
        ck_assert_uint_eq(n_ready, n_added);
        ck_assert_uint_eq(n_refused, 0);
}
END_TEST

START_TEST(a_connection_and_a_user_have_a_limit)
{
        ask(ALICE, 1, 5);
        ck_assert_uint_eq(n_refused, 1);
        for (unsigned i = 2; i <= 5; i++)
                ask(ALICE, i, 4);
        ck_assert_uint_eq(n_refused, 1 + 4);
        ask(BOB, 6, 4);
        ck_assert_uint_eq(n_refused, 5);
        /* What is taken makes room. */
        ck_assert_uint_eq(next(), ALICE);
        ask(ALICE, 7, 2);
        ck_assert_uint_eq(n_refused, 6);
}
END_TEST

START_TEST(of_whom_the_bus_is_asked_first)
{
        ask(2000, 1, 5);
        ck_assert_uint_eq(n_refused, 1); /* the limit of a connection holds before */
        for (unsigned i = 2; i <= 5; i++)
                ask(2000, i, 4);
        ask(BOB, 6, 1);
        ck_assert_uint_eq(n_ready, 1);
        ck_assert_uint_eq(next(), BOB);
        ck_assert_uint_eq(next(), 0);
        answer_all(0);
        bus_pair_settle(event);
        ck_assert_uint_eq(n_refused, 1 + 4);
        for (unsigned i = 0; i < 16; i++)
                ck_assert_uint_eq(next(), 2000);
        ck_assert_uint_eq(next(), 0);
        /* One that is gone has no answer. */
        ask(2001, 7, 2);
        answer_all(-ENXIO);
        ck_assert_uint_eq(next(), 0);
        bus_pair_settle(event);
        ck_assert_uint_eq(n_refused, 5);
}
END_TEST

/* The bus has been asked who that is for the first call, and somebody else knows it for the second one. */
START_TEST(calls_of_a_connection_stay_in_order)
{
        uint64_t cookie[2];

        ask(2000, 1, 1);
        all_are_cached = true;
        ask(2000, 1, 1);
        ck_assert_uint_eq(next(), 0);
        answer_all(0);
        for (int i = 0; i < 2; i++) {
                sd_bus_message *m = bus_callers_next(callers, NULL, NULL);
                ck_assert_ptr_nonnull(m);
                ck_assert_int_ge(sd_bus_message_get_cookie(m, &cookie[i]), 0);
                sd_bus_message_unref(m);
        }
        ck_assert_uint_lt(cookie[0], cookie[1]);
}
END_TEST

START_TEST(who_leaves_takes_the_calls_along)
{
        ask(ALICE, 1, 3);
        ask(ALICE, 2, 1);
        ask(2000, 3, 2);
        leave(ALICE, 1);
        leave(2000, 3);
        n_fetches = 0; /* nobody waits for these any more */
        ck_assert_uint_eq(next(), ALICE);
        ck_assert_uint_eq(next(), 0);
        /* What was taken counts no longer. */
        ask(ALICE, 1, 4);
        ck_assert_uint_eq(n_refused, 0);
}
END_TEST

/* Whoever is at the other end reads the question after all that was sent before. */
START_TEST(a_pause_ends_when_the_bus_has_read)
{
        ask(ALICE, 1, 2);
        ck_assert_uint_eq(next(), ALICE);
        bus_callers_pause(callers, server);
        ck_assert_uint_eq(next(), 0);
        unsigned before = n_ready;
        bus_pair_settle(event);
        ck_assert_uint_eq(n_ready, before + 1);
        ck_assert_uint_eq(next(), ALICE);
        bus_callers_pause(callers, server); /* that ends with the callers */
}
END_TEST

/* Neither many rows nor long ones make a reply that the bus does not carry. */
START_TEST(rows_have_an_end)
{
        BusRows many = { 0 }, longest = { 0 };

        for (unsigned i = 0; i < BUS_ROWS_MAX; i++)
                ck_assert(bus_rows_take(&many, 100));
        for (unsigned i = 1; i <= 5; i++) {
                ck_assert(!bus_rows_take(&many, 0));
                ck_assert_uint_eq(many.n_left, i);
        }
        while (bus_rows_take(&longest, 2 * 4096))
                ;
        ck_assert_uint_eq(longest.n, BUS_ROWS_BYTES_MAX / (2 * 4096));
        ck_assert(!bus_rows_take(&longest, 0));
        ck_assert_uint_eq(longest.n_left, 2);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("callers");
        TCase *t = tcase_create("callers");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_set_timeout(t, 120);
        tcase_add_test(t, users_are_served_in_turn);
        tcase_add_test(t, a_connection_and_a_user_have_a_limit);
        tcase_add_test(t, of_whom_the_bus_is_asked_first);
        tcase_add_test(t, calls_of_a_connection_stay_in_order);
        tcase_add_test(t, who_leaves_takes_the_calls_along);
        tcase_add_test(t, a_pause_ends_when_the_bus_has_read);
        tcase_add_test(t, rows_have_an_end);
        suite_add_tcase(s, t);
        return check_main(s);
}
