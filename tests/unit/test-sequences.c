/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Random sequences of everything that can happen to reservations, against a plain model.
 *
 * The decisions are the real ones: ledger, decide(), queue, serve_next(), preempt(), lease and the text on
 * disk. What the daemon does with them is done here in a few lines (apply()). Beside it, `live` is an array
 * that knows nothing of them and is added up anew for every question. After each step the invariants hold:
 *
 *   - the ledger's sums are those of the array: draining and revoking bytes count, queued ones do not
 *   - a grant fits in what the array says is free; only whole pages, only nodes that are online and asked
 * for
 *   - who has nodes for himself is alone on them
 *   - the verdict on a new request is the one that the rule, read literally, gives
 *   - nobody is granted a node that somebody before him waits for
 *   - nobody waits who could have been granted, nor does anybody who waits only for victims wait in vain
 *   - victims have a strictly lower priority, of all sets that are enough theirs has the fewest bytes, and
 *     what would not fit anyway displaces nobody
 *   - a lease is warned of for its grace period before it is drained, and neither comes late
 *   - a restart changes nothing
 *
 * CDM_TEST_SEED and CDM_TEST_SEQUENCES: a failure says which sequence it was. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/loop/store.h"
#include "policy/lease.h"
#include "policy/serve.h"
#include "policy/timespan.h"
#include "tests/unit/machine.h"

#if defined(__SANITIZE_ADDRESS__)
#define SEQUENCES 10000
#else
#define SEQUENCES 100000
#endif
#define STEPS_MAX 48
#define LIVE_MAX  24
#define PAGE      UINT64_C(4096)
#define FIRST_CDM 2
#define N_NODES   6 /* 0 and 1 are ordinary; 2-4 are pool hbm, 5 is pool cxl */
#define N_RULES   3
#define N_UNITS   5
#define GRACE     (UINT64_C(10) * 1000000)
#define USER_MAX  6

static const char *const units[N_UNITS] = { "a.service", "b.service", "c.service", "d.service",
                                            "e.service" };

typedef struct Live {
        bool used;
        uint32_t id;
        int unit, rule;
        uid_t uid;
        int32_t priority;
        uint64_t size;
        bool exclusive, patient, stuck;
        ReservationState state;
        Share shares[N_NODES];
        size_t n_shares;
        uint64_t lease, term, expires, revoke, revoked_at, deadline;
        uint32_t revoked_for;
        char pool[8];
        NodeSet asked;
        uint32_t victims[LIVE_MAX];
        size_t n_victims;
} Live;

static uint64_t seed, rng;
static unsigned step;
static const char *what;
static Live live[LIVE_MAX];
static Topology *topology;
static PoolSet *pools;
static Config *config;
static Ledger *ledger;
static Queue *queue;
static Request requests[LIVE_MAX]; /* of live[] of the same number, while it waits */
static NodeUse use[N_NODES];
static Subject subjects[N_UNITS];
static uint64_t now;
static uint32_t last_id;

static void broken(const char *condition, int line)
{
        printf("not ok - %s:%d: %s\n# CDM_TEST_SEED=%" PRIu64
               " CDM_TEST_SEQUENCES=1 repeats it; step %u was %s\n",
               __FILE__, line, condition, seed, step, what);
        for (size_t i = 0; i < LIVE_MAX; i++) {
                const Live *l = &live[i];

                if (!l->used)
                        continue;
                printf("# %u %s %s %s priority %d%s, %" PRIu64 " pages, rule %d:", l->id, units[l->unit],
                       l->pool, reservation_state_to_string(l->state), l->priority,
                       l->exclusive ? " exclusive" : "", l->size / PAGE, l->rule);
                for (size_t k = 0; k < l->n_shares; k++)
                        printf(" %d:%" PRIu64, l->shares[k].node, l->shares[k].bytes / PAGE);
                printf("\n");
        }
        fflush(stdout);
        _exit(1);
}
#define MUST(condition)                                                                                     \
        do                                                                                                  \
                if (!(condition))                                                                           \
                        broken(#condition, __LINE__);                                                       \
        while (0)

/* What happened, so that a sequence of nothing does not pass for a test. */
enum {
        SEEN_GRANTED,
        SEEN_QUEUED,
        SEEN_DENIED,
        SEEN_FULL,
        SEEN_DISPLACING,
        SEEN_VICTIM,
        SEEN_SERVED,
        SEEN_ENDED,
        SEEN_LEASE,
        SEEN_RESIDUE,
        SEEN_RESTART,
        _SEEN_MAX
};
static const char *const seen_names[_SEEN_MAX] = { "granted",
                                                   "queued",
                                                   "denied",
                                                   "full",
                                                   "displacing",
                                                   "victims",
                                                   "served from the queue",
                                                   "ended in the queue",
                                                   "leases ended",
                                                   "residues",
                                                   "restarts" };
static uint64_t seen[_SEEN_MAX];

/* xorshift64* */
static uint32_t any(uint32_t n)
{
        rng ^= rng >> 12;
        rng ^= rng << 25;
        rng ^= rng >> 27;
        return (uint32_t)((rng * UINT64_C(2685821657736338717)) >> 33) % n;
}

/* --- the plain model --- */

static bool is_booked(const Live *l)
{
        return l->used && l->state != RESERVATION_QUEUED;
}

static uint64_t bytes_on(const Live *l, int node)
{
        for (size_t i = 0; i < l->n_shares; i++)
                if (l->shares[i].node == node)
                        return l->shares[i].bytes;
        return 0;
}

static uint64_t capacity_of(int node)
{
        const Node *n = topology_find(topology, node);
        uint64_t bytes = n->online && !use[node].closed ? n->size_bytes - 2 * PAGE : 0;

        return bytes > use[node].foreign_bytes ? bytes - use[node].foreign_bytes : 0;
}

/* What could be given to that unit if those for whom gone() is true were not there. */
static uint64_t room_on(int node, int unit, bool exclusive, bool (*gone)(const Live *l))
{
        uint64_t bytes = capacity_of(node), held = 0;
        bool others = false, alone = false;

        for (size_t i = 0; i < LIVE_MAX; i++) {
                uint64_t here = is_booked(&live[i]) ? bytes_on(&live[i], node) : 0;

                if (here == 0 || (gone && gone(&live[i])))
                        continue;
                held += here;
                others |= live[i].unit != unit;
                alone |= live[i].exclusive && !live[i].stuck;
        }
        /* Others may have come to a residue of an exclusive reservation, which is drained again after a restart. Then
         * its own unit gets no more there, either. */
        if (held >= bytes || (others && (exclusive || alone)))
                return 0;
        return (bytes - held) / PAGE * PAGE;
}

static uint64_t room_in(const NodeSet *nodes, int unit, bool exclusive, bool (*gone)(const Live *l))
{
        uint64_t bytes = 0;

        NODESET_FOREACH (node, nodes)
                bytes += room_on(node, unit, exclusive, gone);
        return bytes;
}

static uint64_t rule_live(int rule)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < LIVE_MAX; i++)
                if (is_booked(&live[i]) && live[i].rule == rule)
                        bytes += live[i].size;
        return bytes;
}

static uint64_t rule_user_live(int rule, uid_t uid)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < LIVE_MAX; i++)
                if (is_booked(&live[i]) && live[i].rule == rule && live[i].uid == uid)
                        bytes += live[i].size;
        return bytes;
}

static NodeSet nodes_of(const Live *l)
{
        NodeSet nodes = nodeset_is_empty(&l->asked) ? pool_set_find(pools, l->pool)->nodes : l->asked;
        const Rule *rule = config->rules[l->rule];

        return nodeset_is_empty(&rule->nodes) ? nodes : nodeset_intersect(&nodes, &rule->nodes);
}

/* Does the rule keep it off all nodes, or off some that were asked for? */
static bool is_kept_off(const Live *l)
{
        const Rule *rule = config->rules[l->rule];
        NodeSet nodes = nodes_of(l);

        return !nodeset_is_empty(&rule->nodes) &&
               (nodeset_is_empty(&nodes) || !nodeset_is_subset(&l->asked, &rule->nodes));
}

static bool goes_before(int32_t priority, uint32_t id, const Live *l)
{
        return l->used && l->state == RESERVATION_QUEUED && l->id != id &&
               (l->priority > priority || (l->priority == priority && (id == 0 || l->id < id)));
}

/* It waits for its quota, and is in nobody's way. */
static bool claims_nothing(const Live *l)
{
        const Rule *rule = config->rules[l->rule];

        return (rule->has_quota && rule_live(l->rule) + l->size > rule->quota.value) ||
               (rule->has_user_quota && rule_user_live(l->rule, l->uid) + l->size > rule->user_quota.value);
}

static NodeSet claimed_before(int32_t priority, uint32_t id)
{
        NodeSet set = NODESET_EMPTY;

        for (size_t i = 0; i < LIVE_MAX; i++)
                if (goes_before(priority, id, &live[i]) && !claims_nothing(&live[i])) {
                        NodeSet nodes = nodes_of(&live[i]);
                        set = nodeset_union(&set, &nodes);
                }
        return set;
}

static bool is_leaving(const Live *l)
{
        return l->state == RESERVATION_REVOKING || (l->state == RESERVATION_DRAINING && !l->stuck);
}

static Live *find(uint32_t id)
{
        for (size_t i = 0; i < LIVE_MAX; i++)
                if (live[i].used && live[i].id == id)
                        return &live[i];
        return NULL;
}

/* --- who is displaced --- */

static uint32_t subset_ids[LIVE_MAX];
static size_t n_subset;

static bool gone_with_subset(const Live *l)
{
        for (size_t i = 0; i < n_subset; i++)
                if (subset_ids[i] == l->id)
                        return true;
        return is_leaving(l);
}

/* Every set of candidates: none that is enough has fewer bytes. best 0: none is enough. */
static uint64_t fewest_bytes(int unit, int32_t priority, uint64_t size, bool exclusive, const NodeSet *open)
{
        const Live *candidates[LIVE_MAX];
        uint64_t best = UINT64_MAX;
        size_t n = 0;

        for (size_t i = 0; i < LIVE_MAX; i++) {
                const Live *l = &live[i];
                bool there = false;

                for (size_t k = 0; k < l->n_shares; k++)
                        there |= nodeset_contains(open, l->shares[k].node) && l->shares[k].bytes > 0;
                if (l->used && l->state == RESERVATION_ACTIVE && l->priority < priority && l->unit != unit &&
                    there)
                        candidates[n++] = l;
        }
        for (uint32_t set = 0; set < UINT32_C(1) << n; set++) {
                uint64_t bytes = 0;

                n_subset = 0;
                for (size_t i = 0; i < n; i++)
                        if (set & UINT32_C(1) << i) {
                                subset_ids[n_subset++] = candidates[i]->id;
                                bytes += candidates[i]->size;
                        }
                if (bytes < best && room_in(open, unit, exclusive, gone_with_subset) >= size)
                        best = bytes;
        }
        return best;
}

static void check_victims(const Decision *d, int unit, int32_t priority, uint64_t size, bool exclusive,
                          const NodeSet *open)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < d->n_victims; i++) {
                const Live *v = find(d->victims[i].id);

                MUST(v && v->state == RESERVATION_ACTIVE);
                MUST(v->priority < priority && v->unit != unit);
                seen[SEEN_VICTIM]++;
                bytes += v->size;
        }
        MUST(bytes == fewest_bytes(unit, priority, size, exclusive, open));
}

/* --- the daemon in a few lines --- */

static Snapshot snapshot(void)
{
        return (Snapshot){ .topology = topology,
                           .pools = pools,
                           .config = config,
                           .ledger = ledger,
                           .queue = queue,
                           .use = use,
                           .n_use = N_NODES,
                           .page_bytes = PAGE,
                           .now_usec = now };
}

static Live *new_live(void)
{
        for (size_t i = 0; i < LIVE_MAX; i++)
                if (!live[i].used) {
                        live[i] = (Live){ .used = true, .id = ++last_id, .deadline = TIMESPAN_INFINITY };
                        return &live[i];
                }
        return NULL;
}

static void put_into_ledger(const Live *l)
{
        Reservation *r;

        MUST(reservation_new(&r) == 0);
        r->target = subject_free(r->target);
        MUST(subject_copy(&subjects[l->unit], &r->target) == 0);
        r->target->uid = l->uid;
        r->id = l->id;
        r->pool = strdup(l->pool);
        r->rule_file = strdup(config->rules[l->rule]->file);
        r->rule_line = 1;
        r->size_bytes = l->size;
        r->state = l->state;
        r->priority = l->priority;
        r->exclusive = l->exclusive;
        r->lease_usec = l->lease;
        r->term_usec = l->term;
        r->expires_usec = l->expires;
        r->revoke_usec = l->revoke;
        r->revoked_for = l->revoked_for;
        r->stuck = l->stuck;
        MUST(reservation_set_shares(r, l->shares, l->n_shares) == 0);
        if (l->state == RESERVATION_QUEUED) {
                r->wait = calloc(1, sizeof(Wait));
                *r->wait = (Wait){ .nodes = l->asked, .deadline_usec = l->deadline, .patient = l->patient };
        }
        MUST(ledger_add(ledger, r) == 0);
}

static Request make_request(const Live *l, const Subject *s)
{
        return (Request){ .id = l->id,
                          .pool = l->pool,
                          .size_bytes = l->size,
                          .subject = s,
                          .lease_usec = l->lease,
                          .has_priority = true,
                          .priority = l->priority,
                          .queue = l->patient,
                          .exclusive = l->exclusive,
                          .nodes = l->asked };
}

static void set_state(Live *l, ReservationState state)
{
        l->state = state;
        MUST(ledger_set_state(ledger, ledger_find(ledger, l->id), state) == 0);
}

static void keep_victims(Live *l)
{
        for (size_t i = 0; i < l->n_victims; i++) {
                Live *v = find(l->victims[i]);

                if (v && v->state == RESERVATION_REVOKING && v->revoked_for == l->id) {
                        v->revoke = v->revoked_for = 0;
                        set_state(v, RESERVATION_ACTIVE);
                }
        }
        l->n_victims = 0;
}

static void forget(Live *l)
{
        queue_remove(queue, l->id);
        keep_victims(l);
        reservation_free(ledger_take(ledger, l->id));
        l->used = false;
}

static void revoke_victims(Live *l, const Decision *d)
{
        for (size_t i = 0; i < d->n_victims; i++) {
                Live *v = find(d->victims[i].id);

                l->victims[l->n_victims++] = v->id;
                v->revoked_at = now;
                v->revoke = now + GRACE;
                v->revoked_for = l->id;
                set_state(v, RESERVATION_REVOKING);
        }
}

static void check_grant(const Live *l, const Decision *d)
{
        NodeSet allowed = nodes_of(l), claimed = claimed_before(l->priority, l->id), taken = NODESET_EMPTY;
        uint64_t sum = 0;

        for (size_t i = 0; i < d->n_shares; i++) {
                int node = d->shares[i].node;
                uint64_t room = room_on(node, l->unit, l->exclusive, NULL);

                MUST(nodeset_contains(&allowed, node) && !nodeset_contains(&taken, node));
                MUST(!nodeset_contains(&claimed, node));
                nodeset_add(&taken, node);
                MUST(d->shares[i].bytes > 0 && d->shares[i].bytes % PAGE == 0);
                MUST(l->exclusive ? d->shares[i].bytes == room : d->shares[i].bytes <= room);
                sum += d->shares[i].bytes;
        }
        MUST(sum == d->size_bytes && (l->exclusive ? sum >= l->size : sum == l->size));
        MUST(d->expires_usec == lease_end(now, d->lease_usec));
}

static void become(Live *l, const Decision *d)
{
        check_grant(l, d);
        l->state = RESERVATION_ACTIVE;
        l->size = d->size_bytes;
        l->lease = l->term = d->lease_usec;
        l->expires = d->expires_usec;
        l->n_shares = d->n_shares;
        memcpy(l->shares, d->shares, d->n_shares * sizeof(Share));
        const Rule *rule = config->rules[l->rule];
        MUST(!rule->has_quota || rule_live(l->rule) <= rule->quota.value);
        MUST(!rule->has_user_quota || rule_user_live(l->rule, l->uid) <= rule->user_quota.value);
}

/* Is there a reason to send away one that waits? */
static bool may_end(const Live *l)
{
        const Rule *rule = config->rules[l->rule];
        NodeSet open = nodes_of(l), before = claimed_before(l->priority, l->id);

        open = nodeset_subtract(&open, &before);
        if (rule->deny || is_kept_off(l) || (rule->has_limit && l->size > rule->limit.value) ||
            (l->lease && l->lease > (rule->lease_usec ? rule->lease_usec : config->default_lease_usec)) ||
            l->priority > rule->priority || (l->exclusive && !rule->exclusive))
                return true;
        if (rule->on_full == ON_FULL_DENY)
                return true;
        return !l->patient &&
               (claims_nothing(l) || rule->on_full != ON_FULL_PREEMPT ||
                fewest_bytes(l->unit, l->priority, l->size, l->exclusive, &open) == UINT64_MAX);
}

static void serve(void)
{
        bool again = true;

        while (again) {
                ServeWalk walk = SERVE_WALK_START;
                Served s;
                int r;

                again = false;
                for (;;) {
                        Snapshot snap = snapshot();

                        r = serve_next(&snap, queue, &walk, &s);
                        if (r == -EAGAIN)
                                continue;
                        if (r <= 0)
                                break;
                        again = true;
                        Live *l = find(s.request->id);
                        MUST(l && l->state == RESERVATION_QUEUED);
                        if (s.action == SERVE_GRANT) {
                                seen[SEEN_SERVED]++;
                                queue_remove(queue, l->id);
                                become(l, s.decision);
                                reservation_free(ledger_take(ledger, l->id));
                                put_into_ledger(l);
                                keep_victims(l);
                        } else if (s.action == SERVE_DISPLACE) {
                                NodeSet open = nodes_of(l), before = claimed_before(l->priority, l->id);

                                open = nodeset_subtract(&open, &before);
                                check_victims(s.decision, l->unit, l->priority, l->size, l->exclusive,
                                              &open);
                                revoke_victims(l, s.decision);
                        } else {
                                MUST(may_end(l));
                                seen[SEEN_ENDED]++;
                                forget(l);
                        }
                        decision_free(s.decision);
                }
                MUST(r == 0);
        }
}

/* Whoever waits waits for a reason, read off the array alone. */
static void check_queue(void)
{
        for (size_t i = 0; i < LIVE_MAX; i++) {
                Live *l = &live[i];

                if (!l->used || l->state != RESERVATION_QUEUED)
                        continue;
                MUST(queue_find(queue, l->id));
                NodeSet open = nodes_of(l), before = claimed_before(l->priority, l->id);
                open = nodeset_subtract(&open, &before);
                MUST(claims_nothing(l) || nodeset_is_empty(&open) ||
                     room_in(&open, l->unit, l->exclusive, NULL) < l->size);
                /* in vain */
                MUST(l->patient ||
                     (!claims_nothing(l) && (nodeset_is_empty(&open) ||
                                             room_in(&open, l->unit, l->exclusive, is_leaving) >= l->size)));
        }
}

/* --- the rule, read literally --- */

static Verdict expected(const Live *l, bool is_queue)
{
        const Rule *rule = config->rules[l->rule];
        NodeSet allowed = nodes_of(l), claimed, open;
        uint64_t whole = 0;
        size_t n_user = 0, n_waiting = 0;

        for (size_t i = 0; i < LIVE_MAX; i++) {
                n_user += live[i].used && &live[i] != l && live[i].uid == l->uid;
                n_waiting += live[i].used && &live[i] != l && live[i].state == RESERVATION_QUEUED;
        }
        if (rule->deny || is_kept_off(l) || (rule->has_limit && l->size > rule->limit.value) ||
            (l->lease && l->lease > (rule->lease_usec ? rule->lease_usec : config->default_lease_usec)) ||
            l->priority > rule->priority || (l->exclusive && !rule->exclusive) || n_user >= USER_MAX ||
            claims_nothing(l))
                return VERDICT_DENIED;
        claimed = claimed_before(l->priority, 0);
        open = nodeset_subtract(&allowed, &claimed);
        if (room_in(&open, l->unit, l->exclusive, NULL) >= l->size)
                return VERDICT_GRANTED;
        NODESET_FOREACH (node, &allowed)
                whole += topology_find(topology, node)->size_bytes > 0
                                 ? topology_find(topology, node)->size_bytes - 2 * PAGE
                                 : 0;
        if (l->size > whole || n_waiting >= config->queue_max)
                return VERDICT_FULL;
        if (rule->on_full == ON_FULL_PREEMPT &&
            fewest_bytes(l->unit, l->priority, l->size, l->exclusive, &open) != UINT64_MAX)
                return VERDICT_QUEUED;
        return is_queue && rule->on_full != ON_FULL_DENY ? VERDICT_QUEUED : VERDICT_FULL;
}

/* --- the steps --- */

static void ask(void)
{
        Live *l = new_live();
        Decision *d = NULL;

        if (!l)
                return;
        what = "a request";
        l->unit = (int)any(N_UNITS);
        l->rule = l->unit % N_RULES;
        l->uid = 1000 + any(3);
        bool has_priority = any(3) > 0;
        l->priority = has_priority ? (int32_t)any(6) - 1 : config->rules[l->rule]->default_priority;
        l->size = (1 + any(any(3) ? 40 : 110)) * PAGE;
        l->exclusive = any(8) == 0;
        l->patient = any(3) > 0;
        l->lease = any(2) ? (1 + any(100)) * UINT64_C(1000000) : 0;
        strcpy(l->pool, any(4) ? "hbm" : "cxl");
        if (any(4) == 0)
                l->asked = nodeset_of(strcmp(l->pool, "cxl") == 0 ? 5 : 2 + (int)any(3));
        l->state = RESERVATION_QUEUED;

        Subject s = subjects[l->unit];
        s.uid = l->uid;
        Snapshot snap = snapshot();
        Request q = make_request(l, &s);
        q.id = 0;
        if (!has_priority) {
                q.has_priority = false;
                q.priority = INT32_MAX;
        }
        l->used = false; /* not in the model yet */
        Verdict v = expected(l, l->patient);
        MUST(decide(&snap, &q, &d) == 0);
        MUST(d->verdict == v);
        MUST((v != VERDICT_GRANTED && v != VERDICT_QUEUED) || d->priority == l->priority);
        seen[v == VERDICT_GRANTED  ? SEEN_GRANTED
             : v == VERDICT_QUEUED ? SEEN_QUEUED
             : v == VERDICT_FULL   ? SEEN_FULL
                                   : SEEN_DENIED]++;
        seen[SEEN_DISPLACING] += d->n_victims > 0;
        MUST(d->reason && *d->reason);
        NodeSet open = nodes_of(l), before = claimed_before(l->priority, 0);
        open = nodeset_subtract(&open, &before);
        if (d->n_victims > 0)
                check_victims(d, l->unit, l->priority, l->size, l->exclusive, &open);
        MUST(d->n_victims == 0 ||
             (v == VERDICT_QUEUED && config->rules[l->rule]->on_full == ON_FULL_PREEMPT));
        if (v == VERDICT_GRANTED) {
                become(l, d);
                l->used = true;
                put_into_ledger(l);
        } else if (v == VERDICT_QUEUED) {
                l->used = true;
                l->deadline = any(2) ? now + (1 + any(60)) * UINT64_C(1000000) : TIMESPAN_INFINITY;
                put_into_ledger(l);
                requests[l - live] = make_request(l, ledger_find(ledger, l->id)->target);
                MUST(queue_add(queue, &requests[l - live], &d->claims) == 0);
                revoke_victims(l, d);
        } else
                last_id--;
        decision_free(d);
}

static Live *pick(void)
{
        Live *l = &live[any(LIVE_MAX)];

        return l->used ? l : NULL;
}

static void release(Live *l)
{
        if (l->state == RESERVATION_QUEUED)
                forget(l);
        else if (l->state != RESERVATION_DRAINING)
                set_state(l, RESERVATION_DRAINING);
}

/* The drain has been: everything left, or some pages of it stay. */
static void drained(Live *l)
{
        if (l->state != RESERVATION_DRAINING)
                return;
        if (any(3)) {
                forget(l);
                return;
        }
        seen[SEEN_RESIDUE]++;
        l->stuck = true;
        l->size = 0;
        for (size_t i = 0; i < l->n_shares; i++) {
                l->shares[i].bytes = any((uint32_t)(l->shares[i].bytes / PAGE) + 1) * PAGE;
                l->size += l->shares[i].bytes;
        }
        Reservation *r = ledger_find(ledger, l->id);
        r->stuck = true;
        MUST(ledger_set_shares(ledger, r, l->shares, l->n_shares) == 0);
}

static void due(Live *l)
{
        uint64_t warning = lease_warning(l->expires, l->term, GRACE);

        if (l->state == RESERVATION_QUEUED && now >= l->deadline)
                forget(l);
        else if (l->state == RESERVATION_ACTIVE && now >= warning) {
                l->revoked_at = now;
                l->revoke = lease_drain(l->expires, l->term, GRACE, now);
                MUST(l->revoke >= l->expires &&
                     l->revoke - now <= (l->expires > now ? l->expires - now : 0) + GRACE);
                MUST(l->revoke - now >= (GRACE < l->term / 2 ? GRACE : l->term / 2));
                set_state(l, RESERVATION_REVOKING);
        } else if (l->state == RESERVATION_REVOKING && now >= l->revoke) {
                seen[SEEN_LEASE] += l->revoked_for == 0;
                MUST(now >= l->revoked_at + (l->revoked_for || GRACE < l->term / 2 ? GRACE : l->term / 2));
                set_state(l, RESERVATION_DRAINING);
        }
}

/* Most jumps are short; some are a machine that slept. */
static void pass_time(void)
{
        what = "time";
        now += (1 + any(any(5) ? 20 : 5000)) * UINT64_C(500000);
        for (size_t i = 0; i < LIVE_MAX; i++)
                if (live[i].used)
                        due(&live[i]);
}

static void renew(Live *l)
{
        if (l->state != RESERVATION_ACTIVE && (l->state != RESERVATION_REVOKING || l->revoked_for))
                return;
        l->term = l->lease;
        l->expires = lease_end(now, l->term);
        l->revoke = 0;
        if (l->state == RESERVATION_REVOKING)
                set_state(l, RESERVATION_ACTIVE);
}

static void hotplug(void)
{
        int node = FIRST_CDM + (int)any(N_NODES - FIRST_CDM);

        what = "hotplug";
        if (any(3) == 0)
                use[node].closed = !use[node].closed;
        else
                topology->nodes[node].online = !topology->nodes[node].online;
}

static void strangers(void)
{
        what = "strangers";
        use[FIRST_CDM + any(N_NODES - FIRST_CDM)].foreign_bytes = any(3) ? 0 : any(30) * PAGE;
}

static void random_rule(int i)
{
        Rule *r = config->rules[i];

        r->deny = any(40) == 0;
        r->has_limit = any(6) == 0;
        r->limit.value = (30 + any(60)) * PAGE;
        r->has_quota = any(5) == 0;
        r->quota.value = (40 + any(120)) * PAGE;
        r->lease_usec = any(6) ? 0 : (50 + any(100)) * UINT64_C(1000000);
        r->has_user_quota = any(5) == 0;
        r->user_quota.value = (20 + any(60)) * PAGE;
        r->nodes = NODESET_EMPTY;
        bool some = any(4) == 0;
        for (int node = FIRST_CDM; some && node < N_NODES; node++)
                if (any(2))
                        nodeset_add(&r->nodes, node);
        r->priority = 2 + (int32_t)any(4);
        r->default_priority = r->priority - (int32_t)any(4);
        r->on_full = (OnFull)any(_ON_FULL_MAX);
        r->exclusive = any(2) && !r->has_limit && !r->has_quota && !r->has_user_quota;
}

/* The same through the text on disk, in another order. */
static void restart(void)
{
        char *texts[LIVE_MAX] = { NULL };

        what = "a restart";
        seen[SEEN_RESTART]++;
        for (size_t i = 0; i < LIVE_MAX; i++)
                if (live[i].used) {
                        Reservation *r = ledger_find(ledger, live[i].id);
                        r->term_usec = live[i].term;
                        r->expires_usec = live[i].expires;
                        r->revoke_usec = live[i].revoke;
                        r->revoked_for = live[i].revoked_for;
                        MUST(store_format(r, r->state == RESERVATION_QUEUED ? STORE_QUEUED : STORE_GRANTED,
                                          &texts[i]) == 0);
                }
        queue_free(queue);
        ledger_free(ledger);
        MUST(ledger_new(&ledger) == 0 && queue_new(&queue) == 0);
        size_t first = any(LIVE_MAX);
        for (size_t k = 0; k < LIVE_MAX; k++) {
                size_t i = (first + k) % LIVE_MAX;
                Live *l = &live[i];
                StorePhase phase;
                const char *reason;
                Reservation *r;

                if (!texts[i])
                        continue;
                MUST(store_parse(texts[i], &r, &phase, &reason) == 0);
                free(texts[i]);
                MUST(r->id == l->id && r->state == l->state && r->size_bytes == l->size);
                MUST(r->expires_usec == l->expires && r->term_usec == l->term &&
                     r->revoke_usec == l->revoke);
                l->stuck = false; /* not stored: the drain is tried again, and then it is known */
                MUST(ledger_add(ledger, r) == 0);
                if (phase == STORE_QUEUED) {
                        NodeSet claims = pool_set_find(pools, l->pool)->nodes;
                        MUST(r->wait && r->wait->deadline_usec == l->deadline &&
                             r->wait->patient == l->patient);
                        MUST(nodeset_equal(&r->wait->nodes, &l->asked));
                        requests[i] = make_request(l, r->target);
                        MUST(queue_add(queue, &requests[i], &claims) == 0);
                }
        }
}

/* --- invariants --- */

static void check_ledger(void)
{
        for (int node = FIRST_CDM; node < N_NODES; node++) {
                uint64_t sum = 0;
                bool tenant[N_UNITS] = { false };
                size_t n_tenants = 0, n_alone = 0;

                for (size_t i = 0; i < LIVE_MAX; i++) {
                        uint64_t here = is_booked(&live[i]) ? bytes_on(&live[i], node) : 0;

                        sum += here;
                        if (here > 0 && !tenant[live[i].unit]) {
                                tenant[live[i].unit] = true;
                                n_tenants++;
                        }
                        /* Others may come to what a drain has left. */
                        n_alone += here > 0 && live[i].exclusive && live[i].state != RESERVATION_DRAINING;
                }
                MUST(ledger_node_reserved(ledger, node) == sum);
                MUST(ledger_node_tenants(ledger, node) == n_tenants);
                MUST(n_alone == 0 || n_tenants == 1);
                MUST(sum <= 64 * PAGE - 2 * PAGE); /* whatever is online */
        }
}

static void check_states(void)
{
        size_t n = 0;

        for (size_t i = 0; i < LIVE_MAX; i++) {
                const Live *l = &live[i];

                if (!l->used)
                        continue;
                n++;
                const Reservation *r = ledger_find(ledger, l->id);
                MUST(r && r->state == l->state && r->size_bytes == l->size);
                MUST((l->state == RESERVATION_QUEUED) == (queue_find(queue, l->id) != NULL));
                Snapshot s = snapshot();
                bool alone = is_booked(l);
                for (size_t k = 0; k < l->n_shares; k++)
                        for (size_t o = 0; o < LIVE_MAX; o++)
                                if (is_booked(&live[o]) && live[o].unit != l->unit &&
                                    l->shares[k].bytes > 0 && bytes_on(&live[o], l->shares[k].node) > 0)
                                        alone = false;
                if (l->state == RESERVATION_ACTIVE)
                        MUST(decide_strength(&s, r) == (alone ? STRENGTH_EXCLUSIVE : STRENGTH_WATCHED));
        }
        MUST(n == ledger_count(ledger));
}

static void one_step(void)
{
        Live *l = pick();

        switch (any(16)) {
        default:
                ask();
                break;
        case 0:
        case 1:
        case 2:
                what = "a release";
                if (l)
                        release(l);
                break;
        case 3:
        case 4:
        case 5:
                what = "a drain";
                for (size_t i = 0; i < LIVE_MAX; i++)
                        if (live[i].used && any(2))
                                drained(&live[i]);
                break;
        case 6:
        case 7:
                pass_time();
                break;
        case 8:
                what = "a renewal";
                if (l)
                        renew(l);
                break;
        case 9:
                hotplug();
                break;
        case 10:
                if (any(2))
                        strangers();
                else {
                        what = "a reload";
                        random_rule((int)any(N_RULES));
                }
                break;
        case 11:
                restart();
                break;
        }
}

static void sequence(uint64_t number)
{
        unsigned n_steps;

        seed = number;
        rng = number * UINT64_C(0x9E3779B97F4A7C15) + 1;
        for (int i = 0; i < 4; i++)
                any(2);
        memset(live, 0, sizeof(live));
        now = UINT64_C(1000000) * (1 + any(100000));
        last_id = 0;
        MUST(ledger_new(&ledger) == 0 && queue_new(&queue) == 0);
        config->queue_max = 2 + any(6);
        config->default_lease_usec = any(2) ? TIMESPAN_INFINITY : (60 + any(100)) * UINT64_C(1000000);
        for (int i = 0; i < N_RULES; i++)
                random_rule(i);
        for (int i = 0; i < N_NODES; i++) {
                topology->nodes[i].online = true;
                use[i] = (NodeUse){ .node = i };
        }
        n_steps = 12 + any(STEPS_MAX - 12);
        for (step = 0; step < n_steps; step++) {
                one_step();
                serve();
                check_queue();
                check_ledger();
                check_states();
        }
        queue_free(queue);
        ledger_free(ledger);
}

static void make_machine(void)
{
        static char pool_names[2][4] = { "cxl", "hbm" };
        PoolConfig cxl = { .name = pool_names[0], .nodes = nodeset_of(5), .tier = TIER_UNKNOWN },
                   hbm = { .name = pool_names[1], .tier = TIER_UNKNOWN };
        const PoolConfig *configs[] = { &cxl, &hbm };
        char *error = NULL;

        cxl.headroom.value = hbm.headroom.value = 2 * PAGE;
        for (int node = 2; node < 5; node++)
                nodeset_add(&hbm.nodes, node);
        topology = machine_new();
        for (int id = 0; id < N_NODES; id++)
                machine_add(topology, id, 64 * PAGE, id < FIRST_CDM);
        MUST(pool_set_resolve(topology, configs, 2, &pools, &error) == 0);
        MUST(config_new(&config) == 0);
        config->max_per_user = USER_MAX;
        config->rules = calloc(N_RULES, sizeof(Rule *));
        for (int i = 0; i < N_RULES; i++) {
                Rule *r = config->rules[config->n_rules++] = calloc(1, sizeof(Rule));
                char **words = calloc(3, sizeof(char *));

                MUST(asprintf(&r->file, "/etc/cdm/policy.d/%d.conf", i) > 0);
                for (int unit = i, n = 0; unit < N_UNITS; unit += N_RULES)
                        words[n++] = strdup(units[unit]);
                r->units = words;
                r->line = 1;
        }
        for (int i = 0; i < N_UNITS; i++)
                subjects[i] = (Subject){ .unit = (char *)units[i], .unit_uid = UID_NONE };
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
        const char *text = getenv(name);

        return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
        uint64_t base, n = number_from("CDM_TEST_SEQUENCES", SEQUENCES);
        int status = 0;

        if (getrandom(&base, sizeof(base), 0) != sizeof(base))
                base = (uint64_t)time(NULL);
        base = number_from("CDM_TEST_SEED", base % 1000000000);
        printf("# %" PRIu64 " sequences from CDM_TEST_SEED=%" PRIu64 "\n", n, base);
        fflush(stdout);
        make_machine();
        /* Half of them for each of two processors. */
        pid_t child = n > 1 ? fork() : -1;
        for (uint64_t i = child == 0 ? 1 : 0; i<n; i += n> 1 ? 2 : 1)
                sequence(base + i);
        if (n >= SEQUENCES && child != 0)
                for (int i = 0; i < _SEEN_MAX; i++) {
                        printf("# %" PRIu64 " %s\n", seen[i], seen_names[i]);
                        MUST(seen[i] > n / 200);
                }
        config_free(config);
        pool_set_free(pools);
        topology_free(topology);
        if (child == 0)
                _exit(0);
        if (child > 0 && (waitpid(child, &status, 0) < 0 || status != 0)) {
                printf("not ok - the other half, of the odd sequences, ended with status %#x\n", status);
                return 1;
        }
        printf("ok - every invariant held after each step\n");
        return 0;
}
