/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/whole-cdmd.h"

#include <stdatomic.h>

#include "daemon/fence/fence-scan.h"
#include "daemon/keeper/drift-tenant.h"
#include "daemon/keeper/drift.h"
#include "daemon/loop/answer.h"
#include "daemon/loop/clock.h"
#include "daemon/tenant/bases.h"
#include "daemon/tenant/owner-ask.h"
#include "daemon/tenant/snapshot.h"
#include "daemon/tenant/unit-check.h"
#include "daemon/tenant/warnings.h"
#include "policy/warning.h"

/* A cdmd with many control groups and tenants. What is done for each of them is counted (the linker puts the
 * functions __wrap_*() in between): each turn of the event loop has a bound, and none is left out. */

enum {
        LEAVES = 700,
        FENCED_A_TURN = 256, /* FENCE_TURN_MAX */
        TENANTS = 200,
        CHECKED_A_TURN = 64, /* ENTRIES_A_SLICE */
        STORED_A_TURN = 8,   /* CHANGES_A_SLICE of entry-walk.c */
        LOOKED_A_TURN = 64,  /* LEAVES_A_SLICE of drift.c */
        NEW = 200,
        NEW_A_TURN = 64,          /* PORTION of tree-events.c */
        GRACE_USEC = 3100 * 1000, /* when the youngest one is due, and its timer */
        FRESH_USEC = 1000 * 1000, /* USAGE_FRESH_USEC */
        TRIES = 20,
};

static WholeCdmd w;
static Book *book;

typedef struct Count {
        size_t n, in_turn, most;
} Count;

static Count judged, looked, fresh, asked, checked, stored, tenants;

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
void __real_tenant_looks_add(TenantLooks *, const char *);
void __wrap_tenant_looks_add(TenantLooks *, const char *);
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

void __wrap_tenant_looks_add(TenantLooks *s, const char *tenant)
{
        count(&tenants);
        __real_tenant_looks_add(s, tenant);
}

void __wrap_owner_asks_add(OwnerAsks *a, const char *path)
{
        count(&asked);
        __real_owner_asks_add(a, path);
}

int __real_unit_checks_add(UnitChecks *, const char *, bool, done_t, void *);
int __wrap_unit_checks_add(UnitChecks *, const char *, bool, done_t, void *);

int __wrap_unit_checks_add(UnitChecks *s, const char *unit, bool repair, done_t done, void *userdata)
{
        count(&checked);
        return __real_unit_checks_add(s, unit, repair, done, userdata);
}

int __real_book_store(Entry *);
int __wrap_book_store(Entry *);

int __wrap_book_store(Entry *e)
{
        count(&stored);
        return __real_book_store(e);
}

static unsigned n_read_all; /* how often all tenants of node 2 were to be read */

int __real_ledger_walk_tenants_of_node(Ledger *, int, bool, size_t, int (*)(const char *, uint64_t, void *),
                                       void *);
int __wrap_ledger_walk_tenants_of_node(Ledger *, int, bool, size_t, int (*)(const char *, uint64_t, void *),
                                       void *);

int __wrap_ledger_walk_tenants_of_node(Ledger *l, int node, bool all, size_t max,
                                       int (*fn)(const char *, uint64_t, void *), void *userdata)
{
        n_read_all += node == 2 && all;
        return __real_ledger_walk_tenants_of_node(l, node, all, max, fn, userdata);
}

static atomic_int open_error; /* of each cgroup that is opened; 0: none */

int __real_cgroup_open(const char *, uint64_t *);
int __wrap_cgroup_open(const char *, uint64_t *);

int __wrap_cgroup_open(const char *path, uint64_t *ret_id)
{
        int error = atomic_load(&open_error);

        return error < 0 ? error : __real_cgroup_open(path, ret_id);
}

static void prepare(void)
{
        whole_prepare(&w, LEAVES, NULL);
        book = &w.assembly->book;
}

static void start(void)
{
        prepare();
        whole_start(&w);
}

/* With control groups that have no part in the test. */
static void start_few(void)
{
        whole_prepare(&w, 3, NULL);
        book = &w.assembly->book;
        whole_start(&w);
        while (!book->serving)
                ck_assert_int_ge(sd_event_run(w.event, UINT64_MAX), 0);
}

static void stop(void)
{
        whole_stop(&w);
}

static void add_tenants(void)
{
        for (uint32_t id = 1; id <= TENANTS; id++)
                (void)whole_add_tenant(&w, id, 4096);
}

static void turn(void)
{
        judged.in_turn = looked.in_turn = fresh.in_turn = asked.in_turn = checked.in_turn = stored.in_turn =
                0;
        ck_assert_int_ge(sd_event_run(w.event, UINT64_MAX), 0);
}

START_TEST(leaves_are_judged_and_compared_in_slices)
{
        while (!book->serving || looked.n < LEAVES)
                turn();
        ck_assert_uint_ge(judged.n, LEAVES);
        ck_assert_uint_le(judged.most, FENCED_A_TURN);
        ck_assert_uint_le(looked.most, LOOKED_A_TURN);
}
END_TEST

START_TEST(many_that_come_are_looked_at_in_slices)
{
        while (!book->serving || looked.n < LEAVES)
                turn();
        size_t before = asked.n;
        whole_put_leaves(&w, "new", NEW);
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
        add_tenants();
        whole_start(&w);
        while (checked.n < TENANTS)
                turn();
        ck_assert_uint_eq(checked.n, TENANTS);
        ck_assert_uint_le(checked.most, CHECKED_A_TURN);
}
END_TEST

#define U_1 "sys/fs/cgroup/system.slice/u-1.service"

/* The processes of u-1.service are in a control group that it has made below its own. */
static void start_with_inner(void)
{
        tree_write(w.root, U_1 "/inner/cgroup.events", "populated 1\n");
        tree_write(w.root, "sys/fs/cgroup/system.slice/cgroup.subtree_control", "cpuset memory\n");
        whole_start(&w);
        while (!book->serving || looked.n < LEAVES)
                turn();
}

/* As if the event were lost: nothing is closed that was written to. */
static void replace(const char *file, const char *text)
{
        char from[256], to[256];

        snprintf(from, sizeof(from), "%s/" U_1 "/new", w.root);
        snprintf(to, sizeof(to), "%s/" U_1 "/%s", w.root, file);
        tree_write(w.root, U_1 "/new", text);
        ck_assert_int_eq(rename(from, to), 0);
}

START_TEST(a_unit_whose_processes_are_below_it_is_closed)
{
        bool is_closed = false;

        start_with_inner();
        replace("cpuset.mems.effective", "0-3\n");
        replace("cpuset.mems", "0-3\n");
        drift_look(w.assembly->drift);
        while (!is_closed) {
                turn();
                _cleanup_free_ char *text = tree_read(w.root, U_1 "/cpuset.mems");
                is_closed = strcmp(text, "0-1") == 0;
        }
}
END_TEST

/* It has reserved node 2. */
START_TEST(a_tenant_whose_processes_are_below_it_is_compared)
{
        start_with_inner();
        (void)whole_add_tenant(&w, 1, 4096);
        ck_assert_uint_eq(tenants.n, 0);
        drift_look(w.assembly->drift);
        while (tenants.n == 0)
                turn();
}
END_TEST

static unsigned n_stored_with(const char *line)
{
        unsigned n = 0;

        for (uint32_t id = 1; id <= TENANTS; id++) {
                char path[64];

                snprintf(path, sizeof(path), "run/cdmd/reservation-%u", id);
                _cleanup_free_ char *text = tree_read(w.root, path);
                n += strstr(text, line) != NULL;
        }
        return n;
}

/* An ordinary node comes, which all units may use. */
static void add_ordinary_node(void)
{
        add_tenants();
        for (uint32_t id = 1; id <= TENANTS; id++)
                book_find(book, id)->r->base = book->pools->ordinary;
        whole_put_node4(&w);
        stored = (Count){ 0 };
        reloads_add(w.assembly->reloads, NULL, NULL);
        while (!nodeset_contains(&book->pools->ordinary, 4))
                turn();
}

START_TEST(an_ordinary_node_is_stored_in_slices)
{
        add_ordinary_node();
        while (stored.n < TENANTS)
                turn();
        ck_assert_uint_le(stored.most, STORED_A_TURN);
        ck_assert_uint_eq(n_stored_with("Base=0-1,4\n"), TENANTS);
}
END_TEST

START_TEST(what_is_not_stored_at_the_end_is_stored_then)
{
        add_ordinary_node();
        w.assembly->bases = bases_free(w.assembly->bases);
        ck_assert_uint_eq(n_stored_with("Base=0-1,4\n"), TENANTS);
}
END_TEST

/* It was taken out of the ledger, and there was no memory to put it back. */
START_TEST(who_is_in_no_ledger_is_forgotten)
{
        Entry *e = whole_add_tenant(&w, 1, 4096);
        ck_assert(e->known);
        ck_assert_ptr_eq(ledger_take(book->ledger, 1), e->r);
        book_forget(e);
        ck_assert_ptr_null(book_find(book, 1));
}
END_TEST

static void on_look(int error, const UsageTarget *target _unused_, void *userdata)
{
        ck_assert_int_eq(error, 0);
        *(bool *)userdata = true;
}

static void look(void)
{
        bool done = false;
        UsageLook *l;

        ck_assert_int_ge(snapshot_look(book, NULL, on_look, &done, &l), 0);
        while (!done)
                turn();
}

/* Without a pool with Hold=yes the end of a reservation needs no look at the nodes. */
START_TEST(an_end_looks_at_nobody)
{
        add_tenants();
        look();
        for (uint32_t id = 1; id <= 10; id++) {
                uint64_t before = usage_count(book->usage);

                book_forget(book_find(book, id));
                bus_pair_settle(w.event);
                /* A look that the end had begun would be counted as well. */
                look();
                ck_assert_uint_eq(usage_count(book->usage), before + 1);
        }
}
END_TEST

/* One reservation ends between two looks, which take less than a second. Returns how often all tenants were
 * to be read in the second look; -1: the machine was too busy, and the looks took longer. */
static int read_after_an_end(uint32_t id)
{
        usleep(FRESH_USEC);
        uint64_t began = clock_monotonic_usec();

        n_read_all = 0;
        look();
        ck_assert_uint_ge(n_read_all, 1);
        n_read_all = 0;
        book_forget(book_find(book, id));
        look();
        return clock_monotonic_usec() - began < FRESH_USEC ? (int)n_read_all : -1;
}

/* What is known of the others stays known. */
START_TEST(after_an_end_the_others_are_still_known)
{
        int n = -1;

        add_tenants();
        for (uint32_t id = 1; n < 0 && id <= TRIES; id++)
                n = read_after_an_end(id);
        if (n < 0)
                puts("# the machine is too busy to show that the others are still known");
        else
                ck_assert_int_eq(n, 0);
}
END_TEST

static void on_reloaded(const Answer *a, void *userdata)
{
        ck_assert_ptr_null(a->error);
        *(bool *)userdata = true;
}

static bool is_warned_of(const char *name)
{
        size_t n;
        const WarningText *t = warnings_get(w.assembly->warnings, &n);

        for (size_t i = 0; i < n; i++)
                if (strcmp(t[i].name, name) == 0)
                        return true;
        return false;
}

/* Of what a reload does not change. */
START_TEST(a_warning_that_still_applies_stays)
{
        bool reloaded = false;

        warnings_add(w.assembly->warnings, WARNING_NODES_UNWATCHED, "nodes that come are not noticed");
        warnings_add(w.assembly->warnings, WARNING_CONFIGURATION, "10-all.conf:1: a mistake");
        reloads_add(w.assembly->reloads, on_reloaded, &reloaded);
        while (!reloaded)
                turn();
        ck_assert(is_warned_of(WARNING_NODES_UNWATCHED));
        ck_assert(!is_warned_of(WARNING_CONFIGURATION));
}
END_TEST

static void on_checked(int result _unused_, void *userdata)
{
        *(bool *)userdata = true;
}

/* Reservation 1 is for a control group that systemd does not own, and that is not there. */
static void add_foreign(void)
{
        Entry *e = whole_add_tenant(&w, 1, 4096);
        Reservation *r = ledger_take(book->ledger, 1);

        ck_assert_ptr_eq(r, e->r);
        free(r->target->unit);
        r->target->unit = NULL;
        r->target->cgroup = strdup("/docker/one");
        ck_assert_int_eq(ledger_add(book->ledger, r), 0);
}

static void check_foreign(int error)
{
        bool checked_it = false;

        atomic_store(&open_error, error);
        ck_assert_int_eq(
                unit_checks_add(w.assembly->unit_checks, "/docker/one", false, on_checked, &checked_it), 0);
        while (!checked_it)
                turn();
        atomic_store(&open_error, 0);
}

START_TEST(a_control_group_that_cannot_be_read_has_not_ended)
{
        add_foreign();
        check_foreign(-EMFILE);
        ck_assert_ptr_nonnull(book_find(book, 1));
        check_foreign(0);
        ck_assert_ptr_null(book_find(book, 1));
}
END_TEST

/* The check is repeated unasked. */
START_TEST(a_control_group_that_could_not_be_read_is_looked_at_again)
{
        add_foreign();
        check_foreign(-ENFILE);
        while (book_find(book, 1))
                turn();
}
END_TEST

int main(void)
{
        Suite *s = suite_create("turns");
        TCase *t = tcase_create("turns"), *recovery = tcase_create("recovery"), *few = tcase_create("few");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, leaves_are_judged_and_compared_in_slices);
        tcase_add_test(t, many_that_come_are_looked_at_in_slices);
        tcase_add_checked_fixture(few, start_few, stop);
        tcase_add_test(few, an_ordinary_node_is_stored_in_slices);
        tcase_add_test(few, what_is_not_stored_at_the_end_is_stored_then);
        tcase_add_test(few, an_end_looks_at_nobody);
        tcase_add_test(few, after_an_end_the_others_are_still_known);
        tcase_add_test(few, a_warning_that_still_applies_stays);
        tcase_add_test(few, a_control_group_that_cannot_be_read_has_not_ended);
        tcase_add_test(few, a_control_group_that_could_not_be_read_is_looked_at_again);
        tcase_add_checked_fixture(recovery, prepare, stop);
        tcase_add_test(recovery, the_units_of_all_tenants_are_looked_at_in_slices);
        tcase_add_test(recovery, who_is_in_no_ledger_is_forgotten);
        tcase_add_test(recovery, a_unit_whose_processes_are_below_it_is_closed);
        tcase_add_test(recovery, a_tenant_whose_processes_are_below_it_is_compared);
        suite_add_tcase(s, recovery);
        suite_add_tcase(s, t);
        suite_add_tcase(s, few);
        return check_main(s);
}
