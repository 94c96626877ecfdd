/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/loop/event.h"
#include "daemon/loop/event-limit.h"
#include "daemon/loop/notify.h"
#include "tests/unit/check-main.h"

#define SEC UINT64_C(1000000)

static unsigned take(EventLimit *l, uid_t uid, uint64_t now, unsigned tries, uint64_t *ret_left_out)
{
        unsigned n = 0;

        for (unsigned i = 0; i < tries; i++)
                n += event_limit_take(l, uid, now, ret_left_out);
        return n;
}

START_TEST(a_burst_and_then_one_a_second)
{
        uint64_t left_out = 99;
        EventLimit *l;

        ck_assert_int_ge(event_limit_new(&l), 0);
        ck_assert_uint_eq(take(l, 1000, 5 * SEC, 100, &left_out), EVENT_LIMIT_BURST);
        ck_assert_uint_eq(left_out, 0);
        ck_assert_uint_eq(take(l, 1000, 6 * SEC - 1, 3, &left_out), 0);
        ck_assert_uint_eq(take(l, 1000, 6 * SEC, 2, &left_out), 1);
        ck_assert_uint_eq(left_out, 100 - EVENT_LIMIT_BURST + 3);
        /* one was left out since */
        ck_assert_uint_eq(take(l, 1000, 7 * SEC, 1, &left_out), 1);
        ck_assert_uint_eq(left_out, 1);
        /* nothing is saved up beyond a burst, and a clock that stands still does no harm */
        ck_assert_uint_eq(take(l, 1000, 100000 * SEC, 100, &left_out), EVENT_LIMIT_BURST);
        ck_assert_uint_eq(take(l, 1000, 0, 1, &left_out), 0);
        event_limit_free(l);
}
END_TEST

START_TEST(users_do_not_share)
{
        uint64_t left_out;
        EventLimit *l;

        ck_assert_int_ge(event_limit_new(&l), 0);
        for (uid_t u = 1; u <= 1000; u++)
                ck_assert_uint_eq(take(l, u, SEC, 30, &left_out), EVENT_LIMIT_BURST);
        /* What was left out is not forgotten, however many users come. */
        ck_assert_uint_eq(take(l, 1, 1000 * SEC, 1, &left_out), 1);
        ck_assert_uint_eq(left_out, 30 - EVENT_LIMIT_BURST);
        event_limit_free(l);
}
END_TEST

typedef struct Told {
        unsigned all, one; /* signals to all, and to one client */
} Told;

static void on_notice(const Notice *notice, void *userdata)
{
        Told *t = userdata;

        t->all += !notice->client;
        t->one += notice->client != NULL;
}

/* The lines in the journal, which is stderr here, when the user causes n events; *ret is what clients hear. */
static unsigned count_lines(const char *client, uid_t uid, unsigned n, Told *ret)
{
        FILE *f = tmpfile();
        int before = dup(STDERR_FILENO);
        unsigned n_lines = 0;
        EventLimit *l;
        Notify *notify;
        char line[256];

        *ret = (Told){ 0 };
        ck_assert_ptr_nonnull(f);
        ck_assert_int_ge(event_limit_new(&l), 0);
        ck_assert_int_ge(notify_new(&notify), 0);
        ck_assert_int_ge(notify_subscribe(notify, on_notice, ret), 0);
        fflush(stderr);
        dup2(fileno(f), STDERR_FILENO);
        for (unsigned i = 0; i < n; i++) {
                Event e = { .kind = EVENT_GRANTED, .uid = uid, .has = EVENT_HAS_UID };
                event_emit_limited(notify, l, SEC, client, &e, "number %u", i);
        }
        fflush(stderr);
        dup2(before, STDERR_FILENO);
        close(before);
        rewind(f);
        while (fgets(line, sizeof(line), f))
                n_lines += strstr(line, "number") != NULL;
        fclose(f);
        notify_unsubscribe(notify, on_notice, ret);
        notify_free(notify);
        event_limit_free(l);
        return n_lines;
}

START_TEST(who_is_told_of_what_is_left_out)
{
        enum { N = 100 };
        Told t;

        ck_assert_uint_eq(count_lines(NULL, 1000, N, &t), EVENT_LIMIT_BURST);
        ck_assert_uint_eq(t.all, EVENT_LIMIT_BURST);
        ck_assert_uint_eq(t.one, 0);
        ck_assert_uint_eq(count_lines(":1.5", 1000, N, &t), EVENT_LIMIT_BURST);
        ck_assert_uint_eq(t.all, EVENT_LIMIT_BURST);
        ck_assert_uint_eq(t.one, N - EVENT_LIMIT_BURST);
        ck_assert_uint_eq(count_lines(EVENT_ALL_CLIENTS, 1000, N, &t), EVENT_LIMIT_BURST);
        ck_assert_uint_eq(t.all, N);
        ck_assert_uint_eq(t.one, 0);
        ck_assert_uint_eq(count_lines(NULL, 0, N, &t), N);
        ck_assert_uint_eq(t.all, N);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("event-limit");
        TCase *t = tcase_create("event-limit");

        tcase_add_test(t, a_burst_and_then_one_a_second);
        tcase_add_test(t, users_do_not_share);
        tcase_add_test(t, who_is_told_of_what_is_left_out);
        suite_add_tcase(s, t);
        return check_main(s);
}
