/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "policy/decide.h"
#include "policy/place.h"
#include "policy/timespan.h"
#include "tests/unit/check-main.h"
#include "tests/unit/machine.h"

#define PAGE UINT64_C(4096)

/* A machine with nodes 0 (CPUs), 1 (CPUs), 2 and 3 (1 GiB each, pool hbm) and one rule for everybody. */
typedef struct World {
        Topology *topology;
        PoolSet *pools;
        Config *config;
        Ledger *ledger;
        Rule *rule;
        NodeUse use[8];
        Snapshot s;
        Subject subject;
        Request q;
        Decision *d;
} World;

static void world_pools(World *w)
{
        PoolConfig c = {
                .name = (char *)"hbm",
                .nodes_auto = true,
                .tier = TIER_UNKNOWN,
        };
        const PoolConfig *configs[] = { &c };
        char *error = NULL;

        pool_set_free(w->pools);
        ck_assert_int_eq(pool_set_resolve(w->topology, configs, 1, &w->pools, &error), 0);
        w->s.pools = w->pools;
}

static Rule *world_rule(World *w, const char *file)
{
        Rule *r = calloc(1, sizeof(Rule));

        r->file = strdup(file);
        r->line = 2;
        for (int key = 0; key < _RULE_KEY_MAX; key++)
                r->key_line[key] = 10 + (unsigned)key;
        w->config->rules = realloc(w->config->rules, (w->config->n_rules + 1) * sizeof(Rule *));
        w->config->rules[w->config->n_rules++] = r;
        return r;
}

static void world_init(World *w, Topology *t)
{
        *w = (World){ .topology = t };
        ck_assert_int_eq(config_new(&w->config), 0);
        ck_assert_int_eq(ledger_new(&w->ledger), 0);
        w->rule = world_rule(w, "/etc/cdm/policy.d/10-all.conf");
        w->s = (Snapshot){
                .topology = t,
                .config = w->config,
                .ledger = w->ledger,
                .use = w->use,
                .page_bytes = PAGE,
                .now_usec = 1000000,
        };
        world_pools(w);
        w->subject = (Subject){ .unit = (char *)"a.service", .uid = 1000, .unit_uid = UID_NONE };
        w->q = (Request){ .pool = "hbm", .size_bytes = 256 * MIB, .subject = &w->subject };
}

static void world_setup(World *w)
{
        Topology *t = machine_new();

        for (int id = 0; id < 4; id++) {
                Node *n = machine_add(t, id, GIB, id < 2);
                uint16_t *distance = calloc(4, sizeof(uint16_t));

                for (int to = 0; to < 4; to++)
                        distance[to] = id == to ? 10 : (id ^ to) & 1 ? 30 : 20; /* 0 near 2, 1 near 3 */
                n->distance = distance;
        }
        world_init(w, t);
}

static void world_done(World *w)
{
        decision_free(w->d);
        ledger_free(w->ledger);
        config_free(w->config);
        pool_set_free(w->pools);
        topology_free(w->topology);
}

/* An answer about room needs a look at the nodes, and a refusal by policy does not, unless whole nodes are charged.
 * Both are in the same words. (A request that waits, which has an id, may wait for its quota or for room.) */
static void check_early(const World *w)
{
        _cleanup_(decision_free_p) Decision *early = NULL;
        Verdict verdict = w->d->verdict;

        ck_assert_int_eq(decide_early(&w->s, &w->q, &early), 0);
        if (verdict == VERDICT_GRANTED || verdict == VERDICT_FULL ||
            (verdict == VERDICT_QUEUED && w->q.id == 0))
                ck_assert_ptr_null(early);
        else if (verdict != VERDICT_QUEUED && !w->q.exclusive)
                ck_assert_ptr_nonnull(early);
        if (!early)
                return;
        ck_assert_int_eq(early->verdict, w->d->verdict);
        ck_assert_str_eq(early->reason, w->d->reason);
        ck_assert_ptr_eq(early->rule, w->d->rule);
        ck_assert_uint_eq(early->line, w->d->line);
}

static void ask(World *w)
{
        w->d = decision_free(w->d);
        if (decide(&w->s, &w->q, &w->d) < 0)
                ck_abort();
        check_early(w);
}

static void expect(World *w, Verdict verdict, const char *part)
{
        ask(w);
        ck_assert_msg(w->d->verdict == verdict, "%s: %s", verdict_to_string(w->d->verdict), w->d->reason);
        ck_assert_msg(strstr(w->d->reason, part) != NULL, "%s", w->d->reason);
}

static void expect_line(World *w, RuleKey key, const char *part)
{
        char where[64];

        expect(w, VERDICT_DENIED, part);
        ck_assert_ptr_eq(w->d->rule, w->rule);
        ck_assert_uint_eq(w->d->line, 10 + (unsigned)key);
        snprintf(where, sizeof(where), "10-all.conf:%u", 10 + (unsigned)key);
        ck_assert_msg(strstr(w->d->reason, where) != NULL, "%s", w->d->reason);
        ck_assert_uint_eq(w->d->n_shares, 0);
}

static void expect_shares(World *w, size_t n, int node1, uint64_t bytes1, int node2, uint64_t bytes2)
{
        expect(w, VERDICT_GRANTED, "10-all.conf:2");
        ck_assert_uint_eq(w->d->n_shares, n);
        ck_assert_int_eq(w->d->shares[0].node, node1);
        ck_assert_uint_eq(w->d->shares[0].bytes, bytes1);
        if (n > 1) {
                ck_assert_int_eq(w->d->shares[1].node, node2);
                ck_assert_uint_eq(w->d->shares[1].bytes, bytes2);
        }
}

/* Books what was just granted, for a unit. */
static Reservation *book(World *w, uint32_t id, const char *unit)
{
        Reservation *r = NULL;

        MUST(reservation_new(&r) == 0);
        r->id = id;
        r->pool = strdup("hbm");
        r->state = RESERVATION_ACTIVE;
        r->target = calloc(1, sizeof(Subject));
        r->target->unit = strdup(unit);
        r->target->uid = w->subject.uid;
        r->size_bytes = w->d->size_bytes;
        r->exclusive = w->q.exclusive;
        r->rule_file = strdup(w->d->rule->file);
        MUST(reservation_set_shares(r, w->d->shares, w->d->n_shares) == 0);
        MUST(ledger_add(w->ledger, r) == 0);
        return r;
}

static Reservation *hold(World *w, uint32_t id, const char *unit, int node, uint64_t bytes)
{
        NodeSet nodes = w->q.nodes;
        uint64_t size = w->q.size_bytes;
        Reservation *r;

        w->q.nodes = nodeset_of(node);
        w->q.size_bytes = bytes;
        expect(w, VERDICT_GRANTED, "");
        r = book(w, id, unit);
        w->q.nodes = nodes;
        w->q.size_bytes = size;
        return r;
}

START_TEST(verdicts_have_names)
{
        for (Verdict v = 0; v < _VERDICT_MAX; v++)
                ck_assert_ptr_nonnull(verdict_to_string(v));
        ck_assert_str_eq(verdict_to_string(VERDICT_NO_POOL), "no-such-pool");
}
END_TEST

START_TEST(nonsense)
{
        World w;

        world_setup(&w);
        w.q.size_bytes = 0;
        expect(&w, VERDICT_INVALID, "0 bytes");
        w.q.size_bytes = (uint64_t)INT64_MAX + 1;
        expect(&w, VERDICT_INVALID, "9223372036854775808");
        w.q.size_bytes = UINT64_MAX;
        expect(&w, VERDICT_INVALID, "more than any size");
        w.q.size_bytes = 1;
        w.q.pool = "gpu";
        expect(&w, VERDICT_NO_POOL, "no pool \"gpu\"; this machine has: hbm");
        w.q.pool = "hbm";
        w.q.nodes = nodeset_of(1);
        expect(&w, VERDICT_INVALID, "nodes 1 ");
        w.q.nodes = nodeset_of(2);
        expect_shares(&w, 1, 2, PAGE, 0, 0);
        world_done(&w);
}
END_TEST

START_TEST(machine_without_pools)
{
        World w;
        PoolSet none = { 0 };

        world_setup(&w);
        w.s.pools = &none;
        expect(&w, VERDICT_NO_POOL, "pools.d");
        world_done(&w);
}
END_TEST

START_TEST(no_rule_is_denied)
{
        World w;

        world_setup(&w);
        w.rule->units = calloc(2, sizeof(char *));
        w.rule->units[0] = strdup("b.service");
        expect(&w, VERDICT_DENIED, "policy.d");
        ck_assert_ptr_null(w.d->rule);
        ck_assert_ptr_nonnull(strstr(w.d->reason, "hbm"));
        ck_assert_ptr_nonnull(strstr(w.d->reason, "a.service"));
        ck_assert_ptr_nonnull(strstr(w.d->reason, "and user 1000;"));
        w.subject.user = (char *)"alice";
        expect(&w, VERDICT_DENIED, "and user alice;");
        w.subject.uid = 0; /* root as well */
        expect(&w, VERDICT_DENIED, "policy.d");
        w.subject.unit = NULL;
        expect(&w, VERDICT_DENIED, "pool hbm and user alice (no target unit given);");
        world_done(&w);
}
END_TEST

START_TEST(deny)
{
        World w;

        world_setup(&w);
        w.rule->deny = true;
        expect_line(&w, RULE_KEY_DENY, "Deny=yes");
        world_done(&w);
}
END_TEST

START_TEST(limit_of_a_rule)
{
        World w;

        world_setup(&w);
        w.rule->has_limit = true;
        w.rule->limit = (Size){ .value = 128 * MIB };
        expect_line(&w, RULE_KEY_LIMIT, "256M is over Limit=128M of ");
        ck_assert_ptr_nonnull(strstr(w.d->reason, "; ask for 128M or less"));
        w.q.size_bytes = 128 * MIB;
        expect(&w, VERDICT_GRANTED, "");
        w.q.size_bytes++;
        expect_line(&w, RULE_KEY_LIMIT, "134221824 bytes is over Limit=128M"); /* not: "128M is over 128M" */
        w.rule->limit = (Size){ .value = 25, .percent = true };
        w.q.size_bytes = 512 * MIB;
        expect(&w, VERDICT_GRANTED, "");
        w.q.size_bytes = 513 * MIB;
        expect_line(&w, RULE_KEY_LIMIT, "Limit=25% (512M)");
        /* a limit that is no multiple of a page lets the page pass */
        w.rule->limit = (Size){ .value = 1000 };
        w.q.size_bytes = 1000;
        expect_shares(&w, 1, 2, PAGE, 0, 0);
        world_done(&w);
}
END_TEST

START_TEST(lease)
{
        World w;

        world_setup(&w);
        ask(&w);
        ck_assert_uint_eq(w.d->expires_usec, TIMESPAN_INFINITY);
        w.config->default_lease_usec = 7000000;
        ask(&w);
        ck_assert_uint_eq(w.d->lease_usec, 7000000);
        ck_assert_uint_eq(w.d->expires_usec, 8000000);
        w.q.lease_usec = 8000000;
        expect_line(&w, RULE_KEY_LEASE, "DefaultLease=7s");
        w.rule->lease_usec = 60000000;
        expect(&w, VERDICT_GRANTED, "");
        ck_assert_uint_eq(w.d->lease_usec, 8000000);
        w.q.lease_usec = 60000001;
        expect_line(&w, RULE_KEY_LEASE, "Lease=1min");
        w.q.lease_usec = TIMESPAN_INFINITY;
        expect_line(&w, RULE_KEY_LEASE, "infinity");
        w.q.lease_usec = 0;
        ask(&w);
        ck_assert_uint_eq(w.d->lease_usec, 60000000);
        w.rule->lease_usec = TIMESPAN_INFINITY - 1;
        ask(&w);
        ck_assert_uint_eq(w.d->expires_usec, TIMESPAN_INFINITY);
        world_done(&w);
}
END_TEST

START_TEST(priority)
{
        World w;

        world_setup(&w);
        w.q.has_priority = true;
        w.q.priority = 1;
        expect_line(&w, RULE_KEY_PRIORITY, "Priority=0");
        w.rule->priority = 1;
        expect(&w, VERDICT_GRANTED, "");
        w.q.priority = -5;
        expect(&w, VERDICT_GRANTED, "");
        ck_assert_int_eq(w.d->priority, -5);
        world_done(&w);
}
END_TEST

/* Given where none is asked for, and never instead of what is asked for. */
START_TEST(default_priority)
{
        World w;

        world_setup(&w);
        w.rule->priority = 100;
        w.rule->default_priority = 50;
        expect(&w, VERDICT_GRANTED, "");
        ck_assert_int_eq(w.d->priority, 50);
        w.q.has_priority = true;
        expect(&w, VERDICT_GRANTED, "");
        ck_assert_int_eq(w.d->priority, 0);
        /* It displaces what is lower, and not what is asked for with 0. */
        hold(&w, 1, "b.service", 2, GIB);
        ledger_find(w.ledger, 1)->priority = 0;
        hold(&w, 2, "b.service", 3, GIB);
        w.rule->on_full = ON_FULL_PREEMPT;
        expect(&w, VERDICT_FULL, "");
        w.q.has_priority = false;
        expect(&w, VERDICT_QUEUED, "displaces");
        ck_assert_int_eq(w.d->priority, 50);
        /* A rule of 0.1.0 that allows no more than -5 still has to be asked for that. */
        w.rule->priority = -5;
        w.rule->default_priority = 0;
        expect_line(&w, RULE_KEY_PRIORITY, "priority 0 is over Priority=-5");
        world_done(&w);
}
END_TEST

/* Nodes= of a rule is as --nodes. */
START_TEST(nodes_of_a_rule)
{
        World w;

        world_setup(&w);
        w.rule->nodes = nodeset_of(3);
        expect_shares(&w, 1, 3, 256 * MIB, 0, 0);
        w.q.nodes = nodeset_of(2);
        expect_line(&w, RULE_KEY_NODES, "nodes 2 are not all in Nodes=3 of ");
        nodeset_add(&w.q.nodes, 3);
        expect_line(&w, RULE_KEY_NODES, "nodes 2-3 are not all in Nodes=3 of ");
        w.q.nodes = nodeset_of(3);
        expect_shares(&w, 1, 3, 256 * MIB, 0, 0);
        w.q.nodes = NODESET_EMPTY;
        w.q.size_bytes = GIB + 1;
        expect(&w, VERDICT_FULL,
               "never fits: nodes 3 of pool hbm (Nodes= of /etc/cdm/policy.d/10-all.conf:");
        ck_assert_ptr_nonnull(strstr(w.d->reason, " can hold 1G "));
        /* a percentage stays one of the pool */
        w.rule->has_limit = true;
        w.rule->limit = (Size){ .value = 50, .percent = true };
        w.q.size_bytes = GIB;
        expect_shares(&w, 1, 3, GIB, 0, 0);
        w.rule->has_limit = false;
        /* the queue claims no other node, and nobody is displaced elsewhere */
        hold(&w, 1, "b.service", 3, MIB);
        w.rule->on_full = ON_FULL_QUEUE;
        w.q.queue = true;
        expect(&w, VERDICT_QUEUED, "1023M of 1G is available on 1 node");
        NodeSet three = nodeset_of(3);
        ck_assert(nodeset_equal(&w.d->claims, &three));
        w.rule->nodes = nodeset_of(2);
        hold(&w, 2, "b.service", 2, 512 * MIB);
        w.rule->nodes = nodeset_of(3);
        w.rule->on_full = ON_FULL_PREEMPT;
        w.rule->priority = w.rule->default_priority = 1;
        expect(&w, VERDICT_QUEUED, "displaces reservation 1 (1M)");
        ck_assert_uint_eq(w.d->n_victims, 1);
        /* nodes of other pools are none of this one */
        w.rule->nodes = nodeset_of(7);
        expect_line(&w, RULE_KEY_NODES, "Nodes=7 of ");
        ck_assert_ptr_nonnull(strstr(w.d->reason, "names no node of pool hbm, which has 2-3"));
        nodeset_add(&w.rule->nodes, 2);
        w.q.size_bytes = MIB;
        expect_shares(&w, 1, 2, MIB, 0, 0);
        world_done(&w);
}
END_TEST

START_TEST(max_per_user)
{
        World w;

        world_setup(&w);
        w.config->max_per_user = 1;
        hold(&w, 1, "b.service", 2, MIB);
        expect(&w, VERDICT_DENIED, "MaxPerUser=1");
        w.subject.uid = 1001;
        hold(&w, 2, "b.service", 2, MIB);
        w.subject.uid = 0;
        hold(&w, 3, "b.service", 2, MIB);
        expect(&w, VERDICT_GRANTED, "");
        world_done(&w);
}
END_TEST

START_TEST(quota_of_a_rule)
{
        World w;
        Reservation *r;

        world_setup(&w);
        w.rule->has_quota = true;
        w.rule->quota = (Size){ .value = 300 * MIB };
        r = hold(&w, 1, "b.service", 2, 100 * MIB);
        expect_line(&w, RULE_KEY_QUOTA, "Quota=300M");
        ck_assert_ptr_nonnull(strstr(w.d->reason, "100M is in use"));
        w.q.size_bytes = 200 * MIB;
        expect(&w, VERDICT_GRANTED, "");
        w.q.size_bytes++;
        expect_line(&w, RULE_KEY_QUOTA, "Quota=300M");
        ck_assert_int_eq(ledger_set_state(w.ledger, r, RESERVATION_DRAINING), 0); /* counts still */
        expect_line(&w, RULE_KEY_QUOTA, "Quota=300M");
        w.rule->quota = (Size){ .value = 1 }; /* lowered by a reload to less than is live */
        expect_line(&w, RULE_KEY_QUOTA, "Quota=4K");
        world_done(&w);
}
END_TEST

START_TEST(quota_per_user)
{
        World w;
        Reservation *r;

        world_setup(&w);
        w.rule->has_user_quota = true;
        w.rule->user_quota = (Size){ .value = 300 * MIB };
        r = hold(&w, 1, "b.service", 2, 100 * MIB);
        expect_line(&w, RULE_KEY_USER_QUOTA, "256M more would be over QuotaPerUser=300M");
        ck_assert_ptr_nonnull(strstr(w.d->reason, "100M is in use by user 1000"));
        w.q.size_bytes = 200 * MIB;
        expect(&w, VERDICT_GRANTED, "");
        w.q.size_bytes++;
        expect_line(&w, RULE_KEY_USER_QUOTA, "QuotaPerUser=300M");
        ck_assert_int_eq(ledger_set_state(w.ledger, r, RESERVATION_DRAINING), 0); /* counts still */
        expect_line(&w, RULE_KEY_USER_QUOTA, "QuotaPerUser=300M");
        /* another owner has one of his own, root as well, and so has another rule */
        w.subject.uid = 1001;
        hold(&w, 2, "b.service", 2, 300 * MIB);
        expect_line(&w, RULE_KEY_USER_QUOTA, "300M is in use by user 1001");
        w.subject.uid = 0;
        hold(&w, 3, "b.service", 3, 300 * MIB);
        expect_line(&w, RULE_KEY_USER_QUOTA, "300M is in use by user 0");
        w.subject.uid = 1000;
        /* a percentage is one of the pool */
        w.rule->user_quota = (Size){ .value = 25, .percent = true };
        w.q.size_bytes = 412 * MIB;
        expect(&w, VERDICT_GRANTED, "");
        w.q.size_bytes++;
        expect_line(&w, RULE_KEY_USER_QUOTA, "QuotaPerUser=25% (512M)");
        free(w.rule->file);
        w.rule->file = strdup("/etc/cdm/policy.d/20-other.conf");
        expect(&w, VERDICT_GRANTED, "");
        world_done(&w);
}
END_TEST

START_TEST(placement_prefers_a_node_of_its_own)
{
        World w;

        world_setup(&w);
        expect_shares(&w, 1, 2, 256 * MIB, 0, 0);
        hold(&w, 1, "b.service", 2, MIB);
        expect_shares(&w, 1, 3, 256 * MIB, 0, 0); /* b is on 2 */
        hold(&w, 2, "c.service", 3, 2 * MIB);
        expect_shares(&w, 1, 3, 256 * MIB, 0, 0); /* fits tighter */
        hold(&w, 3, "a.service", 2, MIB);
        w.q.size_bytes = 1022 * MIB;
        expect_shares(&w, 1, 2, 1022 * MIB, 0, 0); /* the only one that holds it */
        world_done(&w);
}
END_TEST

START_TEST(own_node_has_no_others)
{
        World w;

        world_setup(&w);
        hold(&w, 1, "b.service", 2, MIB);
        hold(&w, 2, "a.service", 3, MIB);
        expect_shares(&w, 1, 3, 256 * MIB, 0, 0);
        world_done(&w);
}
END_TEST

START_TEST(placement_prefers_near_then_fast)
{
        World w;

        world_setup(&w);
        w.q.near = nodeset_of(1);
        expect_shares(&w, 1, 3, 256 * MIB, 0, 0);
        w.q.near = nodeset_of(0);
        expect_shares(&w, 1, 2, 256 * MIB, 0, 0);
        w.q.near = NODESET_EMPTY;
        w.topology->nodes[3].read_bandwidth_mbps = 1;
        expect_shares(&w, 1, 3, 256 * MIB, 0, 0);
        w.q.near = nodeset_of(0);
        expect_shares(&w, 1, 2, 256 * MIB, 0, 0);
        world_done(&w);
}
END_TEST

START_TEST(several_nodes)
{
        World w;

        world_setup(&w);
        w.q.size_bytes = GIB + MIB;
        expect_shares(&w, 2, 2, GIB, 3, MIB);
        w.q.near = nodeset_of(1);
        expect_shares(&w, 2, 3, GIB, 2, MIB);
        w.q.near = NODESET_EMPTY;
        hold(&w, 1, "b.service", 2, MIB);
        expect_shares(&w, 2, 3, GIB, 2, MIB);
        w.q.nodes = nodeset_of(3);
        expect(&w, VERDICT_FULL, "never fits");
        world_done(&w);
}
END_TEST

START_TEST(full)
{
        World w;

        world_setup(&w);
        w.q.size_bytes = 2 * GIB + 1;
        w.q.queue = true;
        w.rule->on_full = ON_FULL_QUEUE;
        expect(&w, VERDICT_FULL, "never fits: nodes 2-3 of pool hbm can hold 2G in all; ask");
        w.pools->pools[0].headroom = (Size){ .value = GIB / 2 };
        expect(&w, VERDICT_FULL, "can hold 1G in all (2G less 1G of Headroom=); ask for that or less");
        w.pools->pools[0].headroom = (Size){ 0 };
        hold(&w, 1, "b.service", 2, GIB);
        w.q.size_bytes = GIB + 1;
        expect(&w, VERDICT_QUEUED, "1G of 2G is available on 1 node of pool hbm");
        w.rule->on_full = ON_FULL_PREEMPT;
        expect(&w, VERDICT_QUEUED, "waits");
        w.rule->on_full = ON_FULL_DENY;
        expect(&w, VERDICT_FULL, "OnFull=queue");
        w.q.queue = false;
        expect(&w, VERDICT_FULL, "1G of 2G is available");
        hold(&w, 2, "b.service", 3, GIB);
        expect(&w, VERDICT_FULL, "no node of pool hbm has anything left");
        world_done(&w);
}
END_TEST

START_TEST(available)
{
        World w;

        world_setup(&w);
        w.pools->pools[0].headroom = (Size){ .value = 64 * MIB };
        ck_assert_uint_eq(snapshot_node_available(&w.s, 2), GIB - 64 * MIB);
        ck_assert_uint_eq(snapshot_node_available(&w.s, 0), 0);
        ck_assert_uint_eq(snapshot_node_available(&w.s, 77), 0);
        w.use[w.s.n_use++] = (NodeUse){ .node = 2, .foreign_bytes = 100 * MIB };
        ck_assert_uint_eq(snapshot_node_available(&w.s, 2), GIB - 164 * MIB);
        hold(&w, 1, "b.service", 2, 860 * MIB);
        ck_assert_uint_eq(snapshot_node_available(&w.s, 2), 0);
        w.use[0].foreign_bytes = UINT64_MAX;
        ck_assert_uint_eq(snapshot_node_available(&w.s, 2), 0);
        ck_assert_uint_eq(snapshot_pool_available(&w.s, &w.pools->pools[0]), GIB - 64 * MIB);
        w.use[w.s.n_use++] = (NodeUse){ .node = 3, .closed = true };
        expect(&w, VERDICT_FULL, "anything left");
        w.s.n_use = 0;
        w.topology->nodes[3].online = false;
        ck_assert_uint_eq(snapshot_node_available(&w.s, 3), 0);
        world_done(&w);
}
END_TEST

START_TEST(exclusive)
{
        World w;

        world_setup(&w);
        w.q.exclusive = true;
        expect_line(&w, RULE_KEY_EXCLUSIVE, "Exclusive=yes");
        w.rule->exclusive = true;
        expect_shares(&w, 1, 2, GIB, 0, 0);
        ck_assert_uint_eq(w.d->size_bytes, GIB);
        book(&w, 1, "a.service");

        /* the neighbour that would be: nodes of others are taken neither by nor from the exclusive one */
        w.q.exclusive = false;
        w.topology->nodes[2].size_bytes = 2 * GIB;
        w.subject.unit = (char *)"b.service";
        expect_shares(&w, 1, 3, 256 * MIB, 0, 0);
        w.q.size_bytes = GIB + MIB;
        expect(&w, VERDICT_FULL, "on 1 node");
        hold(&w, 2, "b.service", 3, MIB);
        w.q.exclusive = true;
        w.q.size_bytes = MIB;
        w.subject.unit = (char *)"c.service";
        expect(&w, VERDICT_FULL, "no node without other tenants");
        world_done(&w);
}
END_TEST

/* `cdmctl run`: the unit that is left stays where it is, and is another tenant then. */
START_TEST(one_that_moves_has_the_unit_that_it_leaves_beside_it)
{
        World w;

        world_setup(&w);
        hold(&w, 1, "a.service", 2, MIB);
        w.q.exclusive = w.rule->exclusive = true;
        expect_shares(&w, 1, 2, GIB - MIB, 0, 0);
        w.q.moves = true;
        expect_shares(&w, 1, 3, GIB, 0, 0);
        /* nor does it get what is exclusive to that unit */
        w.q.moves = false;
        w.q.size_bytes = GIB - MIB;
        expect_shares(&w, 1, 2, GIB - MIB, 0, 0);
        book(&w, 2, "a.service");
        w.topology->nodes[2].size_bytes = 2 * GIB;
        w.q.exclusive = false;
        w.q.nodes = nodeset_of(2);
        expect_shares(&w, 1, 2, GIB - MIB, 0, 0);
        w.q.moves = true;
        expect(&w, VERDICT_FULL, "has anything left");
        world_done(&w);
}
END_TEST

START_TEST(exclusive_is_charged_whole)
{
        World w;

        world_setup(&w);
        w.q.exclusive = w.rule->exclusive = true;
        w.rule->has_limit = true;
        w.rule->limit = (Size){ .value = 512 * MIB };
        expect_line(&w, RULE_KEY_LIMIT,
                    "1G (exclusive reservations are charged with whole nodes) is over Limit");
        w.rule->has_limit = false;
        w.rule->has_quota = true;
        w.rule->quota = (Size){ .value = 512 * MIB };
        expect_line(&w, RULE_KEY_QUOTA, "1G (exclusive");
        w.rule->has_quota = false;
        w.q.size_bytes = GIB + 1;
        expect_shares(&w, 2, 2, GIB, 3, GIB);
        w.topology->demotion_enabled = true;
        for (int i = 0; i < 4; i++)
                w.topology->nodes[i].tier = i < 2 ? 4 : 1;
        expect(&w, VERDICT_GRANTED, "");
        w.topology->nodes[3].tier = 5; /* slower than DRAM: the kernel demotes to it */
        expect(&w, VERDICT_DENIED, "demot");
        w.topology->demotion_enabled = false;
        expect(&w, VERDICT_GRANTED, "");
        world_done(&w);
}
END_TEST

START_TEST(strength)
{
        World w;
        Reservation *r;

        world_setup(&w);
        r = hold(&w, 1, "a.service", 2, MIB);
        ck_assert_int_eq(decide_strength(&w.s, r), STRENGTH_EXCLUSIVE);
        hold(&w, 2, "b.service", 2, MIB);
        ck_assert_int_eq(decide_strength(&w.s, r), STRENGTH_WATCHED);
        r->capped = true;
        ck_assert_int_eq(decide_strength(&w.s, r), STRENGTH_CAPPED);
        w.config->mode = FENCE_MODE_OBSERVE;
        ck_assert_int_eq(decide_strength(&w.s, r), STRENGTH_ADVISORY);
        w.config->mode = FENCE_MODE_ENFORCE;
        nodeset_remove(&w.pools->cdm, 2);
        nodeset_add(&w.pools->ordinary, 2);
        ck_assert_int_eq(decide_strength(&w.s, r), STRENGTH_ADVISORY);
        world_done(&w);
}
END_TEST

/* A pool of more nodes than a reservation can name: preference gives way to size. */
START_TEST(more_nodes_than_shares)
{
        Candidate candidates[SHARES_MAX + 8] = { 0 };
        Placement p;

        for (int i = 0; i < SHARES_MAX + 8; i++)
                candidates[i] = (Candidate){ .node = i, .distance = 10, .available_bytes = PAGE };
        candidates[SHARES_MAX + 7].available_bytes = 9 * PAGE;
        candidates[SHARES_MAX + 7].distance = 20;
        ck_assert(place(candidates, ARRAY_SIZE(candidates), (SHARES_MAX + 8) * PAGE, false, &p));
        ck_assert_uint_eq(p.n_shares, SHARES_MAX);
        ck_assert_uint_eq(p.total_bytes, (SHARES_MAX + 8) * PAGE);
        ck_assert(!place(candidates, ARRAY_SIZE(candidates), (SHARES_MAX + 9) * PAGE, false, &p));
        ck_assert(!place(candidates, 0, 1, false, &p));
}
END_TEST

/* --- random machines and tenants, against brute force ---------------------------------------------------
 */

#define LIVE_MAX 16

static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return seed % below;
}

static const char *const units[] = { "a.service", "b.service", "c.scope" };

static void random_world(World *w)
{
        Topology *t = machine_new();
        int n_cdm = 1 + (int)rnd(5), id = 1;

        machine_add(t, 0, 64 * PAGE, true);
        for (int i = 0; i < n_cdm; i++, id += 1 + (int)rnd(40)) {
                Node *n = machine_add(t, id, rnd(30) * PAGE + rnd(2) * 512, false);

                n->read_bandwidth_mbps = rnd(3) * 100;
                n->online = n->size_bytes > 0;
        }
        world_init(w, t);
        w->rule->exclusive = rnd(2);
        w->rule->on_full = rnd(_ON_FULL_MAX);
        w->rule->has_quota = rnd(3) == 0;
        w->rule->quota = (Size){ .value = rnd(101), .percent = true };
        for (size_t i = 0; i < w->pools->n_pools; i++)
                w->pools->pools[i].headroom = (Size){ .value = rnd(3) * PAGE };
        NODESET_FOREACH (node, &w->pools->cdm) {
                if (w->s.n_use == ARRAY_SIZE(w->use) || rnd(2))
                        continue;
                w->use[w->s.n_use++] = (NodeUse){
                        .node = node,
                        .foreign_bytes = rnd(4) * PAGE + rnd(2),
                        .closed = rnd(5) == 0,
                };
        }
}

static void random_request(World *w)
{
        w->subject.unit = (char *)units[rnd(ARRAY_SIZE(units))];
        w->subject.uid = rnd(2) * 1000;
        w->q.size_bytes = 1 + rnd(rnd(2) ? 10 * PAGE : 60 * PAGE);
        w->q.exclusive = rnd(4) == 0;
        w->q.queue = rnd(2);
        w->q.nodes = NODESET_EMPTY;
        NODESET_FOREACH (node, &w->pools->cdm)
                if (rnd(6) == 0)
                        nodeset_add(&w->q.nodes, node);
}

/* What could be promised of a node to this tenant, from the list of live reservations alone. */
static uint64_t brute_room(const World *w, Reservation *const live[static LIVE_MAX], int node)
{
        const Node *n = topology_find(w->topology, node);
        int64_t left = (int64_t)n->size_bytes - (int64_t)w->pools->pools[0].headroom.value;
        bool others = false, taken = false;

        if (!nodeset_is_empty(&w->q.nodes) && !nodeset_contains(&w->q.nodes, node))
                return 0;
        for (size_t i = 0; i < LIVE_MAX; i++)
                for (size_t k = 0; live[i] && k < live[i]->n_shares; k++) {
                        if (live[i]->shares[k].node != node)
                                continue;
                        left -= (int64_t)live[i]->shares[k].bytes;
                        if (strcmp(live[i]->target->unit, w->subject.unit) == 0)
                                continue;
                        others = true;
                        taken |= live[i]->exclusive;
                }
        for (size_t i = 0; i < w->s.n_use; i++)
                if (w->use[i].node == node) {
                        left -= (int64_t)w->use[i].foreign_bytes;
                        taken |= w->use[i].closed;
                }
        if (taken || (others && w->q.exclusive) || !n->online || left < 0)
                return 0;
        return (uint64_t)left / PAGE * PAGE;
}

static void check_grant(const World *w, Reservation *const live[static LIVE_MAX])
{
        const Decision *d = w->d;
        NodeSet seen = NODESET_EMPTY;
        uint64_t sum = 0;

        for (size_t i = 0; i < d->n_shares; i++) {
                uint64_t room = brute_room(w, live, d->shares[i].node);

                MUST(nodeset_contains(&w->pools->pools[0].nodes, d->shares[i].node));
                MUST(!nodeset_contains(&seen, d->shares[i].node));
                nodeset_add(&seen, d->shares[i].node);
                MUST(d->shares[i].bytes > 0 && d->shares[i].bytes <= room);
                MUST(!w->q.exclusive || d->shares[i].bytes == room);
                sum += d->shares[i].bytes;
        }
        MUST(sum == d->size_bytes);
        MUST(d->size_bytes >= w->q.size_bytes);
        MUST(w->q.exclusive || d->size_bytes == size_round_up(w->q.size_bytes, PAGE));
}

static void check_decision(const World *w, Reservation *const live[static LIVE_MAX])
{
        uint64_t room = 0, largest = 0, used = 0;
        uint64_t quota = size_round_up(size_resolve(&w->rule->quota, w->pools->pools[0].size_bytes), PAGE);
        uint64_t size = size_round_up(w->q.size_bytes, PAGE);

        NODESET_FOREACH (node, &w->pools->cdm) {
                uint64_t here = brute_room(w, live, node);

                room += here;
                largest = here > largest ? here : largest;
        }
        for (size_t i = 0; i < LIVE_MAX; i++)
                used += live[i] ? live[i]->size_bytes : 0;
        MUST(w->d->reason && *w->d->reason);
        switch (w->d->verdict) {
        case VERDICT_GRANTED:
                check_grant(w, live);
                MUST(w->d->n_shares == 1 || largest < size);
                MUST(!w->rule->has_quota || used + w->d->size_bytes <= quota);
                break;
        case VERDICT_QUEUED:
                MUST(w->q.queue && w->rule->on_full != ON_FULL_DENY);
                MUST(room < size);
                break;
        case VERDICT_FULL:
                MUST(room < size);
                break;
        case VERDICT_DENIED:
                MUST((w->q.exclusive && !w->rule->exclusive) ||
                     (w->rule->has_quota && (used + size > quota || w->q.exclusive)));
                break;
        default:
                ck_abort_msg("%s", w->d->reason);
        }
}

START_TEST(random_requests_never_overcommit)
{
        const char *given = getenv("CDM_TEST_SEED");
        size_t n_verdicts[_VERDICT_MAX] = { 0 };

        seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;
        printf("random_requests_never_overcommit: repeat with CDM_TEST_SEED=%llu\n",
               (unsigned long long)seed);
        fflush(stdout);
        for (unsigned round = 0; round < 1500; round++) {
                Reservation *live[LIVE_MAX] = { NULL };
                World w;

                random_world(&w);
                for (unsigned step = 0; step < 25; step++) {
                        size_t i = rnd(LIVE_MAX);

                        if (live[i]) {
                                reservation_free(ledger_take(w.ledger, (uint32_t)i + 1));
                                live[i] = NULL;
                                continue;
                        }
                        random_request(&w);
                        ask(&w);
                        check_decision(&w, live);
                        n_verdicts[w.d->verdict]++;
                        if (w.d->verdict == VERDICT_GRANTED)
                                live[i] = book(&w, (uint32_t)i + 1, w.subject.unit);
                }
                world_done(&w);
        }
        /* each kind of answer was met */
        for (Verdict v = VERDICT_GRANTED; v <= VERDICT_FULL; v++)
                ck_assert_uint_gt(n_verdicts[v], 100);
}
END_TEST

/* --- another size --------------------------------------------------------------------------------------- */

static void resize(World *w, const Reservation *r, uint64_t size, const Share *buffers, size_t n_buffers)
{
        ResizeRequest q = { .reservation = r,
                            .size_bytes = size,
                            .subject = &w->subject,
                            .buffers = buffers,
                            .n_buffers = n_buffers };

        w->d = decision_free(w->d);
        ck_assert_int_eq(decide_resize(&w->s, &q, &w->d), 0);
}

static void expect_resize(World *w, const Reservation *r, uint64_t size, Verdict verdict, const char *part)
{
        resize(w, r, size, NULL, 0);
        ck_assert_msg(w->d->verdict == verdict && strstr(w->d->reason, part), "%s: %s",
                      verdict_to_string(w->d->verdict), w->d->reason);
}

static void expect_share(const World *w, size_t i, int node, uint64_t bytes)
{
        ck_assert_int_eq(w->d->shares[i].node, node);
        ck_assert_uint_eq(w->d->shares[i].bytes, bytes);
}

static const struct {
        ReservationState state;
        bool exclusive;
        uint64_t size;
        Verdict verdict;
        const char *part;
} resizes[] = {
        { RESERVATION_ACTIVE, false, 512 * MIB, VERDICT_GRANTED, "10-all.conf:2 allows 512M" },
        { RESERVATION_DEGRADED, false, 512 * MIB, VERDICT_GRANTED, "10-all.conf:2" },
        { RESERVATION_ACTIVE, false, 128 * MIB, VERDICT_GRANTED, "128M from now on" },
        { RESERVATION_ACTIVE, false, 256 * MIB, VERDICT_GRANTED, "256M from now on" },
        { RESERVATION_ACTIVE, false, 0, VERDICT_INVALID, "0 bytes" },
        { RESERVATION_ACTIVE, false, UINT64_MAX, VERDICT_INVALID, "more than any size" },
        { RESERVATION_ACTIVE, true, 128 * MIB, VERDICT_INVALID, "exclusive" },
        { RESERVATION_ACTIVE, true, 512 * MIB, VERDICT_INVALID, "exclusive" },
        { RESERVATION_REVOKING, false, 128 * MIB, VERDICT_STALE, "revoking" },
        { RESERVATION_DRAINING, false, 512 * MIB, VERDICT_STALE, "draining" },
        { RESERVATION_QUEUED, false, 128 * MIB, VERDICT_STALE, "queued" },
};

START_TEST(which_can_have_another_size)
{
        Reservation *r;
        World w;

        world_setup(&w);
        r = hold(&w, 1, "a.service", 2, 256 * MIB);
        ledger_set_state(w.ledger, r, resizes[_i].state);
        r->exclusive = resizes[_i].exclusive;
        expect_resize(&w, r, resizes[_i].size, resizes[_i].verdict, resizes[_i].part);
        r->exclusive = false;
        world_done(&w);
}
END_TEST

START_TEST(it_grows_where_it_is)
{
        Reservation *r;
        World w;

        world_setup(&w);
        r = hold(&w, 1, "a.service", 2, 256 * MIB);
        hold(&w, 2, "b.service", 2, 256 * MIB);
        expect_resize(&w, r, 768 * MIB, VERDICT_GRANTED, "");
        ck_assert_uint_eq(w.d->n_shares, 1);
        expect_share(&w, 0, 2, 768 * MIB);
        ck_assert_uint_eq(w.d->size_bytes, 768 * MIB);
        /* Its node has no more than that; what is added goes to another one as a whole. */
        expect_resize(&w, r, 769 * MIB, VERDICT_GRANTED, "");
        ck_assert_uint_eq(w.d->n_shares, 2);
        expect_share(&w, 0, 2, 256 * MIB);
        expect_share(&w, 1, 3, 513 * MIB);
        /* Not where it asked not to be, nor where its rule does not let it. */
        r->asked = nodeset_of(2);
        expect_resize(&w, r, 769 * MIB, VERDICT_FULL, "513M more does not fit now");
        r->asked = NODESET_EMPTY;
        w.rule->nodes = nodeset_of(2);
        expect_resize(&w, r, 769 * MIB, VERDICT_FULL, "513M more does not fit now");
        world_done(&w);
}
END_TEST

/* Full, whatever the rule allows a request to do: it neither waits nor displaces others. */
START_TEST(it_neither_waits_nor_displaces)
{
        Reservation *r;
        World w;

        world_setup(&w);
        r = hold(&w, 1, "a.service", 2, 256 * MIB);
        hold(&w, 2, "b.service", 2, 768 * MIB);
        hold(&w, 3, "c.service", 3, GIB);
        for (OnFull v = 0; v < _ON_FULL_MAX; v++) {
                w.rule->on_full = v;
                w.rule->priority = 9;
                r->priority = 9;
                expect_resize(&w, r, 257 * MIB, VERDICT_FULL, "1M more does not fit now");
                ck_assert_uint_eq(w.d->n_victims, 0);
        }
        world_done(&w);
}
END_TEST

/* A reload gave node 3, which it asked for, to another pool: nothing of that pool is given under this rule. */
START_TEST(it_does_not_grow_into_another_pool)
{
        PoolConfig hbm = { .name = (char *)"hbm", .nodes = nodeset_of(2), .tier = TIER_UNKNOWN };
        PoolConfig cxl = { .name = (char *)"cxl", .nodes = nodeset_of(3), .tier = TIER_UNKNOWN };
        const PoolConfig *configs[] = { &cxl, &hbm };
        char *error = NULL;
        Reservation *r;
        World w;

        world_setup(&w);
        r = hold(&w, 1, "a.service", 2, 256 * MIB);
        r->asked = nodeset_of(2);
        nodeset_add(&r->asked, 3);
        expect_resize(&w, r, 1025 * MIB, VERDICT_GRANTED, "");
        pool_set_free(w.pools);
        ck_assert_int_eq(pool_set_resolve(w.topology, configs, 2, &w.pools, &error), 0);
        w.s.pools = w.pools;
        expect_resize(&w, r, 1025 * MIB, VERDICT_INVALID, "nodes 2-3 are not all in pool hbm, which has 2");
        r->asked = nodeset_of(2);
        expect_resize(&w, r, 512 * MIB, VERDICT_GRANTED, "");
        expect_share(&w, 0, 2, 512 * MIB);
        world_done(&w);
}
END_TEST

/* What it has counts once; under another rule all of it counts anew. */
START_TEST(it_grows_within_policy)
{
        Reservation *r;
        World w;

        world_setup(&w);
        r = hold(&w, 1, "a.service", 2, 256 * MIB);
        hold(&w, 2, "b.service", 3, 256 * MIB);
        r->lease_usec = TIMESPAN_INFINITY;
        w.rule->has_quota = true;
        w.rule->quota.value = 768 * MIB;
        expect_resize(&w, r, 512 * MIB, VERDICT_GRANTED, "");
        expect_resize(&w, r, 513 * MIB, VERDICT_DENIED, "257M more would be over Quota=768M");
        w.rule->has_quota = false;
        w.rule->has_user_quota = true;
        w.rule->user_quota.value = 768 * MIB;
        expect_resize(&w, r, 512 * MIB, VERDICT_GRANTED, "");
        expect_resize(&w, r, 513 * MIB, VERDICT_DENIED, "QuotaPerUser=768M");
        w.rule->has_user_quota = false;
        w.rule->has_limit = true;
        w.rule->limit.value = 512 * MIB;
        expect_resize(&w, r, 512 * MIB, VERDICT_GRANTED, "");
        expect_resize(&w, r, 513 * MIB, VERDICT_DENIED, "Limit=512M");
        w.rule->has_limit = false;
        r->priority = 1;
        expect_resize(&w, r, 512 * MIB, VERDICT_DENIED, "priority 1");
        r->priority = 0;
        w.rule->lease_usec = 1;
        expect_resize(&w, r, 512 * MIB, VERDICT_DENIED, "Lease=");
        w.rule->lease_usec = 0;
        w.rule->deny = true;
        expect_resize(&w, r, 512 * MIB, VERDICT_DENIED, "Deny=yes");
        /* Less may be had in any case. */
        expect_resize(&w, r, 128 * MIB, VERDICT_GRANTED, "");
        w.rule->deny = false;
        w.config->max_per_user = 1;
        expect_resize(&w, r, 512 * MIB, VERDICT_GRANTED, "");
        /* The rule that matches now is another one. */
        ck_assert_int_eq(ledger_set_rule(w.ledger, r, "/etc/cdm/policy.d/05-old.conf", 2), 0);
        w.rule->has_quota = true;
        w.rule->quota.value = 768 * MIB;
        expect_resize(&w, r, 512 * MIB, VERDICT_GRANTED, "10-all.conf");
        expect_resize(&w, r, 513 * MIB, VERDICT_DENIED, "513M more would be over Quota=768M");
        world_done(&w);
}
END_TEST

START_TEST(it_gives_back_the_last_nodes_first)
{
        Share buffers[] = { { 3, 64 * MIB } };
        Reservation *r;
        World w;

        world_setup(&w);
        r = hold(&w, 1, "a.service", 2, 256 * MIB);
        ck_assert_int_eq(ledger_set_shares(w.ledger, r, (Share[]){ { 2, 256 * MIB }, { 3, 128 * MIB } }, 2),
                         0);
        expect_resize(&w, r, 288 * MIB, VERDICT_GRANTED, "");
        expect_share(&w, 0, 2, 256 * MIB);
        expect_share(&w, 1, 3, 32 * MIB);
        expect_resize(&w, r, 128 * MIB, VERDICT_GRANTED, "");
        ck_assert_uint_eq(w.d->n_shares, 1);
        expect_share(&w, 0, 2, 128 * MIB);
        /* What a buffer holds stays where it is. */
        resize(&w, r, 128 * MIB, buffers, 1);
        expect_share(&w, 0, 2, 64 * MIB);
        expect_share(&w, 1, 3, 64 * MIB);
        resize(&w, r, 64 * MIB, buffers, 1);
        ck_assert_uint_eq(w.d->n_shares, 1);
        expect_share(&w, 0, 3, 64 * MIB);
        resize(&w, r, 63 * MIB, buffers, 1);
        ck_assert_int_eq(w.d->verdict, VERDICT_INVALID);
        /* A node that is shut is of no use. */
        NodeSet shut = nodeset_of(2);
        ledger_shut(w.ledger, &shut);
        expect_resize(&w, r, 128 * MIB, VERDICT_GRANTED, "");
        ck_assert_uint_eq(w.d->n_shares, 1);
        expect_share(&w, 0, 3, 128 * MIB);
        world_done(&w);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("decide");
        TCase *c = tcase_create("decide");

        tcase_set_timeout(c, 0);
        tcase_add_loop_test(c, which_can_have_another_size, 0, ARRAY_SIZE(resizes));
        tcase_add_test(c, it_grows_where_it_is);
        tcase_add_test(c, it_neither_waits_nor_displaces);
        tcase_add_test(c, it_does_not_grow_into_another_pool);
        tcase_add_test(c, it_grows_within_policy);
        tcase_add_test(c, it_gives_back_the_last_nodes_first);
        tcase_add_test(c, verdicts_have_names);
        tcase_add_test(c, nonsense);
        tcase_add_test(c, machine_without_pools);
        tcase_add_test(c, no_rule_is_denied);
        tcase_add_test(c, deny);
        tcase_add_test(c, limit_of_a_rule);
        tcase_add_test(c, lease);
        tcase_add_test(c, priority);
        tcase_add_test(c, default_priority);
        tcase_add_test(c, nodes_of_a_rule);
        tcase_add_test(c, max_per_user);
        tcase_add_test(c, quota_of_a_rule);
        tcase_add_test(c, quota_per_user);
        tcase_add_test(c, placement_prefers_a_node_of_its_own);
        tcase_add_test(c, own_node_has_no_others);
        tcase_add_test(c, placement_prefers_near_then_fast);
        tcase_add_test(c, several_nodes);
        tcase_add_test(c, full);
        tcase_add_test(c, available);
        tcase_add_test(c, exclusive);
        tcase_add_test(c, one_that_moves_has_the_unit_that_it_leaves_beside_it);
        tcase_add_test(c, exclusive_is_charged_whole);
        tcase_add_test(c, strength);
        tcase_add_test(c, more_nodes_than_shares);
        tcase_add_test(c, random_requests_never_overcommit);
        suite_add_tcase(s, c);
        return check_main(s);
}
