/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "policy/ledger.h"
#include "policy/macro.h"
#include "tests/unit/check-main.h"

#define MIB (UINT64_C(1) << 20)

static Reservation *make(uint32_t id, const char *unit, uid_t uid, const char *rule, int node,
                         uint64_t bytes)
{
        Reservation *r = NULL;

        MUST(reservation_new(&r) == 0);
        r->id = id;
        r->state = RESERVATION_ACTIVE;
        r->size_bytes = bytes;
        r->target = calloc(1, sizeof(Subject));
        r->target->unit = strdup(unit);
        r->target->uid = uid;
        r->rule_file = rule ? strdup(rule) : NULL;
        if (node >= 0)
                MUST(reservation_set_shares(r, &(Share){ node, bytes }, 1) == 0);
        return r;
}

static void drop(Ledger *l, uint32_t id)
{
        Reservation *r = ledger_take(l, id);

        ck_assert_ptr_nonnull(r);
        ck_assert_uint_eq(r->id, id);
        reservation_free(r);
}

START_TEST(strings)
{
        for (ReservationState v = 0; v < _RESERVATION_STATE_MAX; v++) {
                ReservationState back = _RESERVATION_STATE_MAX;

                ck_assert_int_eq(reservation_state_from_string(reservation_state_to_string(v), &back), 0);
                ck_assert_int_eq(back, v);
        }
        for (Strength v = 0; v < _STRENGTH_MAX; v++)
                ck_assert_ptr_nonnull(strength_to_string(v));

        ReservationState untouched = RESERVATION_REVOKING;

        ck_assert_int_eq(reservation_state_from_string("gone", &untouched), -EINVAL);
        ck_assert_int_eq(untouched, RESERVATION_REVOKING);
        ck_assert_ptr_null(reservation_state_to_string(_RESERVATION_STATE_MAX));
}
END_TEST

START_TEST(several_of_one_tenant_add_up)
{
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        NodeSet open;

        ck_assert_int_eq(ledger_new(&l), 0);
        ck_assert_int_eq(ledger_add(l, make(1, "a.service", 1000, "10.conf", 2, 3 * MIB)), 0);
        ck_assert_int_eq(ledger_add(l, make(2, "a.service", 0, "10.conf", 2, 5 * MIB)), 0);
        ck_assert_int_eq(ledger_add(l, make(3, "b.service", 1000, NULL, 3, MIB)), 0);

        ck_assert_uint_eq(ledger_count(l), 3);
        ck_assert_uint_eq(ledger_count_user(l, 1000), 2);
        ck_assert_uint_eq(ledger_count_user(l, 1), 0);
        ck_assert_uint_eq(ledger_rule_bytes(l, "10.conf"), 8 * MIB);
        ck_assert_uint_eq(ledger_node_reserved(l, 2), 8 * MIB);
        ck_assert_uint_eq(ledger_node_tenants(l, 2), 1);
        ck_assert_uint_eq(ledger_tenant_bytes(l, "a.service", 2), 8 * MIB);
        ck_assert_uint_eq(ledger_tenant_count(l, "a.service"), 2);
        ck_assert(ledger_is_alone(l, ledger_find(l, 1)));

        /* A node stays open while one of them holds it. */
        drop(l, 1);
        open = ledger_tenant_nodes(l, "a.service");
        ck_assert(nodeset_contains(&open, 2));
        drop(l, 2);
        open = ledger_tenant_nodes(l, "a.service");
        ck_assert(nodeset_is_empty(&open));
        ck_assert_uint_eq(ledger_node_reserved(l, 2), 0);
        ck_assert_uint_eq(ledger_node_tenants(l, 2), 0);
        ck_assert_uint_eq(ledger_rule_bytes(l, "10.conf"), 0);
}
END_TEST

START_TEST(draining_counts_and_is_closed)
{
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        Reservation *r = make(1, "a.service", 1000, "10.conf", 2, 4 * MIB);
        NodeSet open;

        ck_assert_int_eq(ledger_new(&l), 0);
        ck_assert_int_eq(ledger_add(l, r), 0);
        ck_assert_int_eq(ledger_set_state(l, r, RESERVATION_DRAINING), 0);
        open = ledger_tenant_nodes(l, "a.service");
        ck_assert(nodeset_is_empty(&open));
        ck_assert_uint_eq(ledger_node_reserved(l, 2), 4 * MIB);
        ck_assert_uint_eq(ledger_node_tenants(l, 2), 1);
        ck_assert_uint_eq(ledger_rule_bytes(l, "10.conf"), 4 * MIB);

        /* residue: what could not be moved, then nothing any more */
        ck_assert_int_eq(ledger_set_shares(l, r, &(Share){ 2, MIB }, 1), 0);
        ck_assert_uint_eq(r->size_bytes, MIB);
        ck_assert_uint_eq(ledger_node_reserved(l, 2), MIB);
        ck_assert_uint_eq(ledger_rule_bytes(l, "10.conf"), MIB);
        ck_assert_int_eq(ledger_set_shares(l, r, &(Share){ 2, 0 }, 1), 0);
        ck_assert_uint_eq(ledger_node_reserved(l, 2), 0);
        ck_assert_uint_eq(ledger_node_tenants(l, 2), 0);
        ck_assert_uint_eq(ledger_count(l), 1);
}
END_TEST

START_TEST(queued_holds_nothing)
{
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        Reservation *r = make(1, "a.service", 1000, "10.conf", 2, 4 * MIB);
        NodeSet open;

        r->state = RESERVATION_QUEUED;
        ck_assert_int_eq(ledger_new(&l), 0);
        ck_assert_int_eq(ledger_add(l, r), 0);
        ck_assert_uint_eq(ledger_node_reserved(l, 2), 0);
        ck_assert_uint_eq(ledger_node_tenants(l, 2), 0);
        ck_assert_uint_eq(ledger_rule_bytes(l, "10.conf"), 0);
        ck_assert_uint_eq(ledger_count_user(l, 1000), 1);
        ck_assert_int_eq(ledger_set_state(l, r, RESERVATION_ACTIVE), 0);
        ck_assert_uint_eq(ledger_node_reserved(l, 2), 4 * MIB);
        open = ledger_tenant_nodes(l, "a.service");
        ck_assert(nodeset_contains(&open, 2));
}
END_TEST

START_TEST(nonsense_is_refused)
{
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        _cleanup_(reservation_free_p) Reservation *twin = make(1, "b.service", 0, NULL, 2, MIB);
        _cleanup_(reservation_free_p) Reservation *zero = make(0, "b.service", 0, NULL, 2, MIB);
        _cleanup_(reservation_free_p) Reservation *far = make(3, "b.service", 0, NULL, 2, MIB);
        _cleanup_(reservation_free_p) Reservation *nobody = make(4, "b.service", 0, NULL, 2, MIB);

        far->shares[0].node = NODE_MAX;
        nobody->target = subject_free(nobody->target);
        ck_assert_int_eq(ledger_new(&l), 0);
        ck_assert_int_eq(ledger_add(l, make(1, "a.service", 0, NULL, 2, MIB)), 0);
        ck_assert_int_eq(ledger_add(l, twin), -EEXIST);
        ck_assert_int_eq(ledger_add(l, zero), -EINVAL);
        ck_assert_int_eq(ledger_add(l, far), -EINVAL);
        ck_assert_int_eq(ledger_add(l, nobody), -EINVAL);
        ck_assert_int_eq(ledger_set_state(l, twin, RESERVATION_DRAINING), -EINVAL);
        ck_assert_int_eq(ledger_set_shares(l, twin, NULL, 0), -EINVAL);
        ck_assert_ptr_null(ledger_take(l, 2));
        ck_assert_uint_eq(ledger_tenant_count(l, "b.service"), 0);
        ck_assert_uint_eq(ledger_node_reserved(l, -1), 0);
        ck_assert_uint_eq(ledger_node_reserved(l, NODE_MAX), 0);
        ck_assert_uint_eq(ledger_rule_bytes(l, NULL), 0);
}
END_TEST

/* Sums saturate, and come back exactly. */
START_TEST(sums_do_not_wrap)
{
        _cleanup_(ledger_free_p) Ledger *l = NULL;

        ck_assert_int_eq(ledger_new(&l), 0);
        ck_assert_int_eq(ledger_add(l, make(1, "a.service", 0, "r", 2, UINT64_MAX)), 0);
        ck_assert_int_eq(ledger_add(l, make(2, "a.service", 0, "r", 2, UINT64_MAX)), 0);
        ck_assert_int_eq(ledger_add(l, make(3, "a.service", 0, "r", 2, 7)), 0);
        ck_assert_uint_eq(ledger_node_reserved(l, 2), UINT64_MAX);
        ck_assert_uint_eq(ledger_tenant_bytes(l, "a.service", 2), UINT64_MAX);
        ck_assert_uint_eq(ledger_rule_bytes(l, "r"), UINT64_MAX);
        drop(l, 1);
        drop(l, 2);
        ck_assert_uint_eq(ledger_node_reserved(l, 2), 7);
        ck_assert_uint_eq(ledger_rule_bytes(l, "r"), 7);
}
END_TEST

static int expect_rising(Reservation *r, void *userdata)
{
        uint32_t *last = userdata;

        if (r->id <= *last)
                ck_abort_msg("%u after %u", r->id, *last);
        *last = r->id;
        return r->id == 9 ? 42 : 0;
}

START_TEST(walks_are_in_order_of_id)
{
        static const uint32_t ids[] = { 5, 2, 9, 1, 7, 12 };
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        uint32_t last = 0;

        ck_assert_int_eq(ledger_new(&l), 0);
        for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
                ck_assert_int_eq(ledger_add(l, make(ids[i], "a.service", 0, NULL, 2, MIB)), 0);
        ck_assert_int_eq(ledger_foreach_after(l, 0, expect_rising, &last), 42);
        ck_assert_uint_eq(last, 9);
        last = 0;
        ck_assert_int_eq(ledger_foreach_of_tenant(l, "a.service", expect_rising, &last), 42);
        last = 0;
        ck_assert_int_eq(ledger_foreach_of_tenant(l, "b.service", expect_rising, &last), 0);
}
END_TEST

#define PAGED      1000u
#define PAGE       50u
#define VISITS_MAX (PAGE + 1)

typedef struct Page {
        uint32_t ids[PAGE];
        size_t n;
} Page;

static int keep_id(Reservation *r, void *userdata)
{
        Page *p = userdata;

        if (p->n == PAGE)
                return 1;
        p->ids[p->n++] = r->id;
        return 0;
}

/* Reads all ids page by page, and checks that they are those of `present`. */
static void assert_pages(const Ledger *l, const bool *present)
{
        uint32_t after = 0;

        for (;;) {
                size_t before = ledger_visited(l);
                Page p = { .n = 0 };

                (void)ledger_foreach_after(l, after, keep_id, &p);
                ck_assert_uint_le(ledger_visited(l) - before, VISITS_MAX);
                for (size_t i = 0; i < p.n; i++) {
                        do
                                after++;
                        while (after <= PAGED && !present[after]);
                        ck_assert_uint_eq(p.ids[i], after);
                }
                if (p.n < PAGE)
                        break;
        }
        while (++after <= PAGED)
                ck_assert(!present[after]);
}

START_TEST(pages_are_complete_while_reservations_come_and_go)
{
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        bool present[PAGED + 1] = { false };
        unsigned state = 7;

        ck_assert_int_eq(ledger_new(&l), 0);
        for (unsigned step = 0; step < 20 * PAGED; step++) {
                state = state * 1103515245 + 12345;
                uint32_t id = (state >> 8) % PAGED + 1;

                if (present[id])
                        drop(l, id);
                else
                        ck_assert_int_eq(ledger_add(l, make(id, "a.service", 0, NULL, 2, MIB)), 0);
                present[id] = !present[id];
                if (step % 500 == 0)
                        assert_pages(l, present);
        }
        for (uint32_t id = 1; id <= PAGED; id++)
                if (present[id])
                        drop(l, id);
        memset(present, 0, sizeof(present));
        assert_pages(l, present);
}
END_TEST

static void add_at(Ledger *l, uint32_t id, const char *unit, const char *cgroup)
{
        Reservation *r = make(id, unit, 0, NULL, 2, MIB);

        r->target->cgroup = strdup(cgroup);
        ck_assert_int_eq(ledger_add(l, r), 0);
}

static uint32_t above(const Ledger *l, const char *cgroup)
{
        const Reservation *r = ledger_find_above(l, cgroup);

        return r ? r->id : 0;
}

START_TEST(a_cgroup_belongs_to_the_nearest_tenant_above_it)
{
        _cleanup_(ledger_free_p) Ledger *l = NULL;

        ck_assert_int_eq(ledger_new(&l), 0);
        add_at(l, 1, "a.service", "/system.slice/a.service");
        add_at(l, 2, "a.service", "/system.slice/a.service");
        add_at(l, 3, "b", "/system.slice/a.service/b");
        ck_assert_uint_eq(above(l, "/system.slice/a.service"), 1);
        ck_assert_uint_eq(above(l, "/system.slice/a.service/x/y"), 1);
        ck_assert_uint_eq(above(l, "/system.slice/a.service/b"), 3);
        ck_assert_uint_eq(above(l, "/system.slice/a.service/b/c"), 3);
        ck_assert_uint_eq(above(l, "/system.slice/a.service/bc"), 1);
        ck_assert_uint_eq(above(l, "/system.slice/a.services"), 0);
        ck_assert_uint_eq(above(l, "/system.slice"), 0);
        ck_assert_uint_eq(above(l, "/"), 0);
        drop(l, 1);
        ck_assert_uint_eq(above(l, "/system.slice/a.service"), 2);
        ck_assert_int_eq(ledger_set_cgroup(l, ledger_find(l, 2), "/x.slice/a.service", 42), 0);
        ck_assert_uint_eq(above(l, "/system.slice/a.service"), 0);
        ck_assert_uint_eq(above(l, "/x.slice/a.service/d"), 2);
        ck_assert_uint_eq(ledger_find(l, 2)->target->cgroup_id, 42);
        drop(l, 2);
        drop(l, 3);
        ck_assert_uint_eq(above(l, "/system.slice/a.service/b"), 0);
}
END_TEST

START_TEST(the_cgroup_of_a_unit_with_a_reservation_is_known)
{
        _cleanup_(ledger_free_p) Ledger *l = NULL;

        ck_assert_int_eq(ledger_new(&l), 0);
        add_at(l, 1, "a.service", "/system.slice/a.service");
        Reservation *r = make(2, "b.scope", 0, NULL, 2, MIB);
        free(r->target->unit);
        r->target->unit = NULL; /* not systemd's */
        r->target->cgroup = strdup("/docker/b.scope");
        ck_assert_int_eq(ledger_add(l, r), 0);
        ck_assert(ledger_has_unit_at(l, "/system.slice/a.service"));
        ck_assert(!ledger_has_unit_at(l, "/system.slice/a.service/below"));
        ck_assert(!ledger_has_unit_at(l, "/system.slice"));
        ck_assert(!ledger_has_unit_at(l, "/docker/b.scope"));
        drop(l, 1);
        ck_assert(!ledger_has_unit_at(l, "/system.slice/a.service"));
}
END_TEST

START_TEST(exclusive_marks_its_nodes)
{
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        Reservation *r = make(1, "a.service", 0, NULL, 2, MIB);

        r->exclusive = true;
        ck_assert_int_eq(ledger_new(&l), 0);
        ck_assert_int_eq(ledger_add(l, r), 0);
        ck_assert(ledger_node_is_exclusive(l, 2));
        ck_assert(!ledger_node_is_exclusive(l, 3));
        ck_assert_int_eq(ledger_set_state(l, r, RESERVATION_DRAINING), 0);
        ck_assert(ledger_node_is_exclusive(l, 2));
        drop(l, 1);
        ck_assert(!ledger_node_is_exclusive(l, 2));
}
END_TEST

/* The drain is over, and what stays there holds its own bytes only. */
START_TEST(a_residue_does_not_mark_its_nodes)
{
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        Reservation *r = make(1, "a.service", 0, NULL, 2, MIB);

        r->exclusive = true;
        ck_assert_int_eq(ledger_new(&l), 0);
        ck_assert_int_eq(ledger_add(l, r), 0);
        ck_assert_int_eq(ledger_set_state(l, r, RESERVATION_DRAINING), 0);
        ck_assert_uint_eq(ledger_node_staying(l, 2, "b.service").n_exclusive, 0);
        r->stuck = true;
        ck_assert(ledger_node_is_exclusive(l, 2)); /* until the residue is in the ledger */
        ck_assert_int_eq(ledger_set_shares(l, r, &(Share){ 2, 4096 }, 1), 0);
        ck_assert(!ledger_node_is_exclusive(l, 2));
        LedgerStay stay = ledger_node_staying(l, 2, "b.service");
        ck_assert_uint_eq(stay.n_others, 1);
        ck_assert_uint_eq(stay.n_exclusive, 0);
        ck_assert_uint_eq((uint64_t)stay.bytes, 4096);
        drop(l, 1);
        ck_assert(!ledger_node_is_exclusive(l, 2));
}
END_TEST

/* --- random sequences against a model that computes everything anew -------------------------------------
 */

#define MODEL_IDS     12
#define MODEL_TENANTS 4
#define MODEL_NODES   5
#define MODEL_USERS   3
#define MODEL_RULES   3

static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return seed % below;
}

static const char *const tenant_names[MODEL_TENANTS] = { "a.service", "b.scope", "c.service", "/foreign" };
static const char *const rule_names[MODEL_RULES] = { "10.conf", "20.conf", "" };

static size_t random_shares(Share shares[static MODEL_NODES])
{
        size_t n = 0;

        for (int node = 0; node < MODEL_NODES; node++)
                if (rnd(3) == 0)
                        shares[n++] = (Share){ node * 50, rnd(4) * MIB };
        return n;
}

static Reservation *random_reservation(uint32_t id)
{
        size_t t = rnd(MODEL_TENANTS), k = rnd(MODEL_RULES + 1), n_shares;
        Share shares[MODEL_NODES];
        Reservation *r =
                make(id, tenant_names[t], rnd(MODEL_USERS), k < MODEL_RULES ? rule_names[k] : NULL, -1, 0);

        if (t == MODEL_TENANTS - 1)
                r->target->cgroup = TAKE_PTR(r->target->unit);
        r->state = rnd(_RESERVATION_STATE_MAX);
        r->exclusive = rnd(4) == 0;
        n_shares = random_shares(shares);
        ck_assert_int_eq(reservation_set_shares(r, shares, n_shares), 0);
        for (size_t i = 0; i < r->n_shares; i++)
                r->size_bytes += r->shares[i].bytes;
        return r;
}

static bool is_booked(const Reservation *r)
{
        return r->state != RESERVATION_QUEUED;
}

static uint64_t share_of(const Reservation *r, int node)
{
        uint64_t bytes = 0;

        for (size_t i = 0; r && is_booked(r) && i < r->n_shares; i++)
                if (r->shares[i].node == node)
                        bytes += r->shares[i].bytes;
        return bytes;
}

typedef struct Seen {
        size_t n;
        uint64_t bytes;
} Seen;

static int count_tenant(const char *tenant, uint64_t bytes, void *userdata)
{
        Seen *seen = userdata;

        seen->n++;
        seen->bytes += bytes;
        return 0;
}

static void compare_node(const Ledger *l, Reservation *const model[static MODEL_IDS], int node)
{
        uint64_t total = 0;
        size_t n_tenants = 0;
        bool exclusive = false;
        Seen seen = { 0 };

        for (size_t t = 0; t < MODEL_TENANTS; t++) {
                uint64_t bytes = 0;
                bool open = false;
                NodeSet nodes = ledger_tenant_nodes(l, tenant_names[t]);

                for (size_t i = 0; i < MODEL_IDS; i++) {
                        const Reservation *r = model[i];

                        if (share_of(r, node) == 0 || strcmp(ledger_tenant_key(r->target), tenant_names[t]))
                                continue;
                        bytes += share_of(r, node);
                        open |= r->state != RESERVATION_DRAINING;
                        exclusive |= r->exclusive && !(r->state == RESERVATION_DRAINING && r->stuck);
                }
                MUST(ledger_tenant_bytes(l, tenant_names[t], node) == bytes);
                MUST(nodeset_contains(&nodes, node) == open);
                total += bytes;
                n_tenants += bytes > 0;
        }
        MUST(ledger_node_reserved(l, node) == total);
        MUST(ledger_node_tenants(l, node) == n_tenants);
        MUST(ledger_node_is_exclusive(l, node) == exclusive);
        ledger_foreach_tenant_of_node(l, node, count_tenant, &seen);
        MUST(seen.n == n_tenants);
        MUST(seen.bytes == total);
}

static void compare(const Ledger *l, Reservation *const model[static MODEL_IDS])
{
        size_t n = 0, of_user[MODEL_USERS] = { 0 };
        uint64_t of_rule[MODEL_RULES] = { 0 }, of_rule_user[MODEL_RULES][MODEL_USERS] = { 0 };

        for (size_t i = 0; i < MODEL_IDS; i++) {
                if (!model[i])
                        continue;
                n++;
                of_user[model[i]->target->uid]++;
                for (size_t k = 0; k < MODEL_RULES; k++)
                        if (is_booked(model[i]) && model[i]->rule_file &&
                            strcmp(model[i]->rule_file, rule_names[k]) == 0) {
                                of_rule[k] += model[i]->size_bytes;
                                of_rule_user[k][model[i]->target->uid] += model[i]->size_bytes;
                        }
        }
        MUST(ledger_count(l) == n);
        for (size_t u = 0; u < MODEL_USERS; u++)
                MUST(ledger_count_user(l, u) == of_user[u]);
        for (size_t k = 0; k < MODEL_RULES; k++) {
                MUST(ledger_rule_bytes(l, rule_names[k]) == of_rule[k]);
                for (size_t u = 0; u < MODEL_USERS; u++)
                        MUST(ledger_rule_user_bytes(l, rule_names[k], (uid_t)u) == of_rule_user[k][u]);
        }
        for (int node = 0; node < MODEL_NODES; node++)
                compare_node(l, model, node * 50);
}

static void random_step(Ledger *l, Reservation *model[static MODEL_IDS])
{
        size_t i = rnd(MODEL_IDS);
        Share shares[MODEL_NODES];

        if (!model[i]) {
                model[i] = random_reservation(i + 1);
                MUST(ledger_add(l, model[i]) == 0);
                return;
        }
        MUST(ledger_find(l, i + 1) == model[i]);
        model[i]->stuck = rnd(2); /* rebooked below */
        switch (rnd(3)) {
        case 0:
                reservation_free(ledger_take(l, i + 1));
                model[i] = NULL;
                break;
        case 1:
                MUST(ledger_set_state(l, model[i], rnd(_RESERVATION_STATE_MAX)) == 0);
                break;
        default:
                MUST(ledger_set_shares(l, model[i], shares, random_shares(shares)) == 0);
        }
}

static void start_random(const char *test)
{
        const char *given = getenv("CDM_TEST_SEED");

        seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;
        printf("%s: repeat with CDM_TEST_SEED=%llu\n", test, (unsigned long long)seed);
        fflush(stdout);
}

START_TEST(random_sequences_agree_with_the_model)
{
        start_random("random_sequences_agree_with_the_model");
        for (unsigned round = 0; round < 5000; round++) {
                _cleanup_(ledger_free_p) Ledger *l = NULL;
                Reservation *model[MODEL_IDS] = { NULL };

                ck_assert_int_eq(ledger_new(&l), 0);
                for (unsigned step = 0; step < 20; step++) {
                        random_step(l, model);
                        compare(l, model);
                }
        }
}
END_TEST

/* --- size -----------------------------------------------------------------------------------------------
 */

#define MANY_RESERVATIONS 100000u
#define MANY_TENANTS      10000u

START_TEST(many_reservations)
{
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        uint64_t sum[4] = { 0 };
        uint32_t last = 0;

        ck_assert_int_eq(ledger_new(&l), 0);
        /* in an order as a directory might give them */
        for (uint32_t i = 0; i < MANY_RESERVATIONS; i++) {
                uint32_t id = 1 + (uint32_t)((uint64_t)i * 77773 % MANY_RESERVATIONS);
                char unit[32];
                Reservation *r;

                snprintf(unit, sizeof(unit), "job-%u.service", id % MANY_TENANTS);
                r = make(id, unit, 1000 + id % 500, "10.conf", 250 + id % 4, id);
                MUST(ledger_add(l, r) == 0);
                sum[id % 4] += id;
        }
        ck_assert_uint_eq(ledger_count(l), MANY_RESERVATIONS);
        for (int i = 0; i < 4; i++)
                ck_assert_uint_eq(ledger_node_reserved(l, 250 + i), sum[i]);
        ck_assert_uint_eq(ledger_rule_bytes(l, "10.conf"), sum[0] + sum[1] + sum[2] + sum[3]);
        ck_assert_uint_eq(ledger_count_user(l, 1007), MANY_RESERVATIONS / 500);
        size_t visited = ledger_visited(l);
        ck_assert_uint_gt(ledger_rule_user_bytes(l, "10.conf", 1007), 0);
        ck_assert_uint_eq(ledger_visited(l), visited);
        ck_assert_uint_eq(ledger_tenant_count(l, "job-7.service"), MANY_RESERVATIONS / MANY_TENANTS);
        ck_assert_int_eq(ledger_foreach_after(l, 0, expect_rising, &last), 42);

        for (uint32_t id = 1; id <= MANY_RESERVATIONS; id += 2) {
                sum[id % 4] -= id;
                reservation_free(ledger_take(l, id));
        }
        for (int i = 0; i < 4; i++)
                ck_assert_uint_eq(ledger_node_reserved(l, 250 + i), sum[i]);
        ck_assert_uint_eq(ledger_node_tenants(l, 251), 0);
        ck_assert_uint_eq(ledger_node_tenants(l, 252), MANY_TENANTS / 4);
}
END_TEST

/* Its bytes go with it, and nothing stays behind. */
START_TEST(another_rule)
{
        Ledger *l = NULL;
        Reservation *r = make(1, "a.service", 1000, "10.conf", 2, 4 * MIB);
        _cleanup_(reservation_free_p) Reservation *twin = make(1, "a.service", 1000, "10.conf", 2, MIB);

        ck_assert_int_eq(ledger_new(&l), 0);
        ck_assert_int_eq(ledger_add(l, r), 0);
        ck_assert_int_eq(ledger_add(l, make(2, "b.service", 1000, "20.conf", 2, MIB)), 0);
        ck_assert_int_eq(ledger_set_rule(l, twin, "20.conf", 7), -EINVAL);
        ck_assert_int_eq(ledger_set_rule(l, r, "20.conf", 7), 0);
        ck_assert_uint_eq(ledger_rule_bytes(l, "10.conf"), 0);
        ck_assert_uint_eq(ledger_rule_user_bytes(l, "10.conf", 1000), 0);
        ck_assert_uint_eq(ledger_rule_bytes(l, "20.conf"), 5 * MIB);
        ck_assert_uint_eq(ledger_rule_user_bytes(l, "20.conf", 1000), 5 * MIB);
        ck_assert_uint_eq(ledger_node_reserved(l, 2), 5 * MIB);
        ck_assert_uint_eq(r->rule_line, 7);
        ck_assert_int_eq(ledger_set_rule(l, r, "20.conf", 8), 0);
        ck_assert_uint_eq(ledger_rule_bytes(l, "20.conf"), 5 * MIB);
        ck_assert_int_eq(ledger_set_rule(l, r, NULL, 0), 0);
        ck_assert_uint_eq(ledger_rule_bytes(l, "20.conf"), MIB);
        drop(l, 1);
        drop(l, 2);
        ck_assert_uint_eq(ledger_rule_bytes(l, "20.conf"), 0);
        ledger_free(l);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ledger");
        TCase *c = tcase_create("ledger");

        tcase_set_timeout(c, 0);
        tcase_add_test(c, another_rule);
        tcase_add_test(c, strings);
        tcase_add_test(c, several_of_one_tenant_add_up);
        tcase_add_test(c, draining_counts_and_is_closed);
        tcase_add_test(c, queued_holds_nothing);
        tcase_add_test(c, nonsense_is_refused);
        tcase_add_test(c, sums_do_not_wrap);
        tcase_add_test(c, walks_are_in_order_of_id);
        tcase_add_test(c, pages_are_complete_while_reservations_come_and_go);
        tcase_add_test(c, a_cgroup_belongs_to_the_nearest_tenant_above_it);
        tcase_add_test(c, the_cgroup_of_a_unit_with_a_reservation_is_known);
        tcase_add_test(c, exclusive_marks_its_nodes);
        tcase_add_test(c, a_residue_does_not_mark_its_nodes);
        tcase_add_test(c, random_sequences_agree_with_the_model);
        tcase_add_test(c, many_reservations);
        suite_add_tcase(s, c);
        return check_main(s);
}
