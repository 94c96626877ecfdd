/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/check-main.h"

#include <stdio.h>
#include <string.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/tenant/usage.h"
#include "policy/reservation.h"
#include "tests/unit/tree.h"

#define MIB (UINT64_C(1) << 20)
#define CG  "sys/fs/cgroup/"

static char *root;
static sd_event *event;
static Worker *worker;
static Ledger *ledger;
static Usage *usage;
static NodeSet node2;

static void set_used(uint64_t bytes)
{
        char text[128];

        snprintf(text, sizeof(text), "Node 2 MemTotal: 1048576 kB\nNode 2 MemFree: %llu kB\n",
                 (unsigned long long)((1024 * MIB - bytes) / 1024));
        tree_write(root, "sys/devices/system/node/node2/meminfo", text);
}

static void set_cgroup(const char *name, uint64_t bytes)
{
        char path[128], text[64];

        snprintf(path, sizeof(path), CG "%s%smemory.numa_stat", name, *name ? "/" : "");
        snprintf(text, sizeof(text), "anon N2=%llu\n", (unsigned long long)bytes);
        tree_write(root, path, text);
}

static void reserve(uint32_t id, const char *unit, uint64_t bytes)
{
        Reservation *r;
        char cgroup[64];

        ck_assert_int_eq(reservation_new(&r), 0);
        (void)snprintf(cgroup, sizeof(cgroup), "/%s", unit);
        r->id = id;
        r->pool = strdup("cdm");
        if (!r->target)
                r->target = calloc(1, sizeof(*r->target));
        ck_assert_ptr_nonnull(r->target);
        r->target->unit = strdup(unit);
        r->target->cgroup = strdup(cgroup);
        r->state = RESERVATION_ACTIVE;
        r->size_bytes = bytes;
        ck_assert_int_eq(reservation_set_shares(r, &(Share){ 2, bytes }, 1), 0);
        ck_assert_int_eq(ledger_add(ledger, r), 0);
}

static void setup(void)
{
        char *error = NULL;

        root = tree_new();
        node2 = nodeset_of(2);
        tree_write(root, CG "cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
        set_cgroup("", 0);
        set_used(0);
        ck_assert_int_eq(cgroup_setup(root, &error), 0);
        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(worker_new(event, 2, &worker), 0);
        ck_assert_int_eq(ledger_new(&ledger), 0);
        UsageContext c = { .root = root, .event = event, .worker = worker, .ledger = ledger };
        ck_assert_int_eq(usage_new(&c, &usage), 0);
}

static void teardown(void)
{
        usage = usage_free(usage);
        worker = worker_free(worker);
        ledger = ledger_free(ledger);
        event = sd_event_unref(event);
        tree_remove(root);
}

static void count(int error, const UsageTarget *target, void *userdata)
{
        ck_assert_int_eq(error, 0);
        (*(unsigned *)userdata)++;
}

static void look(void)
{
        unsigned n = 0;

        ck_assert_int_eq(usage_look(usage, &node2, NULL, NULL, count, &n, NULL), 0);
        while (n == 0)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
}

static uint64_t foreign(void)
{
        size_t n;
        const NodeUse *use = usage_of_nodes(usage, &node2, &NODESET_EMPTY, false, &n);

        ck_assert_uint_eq(n, 1);
        ck_assert(!use->closed);
        return use->foreign_bytes / MIB;
}

START_TEST(what_was_never_observed_has_nothing)
{
        size_t n;

        ck_assert(usage_of_nodes(usage, &node2, &NODESET_EMPTY, false, &n)->closed);
}
END_TEST

START_TEST(formulas)
{
        set_used(300 * MIB);
        look();
        ck_assert_uint_eq(foreign(), 300);
        /* One tenant: T=100, A=150, U=150; R=400, then 200. */
        set_cgroup("", 150 * MIB);
        set_cgroup("a.service", 100 * MIB);
        reserve(1, "a.service", 400 * MIB);
        look();
        ck_assert_uint_eq(foreign(), 50);
        Share less = { 2, 200 * MIB };
        ck_assert_int_eq(ledger_set_shares(ledger, ledger_find(ledger, 1), &less, 1), 0);
        ck_assert_uint_eq(foreign(), 100);
        /* Two: U has no owner; min(200, 100) + min(20, 50). */
        set_cgroup("b.service", 50 * MIB);
        reserve(2, "b.service", 20 * MIB);
        look();
        ck_assert_uint_eq(foreign(), 180);
}
END_TEST

START_TEST(the_ledger_changes_after_an_observation)
{
        set_used(300 * MIB);
        set_cgroup("", 300 * MIB);
        set_cgroup("a.service", 100 * MIB);
        set_cgroup("b.service", 100 * MIB);
        set_cgroup("c.service", 100 * MIB);
        reserve(1, "a.service", 100 * MIB);
        reserve(2, "b.service", 100 * MIB);
        look();
        ck_assert_uint_eq(foreign(), 100);
        /* Who is new explains nothing until the next look. */
        reserve(3, "c.service", 100 * MIB);
        ck_assert_uint_eq(foreign(), 100);
        look();
        ck_assert_uint_eq(foreign(), 0);
        /* Who leaves takes with it what it explained. */
        reservation_free(ledger_take(ledger, 2));
        ck_assert_uint_eq(foreign(), 100);
        reserve(2, "b.service", 100 * MIB);
        ck_assert_uint_eq(foreign(), 100);
}
END_TEST

/* With many tenants each new one is read at once, the others once a second. */
START_TEST(looks_are_merged)
{
        enum { TENANTS = 1000, LOOKS = 10000 };
        unsigned n = 0;
        char name[32];

        set_used(TENANTS * MIB / 2);
        for (unsigned i = 0; i < TENANTS; i++) {
                snprintf(name, sizeof(name), "t%u.service", i);
                set_cgroup(name, MIB / 2);
                reserve(i + 1, name, MIB / 2);
        }
        for (unsigned i = 0; i < LOOKS; i++)
                ck_assert_int_eq(usage_look(usage, &node2, NULL, NULL, count, &n, NULL), 0);
        while (n < LOOKS)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        ck_assert_uint_eq(usage_count(usage), 2);
        ck_assert_uint_eq(foreign(), 0);
        set_used((TENANTS + 1) * MIB / 2);
        set_cgroup("new.service", MIB / 2);
        reserve(TENANTS + 1, "new.service", MIB / 2);
        look();
        ck_assert_uint_eq(foreign(), 0);
}
END_TEST

/* How many turns of the loop an observation of many tenants takes, and how many entries of the ledger are
 * visited in one of them at most. */
START_TEST(many_tenants_are_read_in_slices)
{
        enum { TENANTS = 2000, MOST = 256 };
        size_t most = 0, before;
        unsigned n = 0, turns = 0;
        char name[32];

        set_used(TENANTS * MIB / 2);
        for (unsigned i = 0; i < TENANTS; i++) {
                snprintf(name, sizeof(name), "t%u.service", i);
                set_cgroup(name, MIB / 2);
                reserve(i + 1, name, MIB / 2);
        }
        before = ledger_visited(ledger);
        ck_assert_int_eq(usage_look(usage, &node2, NULL, NULL, count, &n, NULL), 0);
        /* Whoever leaves or comes meanwhile is in nobody's way. */
        reservation_free(ledger_take(ledger, 1));
        reservation_free(ledger_take(ledger, TENANTS - 256));
        reservation_free(ledger_take(ledger, TENANTS - 257));
        reservation_free(ledger_take(ledger, TENANTS / 2));
        reserve(TENANTS + 1, "late.service", MIB / 2);
        set_cgroup("late.service", MIB / 2);
        while (n == 0) {
                size_t now = ledger_visited(ledger);

                most = now - before > most ? now - before : most;
                before = now;
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
                turns++;
        }
        /* Collecting visits each tenant and its first reservation. */
        ck_assert_uint_le(most, 2 * MOST);
        /* They are collected in as many turns as they are taken over. */
        ck_assert_uint_ge(turns, 2 * (TENANTS / MOST));
        ck_assert_uint_eq(foreign(), 2); /* 4 left, of half a MiB, and one is not read yet */
        look();
        ck_assert_uint_eq(foreign(), 1);
}
END_TEST

static void must_not(int error, const UsageTarget *target, void *userdata)
{
        ck_abort_msg("called although it was freed");
}

START_TEST(a_look_is_freed)
{
        UsageLook *running, *waiting;
        unsigned n = 0;

        ck_assert_int_eq(usage_look(usage, &node2, NULL, NULL, must_not, NULL, &running), 0);
        ck_assert_int_eq(usage_look(usage, &node2, "/", &node2, must_not, NULL, &waiting), 0);
        ck_assert_int_eq(usage_look(usage, &node2, NULL, NULL, count, &n, NULL), 0);
        usage_look_free(running);
        usage_look_free(waiting);
        while (n == 0)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        /* One that runs when all ends. */
        ck_assert_int_eq(usage_look(usage, &node2, NULL, NULL, must_not, NULL, NULL), 0);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("usage");
        TCase *t = tcase_create("usage");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, what_was_never_observed_has_nothing);
        tcase_add_test(t, formulas);
        tcase_add_test(t, the_ledger_changes_after_an_observation);
        tcase_add_test(t, looks_are_merged);
        tcase_add_test(t, many_tenants_are_read_in_slices);
        tcase_add_test(t, a_look_is_freed);
        suite_add_tcase(s, t);
        return check_main(s);
}
