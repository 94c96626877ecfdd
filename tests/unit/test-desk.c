/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/bus-pair.h"
#include "tests/unit/check-main.h"
#include "tests/unit/fake-clients.h"

#include "daemon/bus/bus-desk.h"
#include "daemon/bus/bus-internal.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "policy/cdm-names.h"

#define CALLS 3000

static sd_event *event;
static sd_bus *client, *server;
static Core core;
static Book book;
static Bus bus;
static BusCall *calls[CALLS]; /* that have begun, in that order */
static uint64_t cookies[CALLS];
static unsigned n_begun, n_answered, n_refused, n_read;
static bool has_pong;

/* In place of daemon/loop/clock.c: time goes by when a test says so. */
static uint64_t now_usec;

uint64_t clock_monotonic_usec(void)
{
        return now_usec;
}

static int begin_work(Bus *b, sd_bus_message *m, sd_bus_error *error _unused_)
{
        MUST(b == &bus);
        MUST(sd_bus_message_get_cookie(m, &cookies[n_begun]) >= 0);
        return bus_call_new(b->calls, m, &calls[n_begun++]);
}

static int begin_nonsense(Bus *b _unused_, sd_bus_message *m _unused_, sd_bus_error *error)
{
        return sd_bus_error_set(error, CDM_ERROR_INVALID, "nonsense");
}

static int on_call(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
        n_read++;
        if (sd_bus_message_is_method_call(m, NULL, "Work"))
                return bus_desk_add(bus.desk, m, begin_work);
        if (sd_bus_message_is_method_call(m, NULL, "Nonsense"))
                return bus_desk_add(bus.desk, m, begin_nonsense);
        return 0;
}

static int on_reply(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
        n_refused += sd_bus_message_is_method_error(m, CDM_ERROR_BUSY) > 0 ||
                     sd_bus_message_is_method_error(m, CDM_ERROR_INVALID) > 0;
        n_answered++;
        return 1;
}

static int on_pong(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
        MUST(!sd_bus_message_is_method_error(m, NULL));
        has_pong = true;
        return 1;
}

static void setup(void)
{
        ck_assert_int_ge(sd_event_new(&event), 0);
        bus_pair_new(event, on_call, &server, &client);
        bus_pair_settle(event); /* they are connected */
        core = (Core){ .event = event };
        book = (Book){ .core = &core };
        bus = (Bus){ .bus = server, .book = &book };
        ck_assert_int_eq(bus_calls_new(&bus, NULL, &bus.calls), 0);
        ck_assert_int_eq(bus_desk_new(&bus, &bus.desk), 0);
        MUST(sd_event_now(event, CLOCK_MONOTONIC, &now_usec) >= 0);
        n_begun = n_answered = n_refused = n_read = 0;
        has_pong = false;
}

static void teardown(void)
{
        bus_desk_free(bus.desk);
        bus_calls_free(bus.calls);
        sd_bus_close_unref(client);
        sd_bus_close_unref(server);
        sd_event_unref(event);
}

static void send_call(unsigned uid, unsigned connection, const char *member)
{
        sd_bus_message *m = fake_call(client, uid, connection, member);

        MUST(sd_bus_call_async(client, NULL, m, on_reply, NULL, UINT64_MAX) >= 0);
        sd_bus_message_unref(m);
}

static void work(unsigned uid, unsigned connection, unsigned n)
{
        for (; n > 0; n--)
                send_call(uid, connection, "Work");
}

static void send_ping(void)
{
        MUST(sd_bus_call_method_async(client, NULL, NULL, "/", "org.freedesktop.DBus.Peer", "Ping", on_pong,
                                      NULL, NULL) >= 0);
}

/* The loop has gone round often enough for whatever can be done. It may never be idle: the desk's timer is due
 * again and again while time stands still. */
static void go_round(void)
{
        for (unsigned i = 0; i < 2 * SLICE_OTHERS_MAX; i++) {
                has_pong = false;
                send_ping();
                while (!has_pong)
                        MUST(sd_event_run(event, UINT64_MAX) >= 0);
        }
}

/* Never called when that cannot come: the loop would wait for ever, which the test's time limit ends. */
static void run_until_begun(unsigned n)
{
        while (n_begun < n)
                MUST(sd_event_run(event, UINT64_MAX) >= 0);
}

/* Who has to wait for ten clients waits for two of them. */
START_TEST(a_ping_passes_calls_that_came_before)
{
        enum { N = 10 };

        now_usec += UINT64_C(3600000000); /* so that the desk's timer has no part in this */
        for (unsigned i = 0; i < N; i++)
                work(ALICE, i, 1);
        send_ping();
        while (!has_pong)
                MUST(sd_event_run(event, UINT64_MAX) >= 0);
        ck_assert_uint_eq(n_read, N + 1);
        ck_assert_uint_le(n_begun, 2);
        go_round();
        ck_assert_uint_eq(n_begun, 2);
        ck_assert_uint_eq(n_answered, 0);
        /* One that is answered makes room for the next one, and the order is that of the calls. */
        for (unsigned i = 0; i < N; i++) {
                go_round();
                ck_assert_uint_eq(n_begun, i + 2 < N ? i + 2 : N);
                bus_call_return(calls[i], "");
        }
        bus_pair_settle(event);
        ck_assert_uint_eq(n_answered, N);
        for (unsigned i = 1; i < N; i++)
                ck_assert_uint_lt(cookies[i - 1], cookies[i]);
}
END_TEST

/* polkit asks a person, say. */
START_TEST(who_waits_for_something_else_does_not_close_the_desk)
{
        work(ALICE, 1, 8);
        for (unsigned n = 2; n <= 8; n += 2) {
                run_until_begun(n);
                now_usec += UINT64_C(1000000);
        }
        work(BOB, 2, 1);
        run_until_begun(9);
        ck_assert_uint_eq(n_answered, 0);
}
END_TEST

static bool is_of(const BusCall *c, const char *sender)
{
        return strcmp(sd_bus_message_get_sender(bus_call_message(c)), sender) == 0;
}

START_TEST(users_take_turns)
{
        char bobs[32];

        snprintf(bobs, sizeof(bobs), ":%u.%u", BOB, 2);
        work(ALICE, 1, 100);
        work(BOB, 2, 1);
        while (n_begun < 101) {
                now_usec += UINT64_C(1000000);
                MUST(sd_event_run(event, UINT64_MAX) >= 0);
        }
        unsigned at = 0;
        while (at < 101 && !is_of(calls[at], bobs))
                at++;
        ck_assert_uint_le(at, 2 + 100 / SLICE_OTHERS_MAX); /* those that began while the others were read */
}
END_TEST

START_TEST(who_leaves_is_not_begun_for)
{
        work(ALICE, 1, 10);
        go_round();
        leave(ALICE, 1);
        go_round();
        unsigned n = n_begun;
        work(BOB, 2, 3);
        now_usec += UINT64_C(1000000);
        run_until_begun(n + 2);
        now_usec += UINT64_C(1000000);
        run_until_begun(n + 3);
        now_usec += UINT64_C(1000000);
        go_round();
        ck_assert_uint_eq(n_begun, n + 3);
}
END_TEST

START_TEST(a_user_has_a_limit)
{
        work(ALICE, 1, CALLS - 1);
        go_round();
        ck_assert_uint_ge(n_read, CALLS - 1);
        ck_assert_uint_gt(n_refused, 0);
        /* All others wait or have begun. */
        unsigned n_left = CALLS - 1 - n_refused;
        ck_assert_uint_ge(n_left, 512);
        /* Nobody else has to do with that. */
        unsigned n = n_refused;
        work(BOB, 2, 1);
        go_round();
        ck_assert_uint_eq(n_refused, n);
}
END_TEST

START_TEST(an_error_is_the_answer)
{
        send_call(ALICE, 1, "Nonsense");
        while (n_answered == 0)
                MUST(sd_event_run(event, UINT64_MAX) >= 0);
        ck_assert_uint_eq(n_refused, 1);
}
END_TEST

/* --- slices ------------------------------------------------------------------------------------------- */

static unsigned n_slices, n_read_at_slice, n_between_max;

static void on_slice(void *userdata _unused_)
{
        unsigned n_between = n_read - n_read_at_slice;

        n_slices++;
        n_read_at_slice = n_read;
        if (n_between > n_between_max)
                n_between_max = n_between;
}

/* As many messages as there are do not keep it from being done, but several of them go first. */
START_TEST(a_patient_slice_lets_some_others_go_first)
{
        enum { N = 10 * SLICE_OTHERS_MAX };
        Slice *s;

        for (unsigned i = 0; i < N; i++)
                send_ping();
        ck_assert_int_ge(sd_bus_flush(client), 0);
        n_slices = n_read_at_slice = n_between_max = 0;
        ck_assert_int_eq(slice_new_patient(event, on_slice, NULL, &s), 0);
        slice_set(s, true);
        while (n_read < N)
                MUST(sd_event_run(event, UINT64_MAX) >= 0);
        ck_assert_uint_ge(n_slices, N / SLICE_OTHERS_MAX - 1);
        ck_assert_uint_gt(n_between_max, SLICE_OTHERS_MAX / 4);
        ck_assert_uint_le(n_between_max, SLICE_OTHERS_MAX);
        /* And with nothing else to do it is done in each turn. */
        has_pong = false;
        slice_set(s, false);
        bus_pair_settle(event);
        unsigned before = n_slices;
        slice_set(s, true);
        for (unsigned i = 0; i < 10; i++)
                MUST(sd_event_run(event, UINT64_MAX) >= 0);
        ck_assert_uint_ge(n_slices, before + 9);
        slice_free(s);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("desk");
        TCase *t = tcase_create("desk");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_set_timeout(t, 120);
        tcase_add_test(t, a_ping_passes_calls_that_came_before);
        tcase_add_test(t, who_waits_for_something_else_does_not_close_the_desk);
        tcase_add_test(t, users_take_turns);
        tcase_add_test(t, who_leaves_is_not_begun_for);
        tcase_add_test(t, a_user_has_a_limit);
        tcase_add_test(t, an_error_is_the_answer);
        tcase_add_test(t, a_patient_slice_lets_some_others_go_first);
        suite_add_tcase(s, t);
        return check_main(s);
}
