/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/bus-pair.h"
#include "tests/unit/check-main.h"

#include "daemon/assembly.h"
#include "daemon/fence/fence-scan.h"
#include "daemon/keeper/drift.h"
#include "daemon/keeper/reload.h"
#include "daemon/keeper/start.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/tenant/owner-ask.h"
#include "daemon/tenant/unit-check.h"
#include "tests/unit/tree.h"

/* All of cdmd but its surface on the bus, over a made-up machine with many control groups. What is done for each of
 * them is counted (the linker puts the functions __wrap_*() in between): there is a bound in each turn of the event
 * loop, and none is left out. */

enum {
        LEAVES = 700,
        FENCED_A_TURN = 256, /* FENCE_TURN_MAX */
        TENANTS = 200,
        CHECKED_A_TURN = 64, /* ENTRIES_A_SLICE */
        LOOKED_A_TURN = 64,  /* LEAVES_A_SLICE of drift.c */
        NEW = 200,
        NEW_A_TURN = 64,          /* PORTION of tree-events.c */
        GRACE_USEC = 3100 * 1000, /* when the youngest one is due, and its timer */
};

static char *root;
static sd_event *event;
static sd_bus *server, *client;
static Manager *m;

typedef struct Count {
        size_t n, in_turn, most;
} Count;

static Count judged, looked, fresh, asked, checked;

static void count(Count *c)
{
        c->n++;
        c->in_turn++;
        if (c->in_turn > c->most)
                c->most = c->in_turn;
}

NodeSet __real_fence_leaf_open(const FenceLeaf *, const Config *, const PoolSet *, const Ledger *);
NodeSet __wrap_fence_leaf_open(const FenceLeaf *, const Config *, const PoolSet *, const Ledger *);
NodeSet __real_fence_leaf_reserved(const FenceLeaf *, const Ledger *);
NodeSet __wrap_fence_leaf_reserved(const FenceLeaf *, const Ledger *);
void __real_drift_leaf(Drift *, const char *, bool);
void __wrap_drift_leaf(Drift *, const char *, bool);
void __real_owner_asks_add(OwnerAsks *, const char *);
void __wrap_owner_asks_add(OwnerAsks *, const char *);

NodeSet __wrap_fence_leaf_open(const FenceLeaf *leaf, const Config *c, const PoolSet *p, const Ledger *l)
{
        count(&judged);
        return __real_fence_leaf_open(leaf, c, p, l);
}

NodeSet __wrap_fence_leaf_reserved(const FenceLeaf *leaf, const Ledger *l)
{
        count(&looked);
        return __real_fence_leaf_reserved(leaf, l);
}

void __wrap_drift_leaf(Drift *d, const char *path, bool check)
{
        count(&fresh);
        __real_drift_leaf(d, path, check);
}

void __wrap_owner_asks_add(OwnerAsks *a, const char *path)
{
        count(&asked);
        __real_owner_asks_add(a, path);
}

int __real_unit_checks_add(UnitChecks *, const char *, bool, unit_check_done_t);
int __wrap_unit_checks_add(UnitChecks *, const char *, bool, unit_check_done_t);

int __wrap_unit_checks_add(UnitChecks *s, const char *unit, bool repair, unit_check_done_t done)
{
        count(&checked);
        return __real_unit_checks_add(s, unit, repair, done);
}

/* A PID 1 that has no time for questions. */
static int on_call(sd_bus_message *message, void *userdata _unused_, sd_bus_error *error _unused_)
{
        if (!sd_bus_message_is_method_call(message, NULL, NULL))
                return 0;
        if (sd_bus_message_is_method_call(message, NULL, "Reload") ||
            sd_bus_message_is_method_call(message, NULL, "Subscribe"))
                MUST(sd_bus_reply_method_return(message, NULL) >= 0);
        else
                MUST(sd_bus_reply_method_errorf(message, SD_BUS_ERROR_TIMEOUT, "not now") >= 0);
        return 1;
}

static void put_leaves(const char *name, unsigned n)
{
        char path[128];

        for (unsigned i = 1; i <= n; i++) {
                snprintf(path, sizeof(path), "sys/fs/cgroup/system.slice/%s-%u.service/cpuset.mems", name,
                         i);
                tree_write(root, path, "0-1\n");
                strcat(path, ".effective");
                tree_write(root, path, "0-1\n");
        }
}

static void add_tenant(uint32_t id)
{
        Reservation *r;
        Entry *e;

        MUST(reservation_new(&r) == 0);
        r->id = id;
        r->state = RESERVATION_ACTIVE;
        r->pool = strdup("cdm");
        r->target = calloc(1, sizeof(*r->target));
        MUST(r->target && asprintf(&r->target->unit, "u-%u.service", id) > 0);
        r->shares[r->n_shares++] = (Share){ 2, 4096 };
        MUST(manager_add(m, r, STORE_GRANTED, &e) == 0);
}

static void prepare(void)
{
        char command[512], *error = NULL;

        root = tree_new();
        snprintf(command, sizeof(command), "cp -r '%s/machine/hbm4/.' '%s' && chmod -R u+w '%s'",
                 TEST_DATA_DIR, root, root);
        ck_assert_int_eq(system(command), 0);
        tree_write(root, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
        tree_write(root, "sys/fs/cgroup/cgroup.subtree_control", "cpuset cpu io memory pids\n");
        tree_write(root, "run/systemd/system/.keep", "");
        put_leaves("u", LEAVES);
        ck_assert_int_eq(cgroup_setup(root, &error), 0);
        ck_assert_int_ge(sd_event_new(&event), 0);
        bus_pair_new(event, on_call, &server, &client);
        ck_assert_int_eq(manager_new(root, event, client, &m), 0);
        ck_assert_int_eq(reloads_load(m->reloads), 0);
}

static void start(void)
{
        prepare();
        ck_assert_int_eq(start_run(m->start), 0);
}

static void stop(void)
{
        manager_free(m);
        sd_bus_close_unref(client);
        sd_bus_close_unref(server);
        sd_event_unref(event);
        tree_remove(root);
}

static void turn(void)
{
        judged.in_turn = looked.in_turn = fresh.in_turn = asked.in_turn = checked.in_turn = 0;
        ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
}

START_TEST(leaves_are_judged_and_compared_in_slices)
{
        while (!m->serving || looked.n < LEAVES)
                turn();
        ck_assert_uint_ge(judged.n, LEAVES);
        ck_assert_uint_le(judged.most, FENCED_A_TURN);
        ck_assert_uint_le(looked.most, LOOKED_A_TURN);
}
END_TEST

START_TEST(many_that_come_are_looked_at_in_slices)
{
        while (!m->serving || looked.n < LEAVES)
                turn();
        size_t before = asked.n;
        put_leaves("new", NEW);
        while (asked.n < before + NEW)
                turn();
        /* Now all of them are due. */
        usleep(GRACE_USEC);
        before = fresh.n;
        fresh.most = 0;
        while (fresh.n < before + NEW)
                turn();
        ck_assert_uint_le(fresh.most, NEW_A_TURN);
}
END_TEST

START_TEST(the_units_of_all_tenants_are_looked_at_in_slices)
{
        for (uint32_t id = 1; id <= TENANTS; id++)
                add_tenant(id);
        ck_assert_int_eq(start_run(m->start), 0);
        while (checked.n < TENANTS)
                turn();
        ck_assert_uint_eq(checked.n, TENANTS);
        ck_assert_uint_le(checked.most, CHECKED_A_TURN);
}
END_TEST

/* It was taken out of the ledger, and there was no memory to put it back. */
START_TEST(who_is_in_no_ledger_is_forgotten)
{
        add_tenant(1);
        Entry *e = manager_find(m, 1);
        ck_assert(e->known);
        ck_assert_ptr_eq(ledger_take(m->ledger, 1), e->r);
        manager_forget(e);
        ck_assert_ptr_null(manager_find(m, 1));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("turns");
        TCase *t = tcase_create("turns"), *recovery = tcase_create("recovery");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, leaves_are_judged_and_compared_in_slices);
        tcase_add_test(t, many_that_come_are_looked_at_in_slices);
        tcase_add_checked_fixture(recovery, prepare, stop);
        tcase_add_test(recovery, the_units_of_all_tenants_are_looked_at_in_slices);
        tcase_add_test(recovery, who_is_in_no_ledger_is_forgotten);
        suite_add_tcase(s, recovery);
        suite_add_tcase(s, t);
        return check_main(s);
}
