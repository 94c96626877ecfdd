/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/check-main.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daemon/machine/name-lookup.h"
#include "daemon/machine/names.h"
#include "policy/macro.h"
#include "tests/unit/tree.h"

#define FOREVER (UINT64_C(3600) * 1000 * 1000)

static sd_event *event;
static Names *names;
static atomic_uint n_lookups;
static sem_t begun, go, gone;

static void wait_for(sem_t *s)
{
        while (sem_wait(s) < 0)
                ck_assert_int_eq(errno, EINTR);
}

/* "hang" waits for `go`, "broken" fails, "nobody" is unknown. */
static int look_up(const char *root, NameKind kind, const char *name, NameRecord *ret)
{
        n_lookups++;
        if (strncmp(name, "hang", 4) == 0) {
                sem_post(&begun);
                wait_for(&go);
                sem_post(&gone);
        }
        if (strcmp(name, "broken") == 0)
                return -EIO;
        if (strcmp(name, "nobody") == 0)
                return -ENOENT;
        ret->id = 1000 + n_lookups;
        return 0;
}

static void start(uint64_t patience_usec)
{
        ck_assert_int_eq(names_new(event, "", look_up, patience_usec, &names), 0);
}

static void setup(void)
{
        ck_assert_int_ge(sd_event_new(&event), 0);
        n_lookups = 0;
        sem_init(&begun, 0, 0);
        sem_init(&go, 0, 0);
        sem_init(&gone, 0, 0);
}

static void teardown(void)
{
        names = names_free(names);
        event = sd_event_unref(event);
}

typedef struct Asked {
        NamesCall *call;
        int error;
        uint32_t id;
        unsigned n_done;
        const char *again; /* is asked for from done */
} Asked;

static void on_done(int error, const NameRecord *record, void *userdata)
{
        Asked *a = userdata;

        ck_assert((error < 0) == !record);
        a->call = NULL;
        a->error = error;
        a->id = record ? record->id : 0;
        a->n_done++;
        if (a->again) {
                const char *name = a->again;

                a->again = NULL;
                ck_assert_int_ge(names_ask(names, NAME_USER, name, 1, on_done, a, &a->call), 0);
        }
}

static int ask(Asked *a, const char *name, uid_t asker)
{
        return names_ask(names, NAME_USER, name, asker, on_done, a, &a->call);
}

static void wait_done(const Asked *a, unsigned n)
{
        while (a->n_done < n)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
}

START_TEST(equal_questions_are_one)
{
        Asked a[3] = { 0 };

        start(FOREVER);
        ck_assert_int_eq(ask(&a[0], "alice", 1), 0);
        ck_assert_int_eq(ask(&a[1], "alice", 2), 0);
        wait_done(&a[0], 1);
        wait_done(&a[1], 1);
        ck_assert_int_eq(ask(&a[2], "alice", 3), 1);
        ck_assert_uint_eq(n_lookups, 1);
        ck_assert(a[0].id == a[1].id && a[1].id == a[2].id && a[2].id > 0);
        names_forget(names);
        ck_assert_int_eq(ask(&a[2], "alice", 3), 0);
        wait_done(&a[2], 2);
        ck_assert_uint_eq(n_lookups, 2);
}
END_TEST

START_TEST(that_there_is_none_is_kept_and_a_failure_is_not)
{
        Asked a = { 0 };

        start(FOREVER);
        ck_assert_int_eq(ask(&a, "nobody", 1), 0);
        wait_done(&a, 1);
        ck_assert_int_eq(a.error, -ENOENT);
        ck_assert_int_eq(ask(&a, "nobody", 1), 1);
        ck_assert_int_eq(a.error, -ENOENT);
        ck_assert_int_eq(ask(&a, "broken", 1), 0);
        wait_done(&a, 3);
        ck_assert_int_eq(a.error, -EIO);
        a.again = "broken";
        ck_assert_int_eq(ask(&a, "broken", 1), 0);
        wait_done(&a, 5);
        ck_assert_int_eq(a.error, -EIO);
        ck_assert_uint_eq(n_lookups, 4);
}
END_TEST

/* It delays nobody else, and who asked is told that it takes too long. */
START_TEST(one_that_hangs)
{
        Asked hung = { 0 }, other = { 0 };

        start(1000 * 1000);
        ck_assert_int_eq(ask(&hung, "hang", 1), 0);
        wait_for(&begun);
        ck_assert_int_eq(ask(&other, "alice", 1), 0);
        wait_done(&other, 1);
        ck_assert_int_eq(other.error, 0);
        ck_assert_uint_eq(hung.n_done, 0);
        wait_done(&hung, 1);
        ck_assert_int_eq(hung.error, -ETIMEDOUT);
        /* It is still the same look-up, and its answer counts. */
        ck_assert_int_eq(ask(&hung, "hang", 1), 0);
        ck_assert_uint_eq(n_lookups, 2);
        sem_post(&go);
        wait_done(&hung, 2);
        ck_assert_int_eq(hung.error, 0);
}
END_TEST

/* What a look-up finds that was under way is not news. */
START_TEST(forgotten_while_it_is_looked_up)
{
        Asked before = { 0 }, after = { 0 };

        start(FOREVER);
        ck_assert_int_eq(ask(&before, "hang", 1), 0);
        wait_for(&begun);
        names_forget(names);
        ck_assert_int_eq(ask(&after, "hang", 1), 0);
        sem_post(&go);
        wait_done(&before, 1);
        ck_assert_uint_eq(after.n_done, 0);
        wait_for(&begun);
        sem_post(&go);
        wait_done(&after, 1);
        ck_assert_uint_ne(before.id, after.id);
        ck_assert_int_eq(ask(&after, "hang", 1), 1);
        ck_assert_uint_eq(n_lookups, 2);
}
END_TEST

START_TEST(a_user_has_a_limit)
{
        static Asked a[NAMES_CALLS_MAX + 1];
        Asked other = { 0 };

        start(FOREVER);
        for (size_t i = 0; i < NAMES_CALLS_MAX; i++)
                ck_assert_int_eq(ask(&a[i], "hang", 1), 0);
        ck_assert_int_eq(ask(&a[NAMES_CALLS_MAX], "hang", 1), -EBUSY);
        ck_assert_int_eq(ask(&other, "hang", 2), 0);
        a[0].call = names_call_free(a[0].call);
        ck_assert_int_eq(ask(&a[NAMES_CALLS_MAX], "hang", 1), 0);
        sem_post(&go);
        wait_done(&a[NAMES_CALLS_MAX], 1);
        wait_done(&other, 1);
        ck_assert_uint_eq(a[0].n_done, 0);
        ck_assert_uint_eq(n_lookups, 1);
}
END_TEST

/* All threads are occupied, and more wait for one: the end does not. */
START_TEST(the_end_waits_for_none)
{
        static const char *const hung[] = { "hang1", "hang2", "hang3", "hang4", "hang5" };
        Asked a[ARRAY_SIZE(hung)] = { 0 };

        /* The fixture has made the event loop, which a Worker that is left keeps. */
        leaks_allowed(true);
        event = sd_event_unref(event);
        ck_assert_int_ge(sd_event_new(&event), 0);
        start(FOREVER);
        for (size_t i = 0; i < ARRAY_SIZE(hung); i++)
                ck_assert_int_eq(ask(&a[i], hung[i], 1), 0);
        for (size_t i = 0; i < 4; i++)
                wait_for(&begun);
        for (size_t i = 0; i < ARRAY_SIZE(hung); i++)
                a[i].call = names_call_free(a[i].call);
        names = names_free(names);
        for (size_t i = 0; i < 4; i++) {
                sem_post(&go);
                wait_for(&gone);
        }
        leaks_allowed(false);
        ck_assert_uint_eq(n_lookups, 4);
}
END_TEST

/* --- the look-up itself ------------------------------------------------------------------------------- */

#define LONG_BYTES 100000

START_TEST(entries_and_groups_have_no_length)
{
        char *root = tree_new(), *text = calloc(1, 4 * LONG_BYTES), *p = text;
        NameRecord r = { 0 };

        ck_assert_ptr_nonnull(text);
        p += sprintf(p, "root:x:0:0::/:/bin/sh\nlong:x:1234:77:");
        memset(p, 'x', LONG_BYTES);
        sprintf(p + LONG_BYTES, ":/:/bin/sh\nlast:x:1235:78::/:/bin/sh\n");
        tree_write(root, "etc/passwd", text);
        p = text;
        for (unsigned i = 0; i < 300; i++)
                p += sprintf(p, "g%u:x:%u:other,long\n", i, 5000 + i);
        p += sprintf(p, "big:x:88:long");
        for (unsigned i = 0; i < 5000; i++)
                p += sprintf(p, ",member%u", i);
        sprintf(p, "\nend:x:89:long\n");
        tree_write(root, "etc/group", text);
        ck_assert_int_eq(name_lookup(root, NAME_USER, "long", &r), 0);
        ck_assert_uint_eq(r.id, 1234);
        ck_assert_int_eq(name_lookup(root, NAME_USER, "last", &r), 0);
        ck_assert_uint_eq(r.id, 1235);
        ck_assert_int_eq(name_lookup(root, NAME_GROUP, "end", &r), 0);
        ck_assert_uint_eq(r.id, 89);
        ck_assert_int_eq(name_lookup(root, NAME_MEMBER, "long", &r), 0);
        ck_assert_uint_eq(r.n_gids, 303);
        ck_assert(r.gids[0] == 77 && r.gids[300] == 5299 && r.gids[301] == 88 && r.gids[302] == 89);
        ck_assert_str_eq(r.name, "long");
        name_record_clear(&r);
        free(text);
        tree_remove(root);
}
END_TEST

START_TEST(numbers_and_names)
{
        char *root = tree_new();
        NameRecord r = { 0 };

        tree_write(root, "etc/passwd", "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n");
        ck_assert_int_eq(name_lookup(root, NAME_USER, "4711", &r), 0);
        ck_assert_uint_eq(r.id, 4711);
        ck_assert_int_eq(name_lookup(root, NAME_USER, "4294967295", &r), -ENOENT);
        ck_assert_int_eq(name_lookup(root, NAME_USER, "bob", &r), -ENOENT);
        ck_assert_int_eq(name_lookup(root, NAME_UID, "1000", &r), 0);
        ck_assert_str_eq(r.name, "alice");
        name_record_clear(&r);
        ck_assert_int_eq(name_lookup(root, NAME_UID, "1001", &r), -ENOENT);
        ck_assert_int_eq(name_lookup(root, NAME_MEMBER, "1000", &r), 0);
        ck_assert(r.id == 1000 && r.n_gids == 1 && r.gids[0] == 1000);
        name_record_clear(&r);
        ck_assert_int_eq(name_lookup(root, NAME_MEMBER, "1001", &r), 0);
        ck_assert(r.id == 1001 && r.n_gids == 1 && r.gids[0] == 1001 && !r.name);
        name_record_clear(&r);
        ck_assert_int_eq(name_lookup("", NAME_USER, "root", &r), 0);
        ck_assert_uint_eq(r.id, 0);
        ck_assert_int_eq(name_lookup("", NAME_MEMBER, "root", &r), 0);
        ck_assert_uint_ge(r.n_gids, 1);
        name_record_clear(&r);
        tree_remove(root);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("names");
        TCase *c = tcase_create("names"), *l = tcase_create("lookup");

        tcase_add_checked_fixture(c, setup, teardown);
        tcase_set_timeout(c, 0); /* a look-up that is lost shows as a hang */
        tcase_add_test(c, equal_questions_are_one);
        tcase_add_test(c, that_there_is_none_is_kept_and_a_failure_is_not);
        tcase_add_test(c, one_that_hangs);
        tcase_add_test(c, forgotten_while_it_is_looked_up);
        tcase_add_test(c, a_user_has_a_limit);
        tcase_add_test(c, the_end_waits_for_none);
        suite_add_tcase(s, c);
        tcase_add_test(l, entries_and_groups_have_no_length);
        tcase_add_test(l, numbers_and_names);
        suite_add_tcase(s, l);
        return s;
}

int main(void)
{
        return check_main(suite());
}
