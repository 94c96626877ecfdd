/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The answers of ListHolders, of made-up rows: one look serves all callers, and each answer takes many turns
 * of the event loop. */

#include "tests/unit/bus-pair.h"
#include "tests/unit/check-main.h"
#include "tests/unit/fake-clients.h"

#include "daemon/bus/bus-internal.h"
#include "daemon/keeper/holders.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "policy/cdm-names.h"

enum { ROWS = 640, ROWS_A_TURN = 16 /* ROWS_SLICE of bus-holders.c */, CALLERS = 3 };

static sd_event *event;
static sd_bus *client, *server;
static Core core;
static Book book;
static Bus bus;
static unsigned n_read, n_answered, n_rows, n_looks, n_ended;

/* In place of daemon/keeper/holders.c. */
static holders_done_t look_done;
static void *look_userdata;

int holders_look(HolderSet *s _unused_, holders_done_t done, void *userdata)
{
        n_looks++;
        look_done = done;
        look_userdata = userdata;
        return 0;
}

void holders_end(HolderSet *s _unused_)
{
        n_ended++;
}

static int on_call(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
        if (!sd_bus_message_is_method_call(m, NULL, "List"))
                return 0;
        n_read++;
        return bus_list_holders(&bus, m);
}

static int on_reply(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
        MUST(!sd_bus_message_is_method_error(m, NULL));
        MUST(sd_bus_message_enter_container(m, 'a', CDM_HOLDER) > 0);
        for (; sd_bus_message_at_end(m, 0) == 0; n_rows++)
                MUST(sd_bus_message_skip(m, CDM_HOLDER) > 0);
        n_answered++;
        return 1;
}

static void start(void)
{
        ck_assert_int_ge(sd_event_new(&event), 0);
        bus_pair_new(event, on_call, &server, &client);
        bus_pair_settle(event);
        core = (Core){ .event = event, .bus = server };
        book = (Book){ .core = &core };
        bus = (Bus){ .bus = server, .book = &book };
        ck_assert_int_eq(bus_holders_new(&book, NULL, &bus.holders), 0);
        n_read = n_answered = n_rows = n_looks = n_ended = 0;
}

static void stop(void)
{
        bus_holders_free(bus.holders);
        sd_bus_close_unref(client);
        sd_bus_close_unref(server);
        sd_event_unref(event);
}

static void list(unsigned uid)
{
        sd_bus_message *m = fake_call(client, uid, 1, "List");

        MUST(sd_bus_call_async(client, NULL, m, on_reply, NULL, UINT64_MAX) >= 0);
        sd_bus_message_unref(m);
}

/* The turns of the event loop until so many are answered. */
static unsigned turns_until(unsigned n)
{
        unsigned n_turns = 0;

        for (; n_answered < n; n_turns++) {
                MUST(sd_event_run(event, UINT64_MAX) >= 0);
                MUST(n_looks <= 2);
        }
        return n_turns;
}

START_TEST(answers_are_made_in_slices)
{
        static HolderRow rows[ROWS];

        for (size_t i = 0; i < ROWS; i++)
                rows[i] = (HolderRow){ .cgroup = "/a.slice/b.service", .kind = "reserved" };
        /* The first begins a look; all others wait for the next one. */
        list(ALICE);
        bus_pair_settle(event);
        ck_assert_uint_eq(n_looks, 1);
        for (unsigned i = 0; i < CALLERS; i++)
                list(BOB + i);
        bus_pair_settle(event);
        ck_assert_uint_eq(n_read, 1 + CALLERS);
        ck_assert_uint_eq(n_looks, 1);
        look_done(0, rows, ROWS, look_userdata);
        ck_assert_uint_ge(turns_until(1), ROWS / ROWS_A_TURN);
        bus_pair_settle(event);
        ck_assert_uint_eq(n_ended, 1);
        ck_assert_uint_eq(n_looks, 2);
        look_done(0, rows, ROWS, look_userdata);
        for (unsigned i = 1; i <= CALLERS; i++)
                ck_assert_uint_ge(turns_until(1 + i), ROWS / ROWS_A_TURN);
        bus_pair_settle(event);
        ck_assert_uint_eq(n_rows, (1 + CALLERS) * ROWS);
        ck_assert_uint_eq(n_ended, 2);
        ck_assert_uint_eq(n_looks, 2);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("bus-holders");
        TCase *t = tcase_create("bus-holders");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, answers_are_made_in_slices);
        suite_add_tcase(s, t);
        return check_main(s);
}
