/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/bus-pair.h"
#include "tests/unit/check-main.h"

#include <stdbool.h>
#include <stdint.h>

#include "daemon/pid1/gate.h"

/* A PID 1 at the other end of a socket that answers when it is told to. All of it is one thread and one
 * event loop, so that bus_pair_settle() ends when nothing is under way any more. */

#define OPEN_MAX  64
#define BUS_LIMIT 128
#define ALICE     1000
#define BOB       1001
#define FOREVER   (UINT64_C(3600) * 1000 * 1000)

typedef struct Question {
        uid_t uid;
        unsigned n_messages, n_answers, n_timeouts;
        bool keeps_pass, leaves_at_once;
        GatePass *pass;
} Question;

static sd_event *event;
static sd_bus *client, *server;
static Gate *gate;
static sd_bus_message *waiting[32768];
static size_t first, n_waiting, most_waiting;
static unsigned n_of_alice, n_finished;

static int on_call(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
        if (!sd_bus_message_is_method_call(m, NULL, "Get"))
                return 0;
        MUST(first + n_waiting < sizeof(waiting) / sizeof(waiting[0]));
        waiting[first + n_waiting++] = sd_bus_message_ref(m);
        if (n_waiting > most_waiting)
                most_waiting = n_waiting;
        return 1;
}

static void start_with(uint64_t timeout_usec)
{
        first = n_waiting = most_waiting = 0;
        n_of_alice = n_finished = 0;
        ck_assert_int_ge(sd_event_new(&event), 0);
        bus_pair_new(event, on_call, &server, &client);
        ck_assert_int_eq(gate_new(event, client, timeout_usec, &gate), 0);
}

static void start(void)
{
        start_with(FOREVER);
}

static void stop(void)
{
        gate = gate_free(gate);
        sd_bus_close_unref(client);
        for (; n_waiting > 0; n_waiting--)
                sd_bus_message_unref(waiting[first++]);
        sd_bus_close_unref(server);
        sd_event_unref(event);
}

/* PID 1 answers what it was asked first. */
static void answer(size_t n)
{
        for (; n > 0; n--) {
                ck_assert_uint_gt(n_waiting, 0);
                sd_bus_message *m = waiting[first++];

                n_waiting--;
                MUST(sd_bus_reply_method_return(m, NULL) >= 0);
                sd_bus_message_unref(m);
        }
        bus_pair_settle(event);
}

static void on_answer(sd_bus_message *reply, void *userdata)
{
        Question *q = userdata;

        if (!reply)
                q->n_timeouts++;
        if (++q->n_answers < q->n_messages || q->keeps_pass)
                return;
        q->pass = gate_leave(q->pass);
        n_finished++;
        n_of_alice += q->uid == ALICE;
}

static void on_open(GatePass *p, void *userdata)
{
        Question *q = userdata;

        for (unsigned i = 0; i < q->n_messages; i++) {
                sd_bus_message *m = NULL;

                MUST(sd_bus_message_new_method_call(client, &m, NULL, "/", "org.example.Test", "Get") >= 0);
                MUST(gate_send(p, m, on_answer, q) >= 0);
                sd_bus_message_unref(m);
        }
        if (q->leaves_at_once)
                q->pass = gate_leave(q->pass);
}

static void ask(Question *q, uid_t uid, unsigned n_messages)
{
        q->uid = uid;
        q->n_messages = n_messages;
        MUST(gate_enter(gate, uid, n_messages, on_open, q, &q->pass) == 0);
}

START_TEST(the_limit_of_the_bus_is_kept)
{
        enum { N = 400 };
        static Question q[N];

        for (int i = 0; i < N; i++)
                ask(&q[i], i % 2 ? GATE_OWN : (uid_t)(ALICE + i % 3), 1 + (unsigned)i % 11);
        bus_pair_settle(event);
        while (n_waiting > 0) {
                ck_assert_uint_le(n_waiting, OPEN_MAX);
                answer(1);
        }
        ck_assert_uint_eq(n_finished, N);
        ck_assert_uint_le(most_waiting, OPEN_MAX);
        ck_assert_uint_gt(most_waiting, OPEN_MAX / 2); /* and what it allows is used */
}
END_TEST

START_TEST(one_question_does_not_wait_for_thousands)
{
        enum { N = 2000 };
        static Question q[N], bobs;

        for (int i = 0; i < N; i++)
                ask(&q[i], ALICE, 11);
        bus_pair_settle(event);
        ask(&bobs, BOB, 11);
        bus_pair_settle(event);
        while (bobs.n_answers < bobs.n_messages)
                answer(1);
        /* Those that were open already, and at most one that was next. */
        ck_assert_uint_le(n_of_alice, OPEN_MAX / 11 + 1);
        while (n_waiting > 0)
                answer(1);
        ck_assert_uint_eq(n_finished, N + 1);
}
END_TEST

START_TEST(own_work_does_not_wait_for_users)
{
        enum { N = 2000, N_OWN = 100 };
        static Question q[N], own[N_OWN];
        unsigned n_own = 0;

        for (int i = 0; i < N; i++)
                ask(&q[i], ALICE + (uid_t)i, 11);
        bus_pair_settle(event);
        size_t of_users = n_waiting;
        for (int i = 0; i < N_OWN; i++)
                ask(&own[i], GATE_OWN, 1);
        bus_pair_settle(event);
        ck_assert_uint_gt(n_waiting, of_users); /* without an answer to anybody */
        /* What PID 1 had been asked before is answered before; nothing else. */
        while (n_own < N_OWN) {
                answer(1);
                n_own = 0;
                for (int i = 0; i < N_OWN; i++)
                        n_own += own[i].n_answers;
        }
        ck_assert_uint_le(n_finished - n_own, OPEN_MAX / 11 + N_OWN / 11);
        for (int i = 0; i < N; i++)
                gate_leave(q[i].pass);
}
END_TEST

START_TEST(own_work_does_not_keep_users_out)
{
        enum { N = 2000 };
        static Question own[N], bobs;

        for (int i = 0; i < N; i++)
                ask(&own[i], GATE_OWN, 1);
        bus_pair_settle(event);
        size_t of_own = n_waiting;
        ask(&bobs, BOB, 11);
        bus_pair_settle(event);
        ck_assert_uint_eq(n_waiting, of_own + 11);
        while (bobs.n_answers < bobs.n_messages)
                answer(1);
        ck_assert_uint_lt(n_finished, N / 2);
        for (int i = 0; i < N; i++)
                gate_leave(own[i].pass);
}
END_TEST

/* Leaving does not take a message back: the bus counts it until PID 1 has answered. */
START_TEST(what_nobody_waits_for_any_more_counts_until_it_is_answered)
{
        enum { N = 500 };
        static Question q[N], last;

        for (int i = 0; i < N; i++) {
                q[i].leaves_at_once = true;
                ask(&q[i], i % 2 ? ALICE : GATE_OWN, 3);
        }
        bus_pair_settle(event);
        ck_assert_uint_le(n_waiting, OPEN_MAX);
        ask(&last, BOB, 1);
        while (n_waiting > 0) {
                answer(1);
                ck_assert_uint_le(n_waiting, OPEN_MAX);
        }
        ck_assert_uint_eq(last.n_answers, 1);
        for (int i = 0; i < N; i++) {
                ck_assert_ptr_null(q[i].pass);
                ck_assert_uint_eq(q[i].n_answers, 0);
        }
}
END_TEST

START_TEST(leaving_the_queue)
{
        enum { N = 300 };
        static Question q[N];

        for (int i = 0; i < N; i++)
                ask(&q[i], ALICE + (uid_t)i % 7, 11);
        for (int i = 0; i < N; i += 2)
                q[i].pass = gate_leave(q[i].pass);
        bus_pair_settle(event);
        while (n_waiting > 0)
                answer(1);
        ck_assert_uint_eq(n_finished, N / 2);
        for (int i = 0; i < N; i++)
                ck_assert_uint_eq(q[i].n_answers, i % 2 ? 11 : 0);
}
END_TEST

/* A PID 1 that stands still: each waits for its timeout from when it was sent, and what is late still counts
 * on the bus. */
START_TEST(late_answers_count)
{
        enum { N = 400 };
        static Question q[N];
        unsigned n_before, n_timeouts = 0;

        stop();
        start_with(2000);
        for (int i = 0; i < N; i++)
                ask(&q[i], i % 2 ? ALICE : GATE_OWN, 1);
        do {
                n_before = n_timeouts;
                ck_assert_int_ge(sd_event_run(event, n_finished < BUS_LIMIT - 8 ? UINT64_MAX : 0), 0);
                n_timeouts = 0;
                for (int i = 0; i < N; i++)
                        n_timeouts += q[i].n_timeouts;
        } while (n_timeouts < BUS_LIMIT - 8 || n_timeouts != n_before);
        bus_pair_settle(event);
        ck_assert_uint_lt(most_waiting, BUS_LIMIT);
        ck_assert_uint_eq(n_finished, n_timeouts);
        /* It wakes up. */
        while (n_finished < N) {
                if (n_waiting > 0)
                        answer(n_waiting);
                else
                        ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
                ck_assert_uint_lt(n_waiting, BUS_LIMIT);
        }
        for (int i = 0; i < N; i++)
                ck_assert_uint_eq(q[i].n_answers, 1);
}
END_TEST

START_TEST(no_more_than_the_pass_says)
{
        Question q = { .keeps_pass = true };
        sd_bus_message *m = NULL;

        ck_assert_int_eq(gate_enter(gate, BOB, 0, on_open, &q, &q.pass), -EINVAL);
        ck_assert_int_eq(gate_enter(gate, BOB, GATE_PASS_MAX + 1, on_open, &q, &q.pass), -EINVAL);
        ck_assert_int_ge(sd_bus_message_new_method_call(client, &m, NULL, "/", "org.example.Test", "Get"),
                         0);
        ask(&q, BOB, 1);
        ck_assert_int_eq(gate_send(q.pass, m, on_answer, &q), -EBUSY); /* it waits */
        bus_pair_settle(event);
        ck_assert_int_eq(gate_send(q.pass, m, on_answer, &q), -EBUSY);
        answer(1);
        ck_assert_int_eq(gate_send(q.pass, m, on_answer, &q), 0);
        bus_pair_settle(event);
        answer(1);
        ck_assert_uint_eq(q.n_answers, 2);
        sd_bus_message_unref(m);
        gate_leave(q.pass);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate");
        TCase *t = tcase_create("gate");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, the_limit_of_the_bus_is_kept);
        tcase_add_test(t, one_question_does_not_wait_for_thousands);
        tcase_add_test(t, own_work_does_not_wait_for_users);
        tcase_add_test(t, own_work_does_not_keep_users_out);
        tcase_add_test(t, what_nobody_waits_for_any_more_counts_until_it_is_answered);
        tcase_add_test(t, leaving_the_queue);
        tcase_add_test(t, late_answers_count);
        tcase_add_test(t, no_more_than_the_pass_says);
        suite_add_tcase(s, t);
        return check_main(s);
}
