/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/whole-cdmd.h"

#include "daemon/keeper/node-drain.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/notify.h"
#include "daemon/tenant/degrade.h"
#include "daemon/tenant/follow.h"
#include "daemon/tenant/leases.h"

/* A node is drained, and taken into use again, while many reservations lie on it: how many of them change in one turn of
 * the event loop, and how often each tenant's cgroup is looked at. */

enum {
        MANY = 300,
        CHANGED_A_TURN = 8, /* CHANGES_A_SLICE of entry-walk.c, RESTORED_A_SLICE of degrade.c */
        LEAVING_A_TURN = 8, /* TENANTS_A_SLICE of node-drain.c */
};

static WholeCdmd w;
static Book *book;
static unsigned n_changed, n_changed_in_turn, n_followed, n_leaving_in_turn, n_told, n_told_in_turn;

void __real_follows_add(FollowSet *, const char *, const NodeSet *, follow_done_t, void *);
void __wrap_follows_add(FollowSet *, const char *, const NodeSet *, follow_done_t, void *);

void __wrap_follows_add(FollowSet *s, const char *tenant, const NodeSet *leaving, follow_done_t done,
                        void *userdata)
{
        n_followed += !leaving;
        n_leaving_in_turn += leaving != NULL;
        __real_follows_add(s, tenant, leaving, done, userdata);
}

static void on_notice(const Notice *n, void *userdata _unused_)
{
        if (n->kind == NOTICE_EVENT && n->event->kind == EVENT_DEGRADED) {
                n_told++;
                n_told_in_turn++;
        }
        if (n->kind != NOTICE_RESERVATION_CHANGED || !(n->changed & RESERVATION_CHANGED_STATE))
                return;
        n_changed++;
        n_changed_in_turn++;
}

static void turn(void)
{
        n_changed_in_turn = n_told_in_turn = n_leaving_in_turn = 0;
        ck_assert_int_ge(sd_event_run(w.event, UINT64_MAX), 0);
        ck_assert_uint_le(n_changed_in_turn, CHANGED_A_TURN);
        ck_assert_uint_le(n_told_in_turn, CHANGED_A_TURN);
        ck_assert_uint_le(n_leaving_in_turn, LEAVING_A_TURN);
}

static void serve(void)
{
        book = &w.assembly->book;
        ck_assert_int_eq(notify_subscribe(book->core->notify, on_notice, NULL), 0);
        whole_start(&w);
        while (!book->serving)
                ck_assert_int_ge(sd_event_run(w.event, UINT64_MAX), 0);
        bus_pair_settle(w.event);
}

static void start(void)
{
        whole_prepare(&w, 3, NULL);
        serve();
        n_changed = n_followed = n_told = 0;
}

static void stop(void)
{
        notify_unsubscribe(book->core->notify, on_notice, NULL);
        whole_stop(&w);
}

static void on_drained(const Answer *a, const DrainReport *report _unused_, void *userdata)
{
        ck_assert_ptr_null(a->error);
        *(bool *)userdata = true;
}

/* Until all are degraded and the node is empty, and until all are active again. */
static void drain_and_undrain(void)
{
        bool drained = false, undrained = false;

        n_leaving_in_turn = 0;
        node_drains_start(w.assembly->node_drains, 2, on_drained, &drained);
        ck_assert_uint_le(n_leaving_in_turn, LEAVING_A_TURN);
        while (!drained || n_changed < MANY)
                turn();
        ck_assert_int_eq(book_find(book, MANY)->r->state, RESERVATION_DEGRADED);
        ck_assert_uint_eq(n_told, MANY);
        node_drains_undo(w.assembly->node_drains, 2, on_drained, &undrained);
        ck_assert(undrained);
        while (n_changed < 2 * MANY)
                turn();
        for (uint32_t id = 1; id <= MANY; id++)
                ck_assert_int_eq(book_find(book, id)->r->state, RESERVATION_ACTIVE);
}

START_TEST(many_tenants_leave_in_slices)
{
        for (uint32_t id = 1; id <= MANY; id++)
                (void)whole_add_tenant(&w, id, 4096);
        drain_and_undrain();
        ck_assert_uint_eq(n_followed, MANY);
}
END_TEST

static void add_all_of_one(void)
{
        for (uint32_t id = 1; id <= MANY; id++)
                (void)whole_add_reservation(&w, id, "u-1.service", 4096);
}

/* All of them are restored when the one cgroup is verified, which happens once. */
START_TEST(one_tenant_is_restored_in_slices)
{
        add_all_of_one();
        drain_and_undrain();
        ck_assert_uint_eq(n_followed, 1);
}
END_TEST

/* The node is drained and undrained in the middle: the cgroup has to be verified once more before the rest is active. */
START_TEST(what_is_restored_meanwhile_is_verified_again)
{
        bool drained = false, again = false;

        add_all_of_one();
        node_drains_start(w.assembly->node_drains, 2, on_drained, &drained);
        while (!drained || n_changed < MANY)
                turn();
        node_drains_undo(w.assembly->node_drains, 2, on_drained, &drained);
        while (n_changed == MANY)
                turn();
        drained = false;
        node_drains_start(w.assembly->node_drains, 2, on_drained, &drained);
        while (!drained)
                turn();
        ck_assert_int_eq(book_find(book, 1)->r->state, RESERVATION_DEGRADED);
        ck_assert_int_eq(book_find(book, MANY)->r->state, RESERVATION_DEGRADED);
        n_followed = 0;
        node_drains_undo(w.assembly->node_drains, 2, on_drained, &again);
        while (book_find(book, MANY)->r->state != RESERVATION_ACTIVE ||
               book_find(book, 1)->r->state != RESERVATION_ACTIVE)
                turn();
        ck_assert_uint_ge(n_followed, 1);
}
END_TEST

#define HOUR (UINT64_C(3600) * 1000 * 1000)

static Entry *add_with_lease(void)
{
        Entry *e = whole_add_tenant(&w, 1, 4096);

        e->r->lease_usec = e->r->term_usec = HOUR;
        e->r->expires_usec = clock_boottime_usec() + HOUR;
        return e;
}

static void drain(void)
{
        bool drained = false;

        node_drains_start(w.assembly->node_drains, 2, on_drained, &drained);
        while (!drained)
                turn();
}

static void undrain(void)
{
        bool undrained = false;

        node_drains_undo(w.assembly->node_drains, 2, on_drained, &undrained);
        ck_assert(undrained);
}

static void revoke_it(Entry *e)
{
        ck_assert_int_eq(lease_revoke(w.assembly->leases, e, clock_boottime_usec() + HOUR, 0), 0);
        ck_assert_int_eq(e->r->state, RESERVATION_REVOKING);
}

static void wait_active(const Entry *e)
{
        while (e->r->state != RESERVATION_ACTIVE)
                turn();
}

/* The node is drained, and the lease ends: renewed, the reservation is what it was. */
START_TEST(a_degraded_one_that_is_renewed_is_degraded)
{
        Entry *e = add_with_lease();

        drain();
        ck_assert_int_eq(e->r->state, RESERVATION_DEGRADED);
        revoke_it(e);
        ck_assert_int_eq(lease_renew(w.assembly->leases, e, HOUR), 0);
        ck_assert_int_eq(e->r->state, RESERVATION_DEGRADED);
        ck_assert_uint_eq(n_told, 1);
        undrain();
        wait_active(e);
        ck_assert_uint_eq(n_followed, 1);
}
END_TEST

START_TEST(a_node_that_is_drained_while_its_reservation_is_revoked)
{
        Entry *e = add_with_lease();

        revoke_it(e);
        drain();
        ck_assert_int_eq(e->r->state, RESERVATION_REVOKING);
        ck_assert_uint_eq(n_told, 1);
        lease_keep(w.assembly->leases, e);
        ck_assert_int_eq(e->r->state, RESERVATION_DEGRADED);
        ck_assert_uint_eq(n_told, 1);
        undrain();
        wait_active(e);
        ck_assert_uint_eq(n_followed, 1);
}
END_TEST

static void check_is_degraded(const Entry *e)
{
        bus_pair_settle(w.event);
        ck_assert_int_eq(e->r->state, RESERVATION_DEGRADED);
        ck_assert_uint_eq(n_told, 1);
}

/* The node is shut at once, and the reservations are judged in the turns that follow. One of them is kept
 * before it is judged. */
START_TEST(one_that_is_kept_while_its_node_is_drained)
{
        Entry *e = add_with_lease();
        bool drained = false;

        revoke_it(e);
        node_drains_start(w.assembly->node_drains, 2, on_drained, &drained);
        lease_keep(w.assembly->leases, e);
        while (!drained)
                turn();
        check_is_degraded(e);
        undrain();
        wait_active(e);
        ck_assert_uint_eq(n_followed, 1);
}
END_TEST

/* The same without DrainNode: nobody else takes the node out of its cgroup. */
START_TEST(one_that_is_kept_while_its_node_vanishes)
{
        Entry *e = add_with_lease();

        revoke_it(e);
        nodeset_add(&book->drained, 2); /* this is no drain: the node is only shut */
        degrade_shut_nodes(book);
        node_drains_judge(w.assembly->node_drains);
        lease_keep(w.assembly->leases, e);
        check_is_degraded(e);
        ck_assert_uint_eq(n_followed, 1);
}
END_TEST

/* The pages of its cgroup may have left, and the node with them, before anybody has looked at the reservation. */
START_TEST(a_node_that_is_open_again_before_the_walk)
{
        for (uint32_t id = 1; id <= 3; id++)
                (void)whole_add_tenant(&w, id, 4096);
        nodeset_add(&book->drained, 2);
        degrade_shut_nodes(book);
        degrades_judge(w.assembly->degrades, false);
        nodeset_remove(&book->drained, 2);
        degrade_shut_nodes(book);
        degrades_judge(w.assembly->degrades, true);
        bus_pair_settle(w.event);
        ck_assert_uint_eq(n_followed, 3);
        ck_assert_uint_eq(n_told, 0);
        degrades_judge(w.assembly->degrades, true);
        bus_pair_settle(w.event);
        ck_assert_uint_eq(n_followed, 3);
}
END_TEST

/* It has the node again until its lease ends; kept, it is active only when its cgroup has been verified. */
START_TEST(a_node_that_comes_back_while_its_reservation_is_revoked)
{
        Entry *e = add_with_lease();

        drain();
        revoke_it(e);
        undrain();
        while (n_followed == 0)
                turn();
        ck_assert_int_eq(e->r->state, RESERVATION_REVOKING);
        lease_keep(w.assembly->leases, e);
        ck_assert_int_eq(e->r->state, RESERVATION_DEGRADED);
        wait_active(e);
        ck_assert_uint_eq(n_followed, 1);
}
END_TEST

START_TEST(a_restart_does_not_tell_it_again)
{
        (void)add_with_lease();
        drain();
        check_is_degraded(book_find(book, 1));
        w.assembly = assembly_free(w.assembly);
        ck_assert_int_eq(assembly_new(w.root, w.event, w.client, &w.assembly), 0);
        ck_assert_int_eq(reloads_load(w.assembly->reloads), 0);
        n_told = 0;
        serve();
        ck_assert_int_eq(book_find(book, 1)->r->state, RESERVATION_DEGRADED);
        ck_assert_uint_eq(n_told, 0);
        undrain();
        wait_active(book_find(book, 1));
}
END_TEST

START_TEST(a_fight_while_its_reservation_is_revoked)
{
        Entry *e = add_with_lease();

        revoke_it(e);
        degrade_set(w.assembly->degrades, e, DEGRADED_FIGHT, true);
        lease_keep(w.assembly->leases, e);
        ck_assert_int_eq(e->r->state, RESERVATION_DEGRADED);
        ck_assert_uint_eq(n_told, 0);
        drain();
        check_is_degraded(e);
        undrain();
        degrade_set(w.assembly->degrades, e, DEGRADED_FIGHT, false);
        wait_active(e);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("degrade");
        TCase *t = tcase_create("degrade");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, many_tenants_leave_in_slices);
        tcase_add_test(t, one_tenant_is_restored_in_slices);
        tcase_add_test(t, what_is_restored_meanwhile_is_verified_again);
        tcase_add_test(t, a_degraded_one_that_is_renewed_is_degraded);
        tcase_add_test(t, a_node_that_is_drained_while_its_reservation_is_revoked);
        tcase_add_test(t, one_that_is_kept_while_its_node_is_drained);
        tcase_add_test(t, one_that_is_kept_while_its_node_vanishes);
        tcase_add_test(t, a_node_that_is_open_again_before_the_walk);
        tcase_add_test(t, a_node_that_comes_back_while_its_reservation_is_revoked);
        tcase_add_test(t, a_restart_does_not_tell_it_again);
        tcase_add_test(t, a_fight_while_its_reservation_is_revoked);
        suite_add_tcase(s, t);
        return check_main(s);
}
