/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/check-main.h"

#include "daemon/loop/clock.h"
#include "daemon/loop/event-limit.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/leases.h"
#include "daemon/tenant/waiter.h"
#include "policy/cdm-names.h"
#include "policy/config.h"
#include "tests/unit/tree.h"

/* Waiters of a cdmd that was started again. They have no clients, which only a bus would know. */

enum {
        WAITERS = 1000,
        AT_ONCE = 64, /* ENTRIES_A_SLICE */
        DISPLACED = 100,
        SETTLED_AT_ONCE = 8 /* SETTLED_A_SLICE of leases.c */
};

static char *root;
static Core core;
static Book book;
static Leases *leases;
static Waiters *waiters;
static bool restored;
static unsigned n_revoking, n_changed;

static void on_restored(void *userdata)
{
        ck_assert_ptr_eq(userdata, &book);
        ck_assert(!restored);
        restored = true;
}

/* As assembly_on_notice() does. */
static void on_notice(const Notice *n, void *userdata _unused_)
{
        n_revoking += n->kind == NOTICE_RESERVATION_REVOKING;
        n_changed += n->kind == NOTICE_RESERVATION_CHANGED;
        if (n->kind != NOTICE_RESERVATION_LEFT)
                return;
        n->entry->waiter = waiter_free(n->entry->waiter);
        lease_forget(n->entry);
}

static void start(void)
{
        char *path;

        root = tree_new();
        ck_assert_int_gt(asprintf(&path, "%s", root), 0);
        core = (Core){ .root = root };
        book = (Book){ .core = &core,
                       .config = calloc(1, sizeof(Config)),
                       .pools = calloc(1, sizeof(PoolSet)) };
        ck_assert_int_ge(sd_event_new(&core.event), 0);
        ck_assert_int_eq(ledger_new(&book.ledger), 0);
        ck_assert_int_eq(queue_new(&book.queue), 0);
        ck_assert_int_eq(notify_new(&core.notify), 0);
        ck_assert_int_eq(notify_subscribe(core.notify, on_notice, NULL), 0);
        ck_assert_int_eq(event_limit_new(&core.event_limit), 0);
        ck_assert_int_eq(store_open(path, &core.store), 0);
        ck_assert_int_eq(leases_new(&book, NULL, NULL, &leases), 0);
        ck_assert_int_eq(waiters_new(&book, leases, &waiters), 0);
        free(path);
        restored = false;
        n_revoking = n_changed = 0;
}

static void stop(void)
{
        Entry *e, *next;

        waiters_stop(waiters);
        HASH_ITER (hh, book.entries, e, next) {
                e->waiter = waiter_free(e->waiter);
                lease_forget(e);
        }
        book_entries_free(&book);
        waiters_free(waiters);
        leases_free(leases);
        store_free(core.store);
        event_limit_free(core.event_limit);
        notify_free(core.notify);
        queue_free(book.queue);
        ledger_free(book.ledger);
        sd_event_unref(core.event);
        free(book.pools);
        free(book.config);
        tree_remove(root);
}

static Entry *add(uint32_t id, ReservationState state)
{
        Reservation *r;
        Entry *e;

        MUST(reservation_new(&r) == 0);
        r->id = id;
        r->state = state;
        r->pool = strdup("cdm");
        if (!r->target)
                r->target = calloc(1, sizeof(Subject));
        r->target->unit = strdup("a.service");
        if (state == RESERVATION_QUEUED) {
                r->wait = calloc(1, sizeof(Wait));
                r->wait->deadline_usec = UINT64_MAX;
        }
        MUST(book_add(&book, r, state == RESERVATION_QUEUED ? STORE_QUEUED : STORE_GRANTED, &e) == 0);
        return e;
}

static void add_waiters(void)
{
        for (uint32_t id = 1; id <= WAITERS; id++)
                add(id, RESERVATION_QUEUED);
}

static void turn(void)
{
        ck_assert_int_gt(sd_event_run(core.event, 0), 0);
}

static void finish(void)
{
        while (!restored)
                turn();
}

START_TEST(thousands_are_restored_in_slices)
{
        add_waiters();
        waiters_restore(waiters, on_restored, &book);
        for (size_t n = 0; n < WAITERS; n += AT_ONCE) {
                ck_assert_uint_eq(queue_count(book.queue), n);
                ck_assert(!restored);
                turn();
        }
        ck_assert(!restored); /* who is displaced is looked at as well */
        finish();
        ck_assert_uint_eq(queue_count(book.queue), WAITERS);
        ck_assert_uint_eq(queue_position(book.queue, WAITERS), WAITERS - 1);
}
END_TEST

START_TEST(none_is_restored)
{
        waiters_restore(waiters, on_restored, &book);
        finish();
        ck_assert_uint_eq(queue_count(book.queue), 0);
}
END_TEST

/* Some are released, or their units end. */
START_TEST(who_goes_between_two_slices_is_not_missed)
{
        add_waiters();
        waiters_restore(waiters, on_restored, &book);
        turn();
        book_forget(book_find(&book, AT_ONCE + 1));
        waiter_dequeue(book_find(&book, WAITERS), CDM_ERROR_STALE, "it was released");
        Entry *had = book_find(&book, AT_ONCE);
        had->waiter = waiter_free(had->waiter);
        book_forget(had);
        finish();
        ck_assert_uint_eq(queue_count(book.queue), WAITERS - 3);
}
END_TEST

/* Its process is not there any more. */
START_TEST(who_has_ended_is_not_restored)
{
        add_waiters();
        book_find(&book, 1)->r->wait->pid = getpid();
        book_find(&book, 1)->r->wait->pid_start = 1;
        waiters_restore(waiters, on_restored, &book);
        finish();
        ck_assert_ptr_null(book_find(&book, 1));
        ck_assert_uint_eq(queue_count(book.queue), WAITERS - 1);
}
END_TEST

/* For one that waits no more nobody is displaced, however late it ends. */
START_TEST(who_is_displaced_for_nobody_stays)
{
        add_waiters();
        for (uint32_t i = 1; i <= 3; i++) {
                Entry *e = add(WAITERS + i, RESERVATION_REVOKING);
                e->r->revoked_for = i == 3 ? WAITERS + 100 : i;
        }
        waiters_restore(waiters, on_restored, &book);
        turn();
        waiter_dequeue(book_find(&book, 1), CDM_ERROR_STALE, "it was released");
        finish();
        ck_assert_int_eq(book_find(&book, WAITERS + 1)->r->state, RESERVATION_ACTIVE);
        ck_assert_int_eq(book_find(&book, WAITERS + 2)->r->state, RESERVATION_REVOKING);
        ck_assert_int_eq(book_find(&book, WAITERS + 3)->r->state, RESERVATION_ACTIVE);
}
END_TEST

/* cdmd ends in the middle. */
START_TEST(an_end_between_two_slices)
{
        add_waiters();
        waiters_restore(waiters, on_restored, &book);
        turn();
        waiters_stop(waiters);
        while (sd_event_run(core.event, 0) > 0)
                ;
        ck_assert(!restored);
        ck_assert_uint_eq(queue_count(book.queue), AT_ONCE);
}
END_TEST

static bool is_stored_as(uint32_t id, const char *state)
{
        char path[64], line[64];

        snprintf(path, sizeof(path), "reservation-%u", id);
        snprintf(line, sizeof(line), "State=%s\n", state);
        char *text = tree_read(root, path);
        bool is_so = text && strstr(text, line);
        free(text);
        return is_so;
}

/* Turns of the event loop until `n` has become n_all: each of them stores and tells a few. */
static void settle(const unsigned *n, unsigned n_all)
{
        while (*n < n_all) {
                unsigned before = *n;

                turn();
                ck_assert_uint_le(*n - before, SETTLED_AT_ONCE);
        }
        ck_assert_uint_eq(*n, n_all);
}

/* They count as leaving, or as staying, at once. */
START_TEST(hundreds_are_displaced_in_slices)
{
        uint64_t due = clock_boottime_usec() + UINT64_C(3600000000);

        for (uint32_t id = 1; id <= DISPLACED; id++) {
                Entry *e = add(id, RESERVATION_ACTIVE);

                e->r->term_usec = e->r->expires_usec = UINT64_MAX;
                lease_revoke_soon(leases, e, due, DISPLACED + 1);
        }
        ck_assert_int_eq(book_find(&book, DISPLACED)->r->state, RESERVATION_REVOKING);
        ck_assert_uint_eq(n_changed, 0);
        settle(&n_changed, DISPLACED);
        ck_assert_uint_eq(n_revoking, DISPLACED);
        ck_assert(is_stored_as(1, "revoking") && is_stored_as(DISPLACED, "revoking"));
        for (uint32_t id = 1; id <= DISPLACED; id++)
                lease_keep_soon(leases, book_find(&book, id));
        ck_assert_int_eq(book_find(&book, DISPLACED)->r->state, RESERVATION_ACTIVE);
        settle(&n_changed, 2 * DISPLACED);
        ck_assert(is_stored_as(1, "active") && is_stored_as(DISPLACED, "active"));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("waiters");
        TCase *t = tcase_create("waiters");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, thousands_are_restored_in_slices);
        tcase_add_test(t, none_is_restored);
        tcase_add_test(t, who_goes_between_two_slices_is_not_missed);
        tcase_add_test(t, who_has_ended_is_not_restored);
        tcase_add_test(t, who_is_displaced_for_nobody_stays);
        tcase_add_test(t, an_end_between_two_slices);
        tcase_add_test(t, hundreds_are_displaced_in_slices);
        suite_add_tcase(s, t);
        return check_main(s);
}
