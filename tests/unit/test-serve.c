/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/serve.h"
#include "tests/unit/check-main.h"
#include "tests/unit/machine.h"

#define PAGE   UINT64_C(4096)
#define N_UNIT 4

/* Node 0 has the CPUs; 2 and 3 are pool hbm, with 100 pages each. Rule 0 is for a.service and b.service and
 * queues; rule 1 is for c.service and d.service and displaces. */
static Topology *topology;
static PoolSet *pools;
static Config *config;
static Ledger *ledger;
static Queue *queue;
static NodeUse use[1];
static ServeWalk walk;
static Request requests[8];
static Subject units[N_UNIT] = { { .unit = (char *)"a.service", .unit_uid = UID_NONE },
                                 { .unit = (char *)"b.service", .unit_uid = UID_NONE },
                                 { .unit = (char *)"c.service", .unit_uid = UID_NONE },
                                 { .unit = (char *)"d.service", .unit_uid = UID_NONE } };

static Rule *rule_new(const char *file, const char *first, const char *second, OnFull on_full)
{
        Rule *r = calloc(1, sizeof(Rule));

        r->file = strdup(file);
        r->units = calloc(3, sizeof(char *));
        r->units[0] = strdup(first);
        r->units[1] = strdup(second);
        r->priority = 10;
        r->on_full = on_full;
        return r;
}

static void start(void)
{
        PoolConfig hbm = { .name = (char *)"hbm", .nodes = nodeset_of(2), .tier = TIER_UNKNOWN };
        const PoolConfig *configs[] = { &hbm };
        char *error = NULL;

        nodeset_add(&hbm.nodes, 3);
        topology = machine_new();
        machine_add(topology, 0, 100 * PAGE, true);
        machine_add(topology, 2, 100 * PAGE, false);
        machine_add(topology, 3, 100 * PAGE, false);
        ck_assert_int_eq(pool_set_resolve(topology, configs, 1, &pools, &error), 0);
        ck_assert_int_eq(config_new(&config), 0);
        config->rules = calloc(2, sizeof(Rule *));
        config->rules[config->n_rules++] = rule_new("queues.conf", "a.service", "b.service", ON_FULL_QUEUE);
        config->rules[config->n_rules++] =
                rule_new("displaces.conf", "c.service", "d.service", ON_FULL_PREEMPT);
        ck_assert_int_eq(ledger_new(&ledger), 0);
        ck_assert_int_eq(queue_new(&queue), 0);
        walk = SERVE_WALK_START;
}

static void stop(void)
{
        queue_free(queue);
        ledger_free(ledger);
        config_free(config);
        pool_set_free(pools);
        topology_free(topology);
}

static void book(uint32_t id, unsigned unit, ReservationState state, const Share *shares, size_t n)
{
        Reservation *r;

        ck_assert_int_eq(reservation_new(&r), 0);
        r->target = subject_free(r->target);
        ck_assert_int_eq(subject_copy(&units[unit], &r->target), 0);
        r->id = id;
        r->state = state;
        r->pool = strdup("hbm");
        r->rule_file = strdup(config->rules[unit / 2]->file);
        ck_assert_int_eq(reservation_set_shares(r, shares, n), 0);
        for (size_t i = 0; i < n; i++)
                r->size_bytes += shares[i].bytes;
        ck_assert_int_eq(ledger_add(ledger, r), 0);
}

static void hold(uint32_t id, unsigned unit, ReservationState state, int node, unsigned pages)
{
        book(id, unit, state, &(Share){ node, pages * PAGE }, 1);
}

/* node 0: any of the pool */
static void waits(uint32_t id, unsigned unit, int32_t priority, int node, unsigned pages)
{
        requests[id] = (Request){ .id = id,
                                  .pool = "hbm",
                                  .size_bytes = pages * PAGE,
                                  .subject = &units[unit],
                                  .has_priority = true,
                                  .priority = priority,
                                  .queue = unit < 2 };
        if (node > 0)
                requests[id].nodes = nodeset_of(node);
        ck_assert_int_eq(queue_add(queue, &requests[id], &NODESET_EMPTY), 0);
}

static Snapshot snapshot(void)
{
        return (Snapshot){ .topology = topology,
                           .pools = pools,
                           .config = config,
                           .ledger = ledger,
                           .queue = queue,
                           .use = use,
                           .page_bytes = PAGE,
                           .now_usec = 1000000 };
}

/* What is next, "nothing" included; grants are booked, and who is sent away is. */
static void next(const char *expected)
{
        static const char *const names[] = {
                [SERVE_GRANT] = "grant", [SERVE_DISPLACE] = "displace for", [SERVE_END] = "end"
        };
        Snapshot s = snapshot();
        char text[64] = "nothing";
        Served served;

        int r;
        do
                r = serve_next(&s, queue, &walk, &served);
        while (r == -EAGAIN);
        ck_assert_int_ge(r, 0);
        if (r > 0) {
                const Decision *d = served.decision;
                uint32_t id = served.request->id;

                snprintf(text, sizeof(text), "%s %u", names[served.action], id);
                if (served.action != SERVE_DISPLACE)
                        queue_remove(queue, id);
                if (served.action == SERVE_GRANT)
                        book(id, (unsigned)(served.request->subject - units), RESERVATION_ACTIVE, d->shares,
                             d->n_shares);
                for (size_t i = 0; i < d->n_victims; i++)
                        ck_assert_int_eq(ledger_set_state(ledger, ledger_find(ledger, d->victims[i].id),
                                                          RESERVATION_REVOKING),
                                         0);
                decision_free(served.decision);
        }
        ck_assert_str_eq(text, expected);
}

START_TEST(from_the_front_to_the_end)
{
        hold(7, 2, RESERVATION_ACTIVE, 2, 60);
        waits(1, 0, 0, 2, 30);
        waits(2, 1, 5, 2, 50); /* goes before, and claims node 2 */
        waits(3, 0, 0, 3, 100);
        waits(4, 1, 0, 3, 1);
        next("grant 3");
        next("nothing");
        reservation_free(ledger_take(ledger, 7));
        walk = SERVE_WALK_START;
        next("grant 2");
        next("grant 1");
        next("nothing");
        ck_assert_uint_eq(queue_count(queue), 1);
}
END_TEST

START_TEST(displaces_once_and_sends_away)
{
        hold(7, 0, RESERVATION_ACTIVE, 2, 60);
        waits(1, 2, 5, 2, 50);
        next("displace for 1");
        next("nothing");
        walk = SERVE_WALK_START;
        next("nothing"); /* it has been seen to */
        config->rules[1]->deny = true;
        walk = SERVE_WALK_START;
        next("end 1");
        next("nothing");
}
END_TEST

/* 2 takes the last of the quota while 7 leaves for 1. Only a request that asked to wait waits for a quota. */
START_TEST(without_the_queue_no_request_waits_for_a_quota)
{
        Rule *rule = config->rules[1];

        hold(7, 0, RESERVATION_ACTIVE, 2, 60);
        waits(1, 2, 5, 2, 50);
        requests[1].queue = _i >= 2;
        next("displace for 1");
        rule->has_quota = _i % 2 == 0;
        rule->has_user_quota = _i % 2 == 1;
        rule->quota = rule->user_quota = (Size){ .value = 100 * PAGE };
        hold(6, 3, RESERVATION_ACTIVE, 3, 60);
        walk = SERVE_WALK_START;
        next(_i < 2 ? "end 1" : "nothing");
        next("nothing");
}
END_TEST

/* 2 comes later, and claims the node for which 1 waits. */
START_TEST(a_quota_that_shrinks_ends_one_whose_nodes_are_claimed)
{
        Rule *rule = config->rules[1];

        hold(7, 0, RESERVATION_ACTIVE, 2, 60);
        waits(1, 2, 5, 2, 50);
        next("displace for 1");
        waits(2, 1, 9, 2, 90);
        walk = SERVE_WALK_START;
        next("nothing");
        rule->has_quota = true;
        rule->quota = (Size){ .value = 40 * PAGE };
        walk = SERVE_WALK_START;
        next("end 1");
        next("nothing");
}
END_TEST

/* 1 claims node 3, until 2 is granted the last of their rule's quota. Only then is node 3, where somebody is
 * leaving, open to 3. */
START_TEST(a_quota_that_is_used_up_frees_what_was_claimed)
{
        Rule *rule = config->rules[0];

        rule->has_quota = _i == 0;
        rule->has_user_quota = _i == 1;
        rule->quota = rule->user_quota = (Size){ .value = 100 * PAGE };
        hold(6, 3, RESERVATION_DRAINING, 3, 80);
        hold(7, 3, RESERVATION_ACTIVE, 2, 60);
        waits(1, 0, 9, 3, 90);
        waits(2, 1, 8, 2, 20);
        waits(3, 2, 7, 0, 50);
        next("grant 2");
        next("nothing");
        reservation_free(ledger_take(ledger, 6));
        walk = SERVE_WALK_START;
        next("grant 3");
}
END_TEST

/* Rule 1 keeps 2 off node 3, where the pool has room for it, and it claims nothing there, passed over or
 * not. */
START_TEST(claims_are_no_wider_than_the_rule)
{
        config->rules[1]->nodes = nodeset_of(2);
        config->rules[1]->on_full = ON_FULL_QUEUE;
        hold(6, 3, RESERVATION_ACTIVE, 2, 90);
        hold(7, 3, RESERVATION_ACTIVE, 3, 90);
        waits(1, 0, 9, 0, 200);
        waits(2, 2, 8, 0, 50);
        requests[2].queue = true;
        next("nothing"); /* 1 claims both nodes, and 2 is passed over */
        queue_remove(queue, 1);
        NodeSet claimed = queue_claimed(queue, 0, 0), two = nodeset_of(2);
        ck_assert(nodeset_equal(&claimed, &two));
        walk = SERVE_WALK_START;
        next("nothing");
        waits(3, 0, 7, 0, 10);
        walk = SERVE_WALK_START;
        next("grant 3");
}
END_TEST

/* As many as QueueMax= can be, who all wait for node 2 or for a quota; one at the end fits on node 3. No call
 * looks at more than a slice of them, and all are reached although waiters come and go between two calls. */
#define MANY 4096
#define MOST (SERVE_SLICE * 200) /* each waiter is looked up a few times, in O(log n) */

static void many_wait(bool quota)
{
        static Request many[MANY + 2];
        Request *last = &many[MANY], *ahead = &many[MANY + 1];
        unsigned n_calls = 0;
        Served served;
        int r;

        hold(7, 2, RESERVATION_ACTIVE, 2, 100);
        for (unsigned i = 0; i <= MANY + 1; i++)
                many[i] = (Request){ .id = 100 + i,
                                     .pool = "hbm",
                                     .size_bytes = 10 * PAGE,
                                     .subject = &units[1],
                                     .has_priority = true,
                                     .queue = true,
                                     .nodes = nodeset_of(2) };
        if (quota) {
                config->rules[0]->has_quota = true;
                config->rules[0]->quota = (Size){ .value = 5 * PAGE };
        }
        last->nodes = nodeset_of(3);
        last->size_bytes = 4 * PAGE;
        ahead->priority = 9;
        for (unsigned i = 0; i <= MANY; i++)
                ck_assert_int_eq(queue_add(queue, &many[i], &NODESET_EMPTY), 0);
        for (;;) {
                Snapshot s = snapshot();
                size_t visited = queue_visited(queue);

                r = serve_next(&s, queue, &walk, &served);
                ck_assert_uint_le(queue_visited(queue) - visited, MOST);
                if (r != -EAGAIN)
                        break;
                /* the one where the walk is goes, and one enters before it */
                if (n_calls++ == 5) {
                        queue_remove(queue, walk.id);
                        ck_assert_int_eq(queue_add(queue, ahead, &NODESET_EMPTY), 0);
                }
        }
        ck_assert_int_eq(r, 1);
        ck_assert_int_eq(served.action, SERVE_GRANT);
        ck_assert_uint_eq(served.request->id, last->id);
        decision_free(served.decision);
        /* a decision costs more than one that is passed over */
        ck_assert_uint_ge(n_calls, MANY / SERVE_SLICE * (quota ? SERVE_DECISION : 1));
        ck_assert_uint_le(n_calls, MANY / SERVE_SLICE * (quota ? SERVE_DECISION : 1) + 1);
        queue_remove(queue, last->id);
        Snapshot s = snapshot();
        /* the quota is used up now, so the walk began anew */
        ck_assert_int_eq(serve_next(&s, queue, &walk, &served), quota ? -EAGAIN : 0);
}

START_TEST(many_that_are_passed_over_are_looked_at_in_slices)
{
        many_wait(false);
}
END_TEST

START_TEST(many_decisions_are_made_in_slices)
{
        many_wait(true);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("serve");
        TCase *c = tcase_create("serve");

        tcase_add_checked_fixture(c, start, stop);
        tcase_add_test(c, from_the_front_to_the_end);
        tcase_add_test(c, displaces_once_and_sends_away);
        tcase_add_loop_test(c, without_the_queue_no_request_waits_for_a_quota, 0, 4);
        tcase_add_loop_test(c, a_quota_that_is_used_up_frees_what_was_claimed, 0, 2);
        tcase_add_test(c, a_quota_that_shrinks_ends_one_whose_nodes_are_claimed);
        tcase_add_test(c, claims_are_no_wider_than_the_rule);
        tcase_add_test(c, many_that_are_passed_over_are_looked_at_in_slices);
        tcase_add_test(c, many_decisions_are_made_in_slices);
        suite_add_tcase(s, c);
        return check_main(s);
}
