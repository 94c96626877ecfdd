/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/bus-pair.h"
#include "tests/unit/check-main.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/bus/bus-callers.h"
#include "daemon/bus/bus-text.h"
#include "policy/cdm-names.h"

/* Calls come through a socket, whose other end writes the sender's name into them: ":UID.CONNECTION". */

#define ALICE 1000
#define BOB   1001
#define CAROL 1002

static sd_event *event;
static sd_bus *client, *server;
static BusCallers *callers;
static unsigned n_added, n_refused, n_ready;

/* In place of daemon/caller/sender.c. Of UIDs from 2000 on the bus has to be asked, which answers in
 * answer_all(). */

typedef struct Fetch {
        char name[32];
        sender_cb cb;
        void *userdata;
} Fetch;

static Fetch fetches[64];
static unsigned n_fetches;

static Sender sender_of(const char *name)
{
        unsigned uid;

        MUST(sscanf(name, ":%u.", &uid) == 1);
        return (Sender){ .name = (char *)name, .uid = uid };
}

const Sender *sender_cached(const SenderCache *c _unused_, const char *name)
{
        static Sender s;

        s = sender_of(name);
        return s.uid < 2000 ? &s : NULL;
}

int sender_fetch(SenderCache *c _unused_, const char *name, sender_cb cb, void *userdata,
                 sd_bus_slot **ret_slot)
{
        Fetch *f = &fetches[n_fetches++];

        MUST(n_fetches <= sizeof(fetches) / sizeof(fetches[0]));
        snprintf(f->name, sizeof(f->name), "%s", name);
        f->cb = cb;
        f->userdata = userdata;
        *ret_slot = NULL;
        return 0;
}

static void answer_all(int error)
{
        for (unsigned i = 0; i < n_fetches; i++) {
                Sender s = sender_of(fetches[i].name);

                fetches[i].cb(error, error < 0 ? NULL : &s, fetches[i].userdata);
        }
        n_fetches = 0;
}

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
        char name[32];

        snprintf(name, sizeof(name), ":%u.%u", uid, connection);
        for (; n > 0; n--) {
                sd_bus_message *m = NULL;

                MUST(sd_bus_message_new_method_call(client, &m, NULL, "/", "org.example.Test", "Ask") >= 0);
                MUST(sd_bus_message_set_sender(m, name) >= 0);
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
        tcase_add_test(t, rows_have_an_end);
        suite_add_tcase(s, t);
        return check_main(s);
}
