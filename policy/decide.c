/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A request passes a list of checks. The first check with an answer writes it into the record and ends the
 * list.
 *
 * Quota=, QuotaPerUser=, Limit= and the room are all checked against what will be charged. That is the size
 * in whole pages, and with --exclusive the whole of the nodes, which is known only once they are chosen: so
 * Limit= and the quotas are checked twice. What is charged is what ledger_rule_bytes() and
 * ledger_rule_user_bytes() add up, hence
 *
 *      sum of live reservations of a rule <= Quota=
 *
 * holds after each grant: it held before, and charged <= quota - sum was checked (written so that nothing
 * can overflow). */

#include "policy/decide.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/cdm-names.h"
#include "policy/decide-internal.h"
#include "policy/facts.h"
#include "policy/timespan.h"

static const char *const verdict_table[_VERDICT_MAX] = {
        [VERDICT_GRANTED] = "granted", [VERDICT_QUEUED] = "queued",        [VERDICT_DENIED] = "denied",
        [VERDICT_FULL] = "full",       [VERDICT_NO_POOL] = "no-such-pool", [VERDICT_INVALID] = "invalid",
        [VERDICT_STALE] = "stale",
};

const char *verdict_to_string(Verdict v)
{
        return v < _VERDICT_MAX ? verdict_table[v] : NULL;
}

Decision *decision_free(Decision *d)
{
        if (!d)
                return NULL;
        free(d->reason);
        free(d->victims);
        free(d);
        return NULL;
}

#define USER_NUMBER_MAX 12

/* "Limit=8G", "Quota=50% (8G)": as the admin wrote it. */
static int decide_format_setting(const char *key, const Size *size, uint64_t bytes, char **ret)
{
        char buf[SIZE_EXACT_MAX];

        decide_format_exact(bytes, buf);
        if (size->percent)
                return asprintf(ret, "%s=%llu%% (%s)", key, (unsigned long long)size->value, buf);
        return asprintf(ret, "%s=%s", key, buf);
}

/* --- does it make sense? --------------------------------------------------------------------------------
 */

int decide_check_size(Case *c)
{
        if (c->q->size_bytes == 0)
                return decide_answer(c, VERDICT_INVALID,
                                     "a reservation of 0 bytes holds nothing; ask for more");
        c->size_bytes = size_round_up(c->q->size_bytes, c->s->page_bytes);
        if (c->size_bytes > INT64_MAX)
                return decide_answer(c, VERDICT_INVALID,
                                     "%llu bytes is more than any size can be; ask for less",
                                     (unsigned long long)c->q->size_bytes);
        c->charged_bytes = c->size_bytes;
        return 0;
}

int decide_check_pool(Case *c)
{
        const PoolSet *pools = c->s->pools;
        _cleanup_free_ char *names = NULL;

        c->pool = pool_set_find(pools, c->q->pool);
        if (c->pool)
                return 0;
        if (pools->n_pools == 0)
                return decide_answer(
                        c, VERDICT_NO_POOL,
                        "this machine has no pools: no node of it looks like device memory, and no file "
                        "in /etc/" CDM_CONFIG_DIR "/pools.d names one");
        for (size_t i = 0; i < pools->n_pools; i++) {
                char *longer;

                if (asprintf(&longer, "%s%s%s", names ? names : "", names ? ", " : "",
                             pools->pools[i].name) < 0)
                        return -ENOMEM;
                free(names);
                names = longer;
        }
        return decide_answer(c, VERDICT_NO_POOL, "there is no pool \"%s\"; this machine has: %s", c->q->pool,
                             names);
}

int decide_check_nodes(Case *c)
{
        char asked[NODESET_STR_MAX], has[NODESET_STR_MAX];

        if (nodeset_is_subset(&c->q->nodes, &c->pool->nodes))
                return 0;
        return decide_answer(
                c, VERDICT_INVALID, "nodes %s are not all in pool %s, which has %s; ask for some of those",
                nodeset_format(&c->q->nodes, asked), c->pool->name, nodeset_format(&c->pool->nodes, has));
}

/* --- does policy allow it? ------------------------------------------------------------------------------
 */

/* "alice", or "1003" when the name is not known. */
static const char *decide_format_user(const Subject *s, char number[static USER_NUMBER_MAX])
{
        if (s->user)
                return s->user;
        snprintf(number, USER_NUMBER_MAX, "%u", (unsigned)s->uid);
        return number;
}

/* It is unknown whether the rule applies to this user. A request that already waits keeps waiting. */
static int decide_answer_unknown_name(Case *c)
{
        const Rule *rule = c->d->rule;
        bool user = rule->unknown_user;

        c->d->line = rule_line(rule, user ? RULE_KEY_USER : RULE_KEY_GROUP);
        return decide_answer(c, c->q->id ? VERDICT_QUEUED : VERDICT_DENIED,
                             "the %s \"%s\" of %s:%u could not be looked up yet, so it is not known whether "
                             "that rule counts here; try again later",
                             user ? "user" : "group", user ? rule->unknown_user : rule->unknown_group,
                             rule->file, c->d->line);
}

static int decide_check_rule(Case *c)
{
        const Config *config = c->s->config;
        const Subject *subject = c->q->subject;
        char number[USER_NUMBER_MAX];
        bool target = *c->tenant;

        c->d->rule = rule_find(config->rules, config->n_rules, c->pool->name, subject);
        if (c->d->rule) {
                c->d->line = c->d->rule->line;
                return rule_matches(c->d->rule, c->pool->name, subject) ? 0 : decide_answer_unknown_name(c);
        }
        return decide_answer(
                c, VERDICT_DENIED,
                "no file in policy.d matches pool %s%s%s and %s%s%s; the administrator can allow it with a rule "
                "in a file such as /etc/" CDM_CONFIG_DIR "/policy.d/50-NAME.conf%s",
                c->pool->name, target ? ", " : "", c->tenant, subject->nobody ? "no user" : "user ",
                subject->nobody ? "" : decide_format_user(subject, number),
                target ? "" : " (no target unit given)",
                subject->nobody
                        ? " that has Container=, Label=, Slice= or CGroup=, and neither User=, Group= nor "
                          "QuotaPerUser="
                        : "");
}

/* Makes the record point to the line of this key. */
static void decide_blame(Case *c, RuleKey key)
{
        c->d->line = rule_line(c->d->rule, key);
}

static int decide_check_deny(Case *c)
{
        const Rule *rule = c->d->rule;
        char at[sizeof(":4294967295")] = "";

        if (!rule->deny)
                return 0;
        decide_blame(c, RULE_KEY_DENY);
        if (rule->refused_line > 0)
                snprintf(at, sizeof(at), ":%u", rule->refused_line);
        if (rule->refused)
                return decide_answer(
                        c, VERDICT_DENIED,
                        "%s%s was refused when cdmd started, and denies this until the administrator corrects it "
                        "and runs \"cdmctl reload\": %s",
                        rule->file, at, rule->refused);
        return decide_answer(c, VERDICT_DENIED,
                             "Deny=yes of %s:%u refuses this; only the administrator can change that",
                             c->d->rule->file, c->d->line);
}

/* A rule's size in whole pages, as all sizes are. */
static uint64_t decide_rule_bytes(const Case *c, const Size *size)
{
        return size_round_up(size_resolve(size, c->pool->size_bytes), c->s->page_bytes);
}

/* Explains why more is charged than was requested, if that is the case. */
static const char *decide_charged_why(const Case *c)
{
        return c->charged_bytes > c->size_bytes ? " (exclusive reservations are charged with whole nodes)"
                                                : "";
}

static int decide_check_limit(Case *c)
{
        const Rule *rule = c->d->rule;
        _cleanup_free_ char *setting = NULL;
        char asked[SIZE_EXACT_MAX], most[SIZE_EXACT_MAX];
        uint64_t limit;

        if (!rule->has_limit)
                return 0;
        limit = decide_rule_bytes(c, &rule->limit);
        if (c->charged_bytes <= limit)
                return 0;
        if (decide_format_setting(rule->limit_is_static ? "Static" : "Limit", &rule->limit, limit,
                                  &setting) < 0)
                return -ENOMEM;
        decide_blame(c, RULE_KEY_LIMIT);
        return decide_answer(c, VERDICT_DENIED, "%s%s is over %s of %s:%u; ask for %s or less",
                             decide_format_exact(c->charged_bytes, asked), decide_charged_why(c), setting,
                             rule->file, c->d->line, decide_format_exact(limit, most));
}

/* The maximum lease is that of the rule, else the default of cdmd.conf. A request without a lease gets the
 * maximum. */
static int decide_check_lease(Case *c)
{
        const Rule *rule = c->d->rule;
        uint64_t most = rule->lease_usec > 0 ? rule->lease_usec : c->s->config->default_lease_usec;
        char asked[TIMESPAN_STR_MAX], longest[TIMESPAN_STR_MAX];

        c->d->lease_usec = c->q->lease_usec > 0 ? c->q->lease_usec : most;
        if (c->d->lease_usec <= most)
                return 0;
        timespan_format(c->q->lease_usec, asked);
        timespan_format(most, longest);
        decide_blame(c, RULE_KEY_LEASE);
        if (rule->lease_usec > 0)
                return decide_answer(
                        c, VERDICT_DENIED,
                        "a lease of %s is over Lease=%s of %s:%u; ask for %s or less, and renew it", asked,
                        longest, rule->file, c->d->line, longest);
        return decide_answer(
                c, VERDICT_DENIED,
                "a lease of %s is over DefaultLease=%s of cdmd.conf, which holds because %s:%u has no "
                "Lease=; ask for %s or less, and renew it",
                asked, longest, rule->file, c->d->line, longest);
}

/* Nodes= of a rule restricts a request like --nodes. */
static int decide_check_rule_nodes(Case *c)
{
        const Rule *rule = c->d->rule;
        char asked[NODESET_STR_MAX], has[NODESET_STR_MAX];
        NodeSet allowed = decide_allowed_nodes(c->q, c->pool, rule);
        bool within = nodeset_is_subset(&c->q->nodes, &rule->nodes);

        if (nodeset_is_empty(&rule->nodes) || (within && !nodeset_is_empty(&allowed)))
                return 0;
        nodeset_format(&rule->nodes, has);
        decide_blame(c, RULE_KEY_NODES);
        if (!within)
                return decide_answer(c, VERDICT_DENIED,
                                     "nodes %s are not all in Nodes=%s of %s:%u; ask for some of those",
                                     nodeset_format(&c->q->nodes, asked), has, rule->file, c->d->line);
        return decide_answer(c, VERDICT_DENIED,
                             "Nodes=%s of %s:%u names no node of pool %s, which has %s; only the "
                             "administrator can change that",
                             has, rule->file, c->d->line, c->pool->name,
                             nodeset_format(&c->pool->nodes, asked));
}

static int decide_check_priority(Case *c)
{
        const Rule *rule = c->d->rule;

        c->d->priority = c->q->has_priority ? c->q->priority : rule->default_priority;
        if (c->d->priority <= rule->priority)
                return 0;
        decide_blame(c, RULE_KEY_PRIORITY);
        return decide_answer(
                c, VERDICT_DENIED, "priority %d is over Priority=%d of %s:%u; ask for %d or less",
                (int)c->d->priority, (int)rule->priority, rule->file, c->d->line, (int)rule->priority);
}

static int decide_check_exclusive(Case *c)
{
        const Rule *rule = c->d->rule;

        if (!c->q->exclusive)
                return 0;
        if (!rule->exclusive) {
                decide_blame(c, RULE_KEY_EXCLUSIVE);
                return decide_answer(
                        c, VERDICT_DENIED,
                        "%s:%u does not allow exclusive reservations (Exclusive=yes); ask without",
                        rule->file, c->d->line);
        }
        if (facts_pool_takes_demotions(c->s->topology, &c->s->pools->ordinary, &c->pool->nodes))
                return decide_answer(
                        c, VERDICT_DENIED,
                        "the kernel (before Linux 6.16) may demote pages of any process to pool %s, so "
                        "no reservation can be exclusive there; ask without exclusive, or write 0 to "
                        "/sys/kernel/mm/numa/demotion_enabled",
                        c->pool->name);
        return 0;
}

/* root is not limited: root must be able to reserve after users have reached their limits. */
static int decide_check_user(Case *c)
{
        uid_t uid = c->q->subject->uid;
        size_t n = ledger_count_user(c->s->ledger, uid);
        char number[USER_NUMBER_MAX];

        /* A waiting request was counted when it was queued. */
        if (uid == 0 || c->q->id != 0 || n < c->s->config->max_per_user)
                return 0;
        return decide_answer(
                c, VERDICT_DENIED,
                "user %s has %zu reservations already, and MaxPerUser=%u of cdmd.conf allows no more; "
                "release one first",
                decide_format_user(c->q->subject, number), n, c->s->config->max_per_user);
}

/* The part of the rule's live bytes that belongs to the reservation that grows. */
static uint64_t decide_own_bytes(const Case *c, uint64_t live_bytes)
{
        const Reservation *r = c->grows;
        bool same = r && r->rule_file && strcmp(r->rule_file, c->d->rule->file) == 0;

        return !same || live_bytes < r->size_bytes ? 0 : r->size_bytes;
}

/* An upper bound of the rule on a sum of live bytes. */
typedef struct Quota {
        const char *name;
        RuleKey key;
        const Size *size;
        uint64_t live_bytes;
        const char *of; /* " by user alice", or "" */
} Quota;

/* A request that waits in the queue keeps waiting, and blocks no other request. One that waits only for the
 * reservations that it displaced has no deadline, and is refused. */
static int decide_check_sum(Case *c, const Quota *q)
{
        uint64_t most = decide_rule_bytes(c, q->size), own = decide_own_bytes(c, q->live_bytes);
        uint64_t others = q->live_bytes - own, more = c->charged_bytes - own;
        _cleanup_free_ char *setting = NULL;
        char asked[SIZE_EXACT_MAX], used[SIZE_EXACT_MAX];

        if (others <= most && c->charged_bytes <= most - others)
                return 0;
        if (decide_format_setting(q->name, q->size, most, &setting) < 0)
                return -ENOMEM;
        decide_blame(c, q->key);
        return decide_answer(
                c, c->q->id && c->q->queue ? VERDICT_QUEUED : VERDICT_DENIED,
                "%s%s more would be over %s of %s:%u, of which %s is in use%s; release some first, or ask "
                "for less",
                decide_format_exact(more, asked), decide_charged_why(c), setting, c->d->rule->file,
                c->d->line, decide_format_exact(q->live_bytes, used), q->of);
}

static int decide_check_quota(Case *c)
{
        const Rule *rule = c->d->rule;

        return rule->has_quota
                       ? decide_check_sum(c, &(Quota){ "Quota", RULE_KEY_QUOTA, &rule->quota,
                                                       ledger_rule_bytes(c->s->ledger, rule->file), "" })
                       : 0;
}

static int decide_check_user_quota(Case *c)
{
        const Rule *rule = c->d->rule;
        const Subject *subject = c->q->subject;
        _cleanup_free_ char *of = NULL;
        char number[USER_NUMBER_MAX];

        if (!rule->has_user_quota)
                return 0;
        if (asprintf(&of, " by user %s", decide_format_user(subject, number)) < 0)
                return -ENOMEM;
        return decide_check_sum(c, &(Quota){ "QuotaPerUser", RULE_KEY_USER_QUOTA, &rule->user_quota,
                                             ledger_rule_user_bytes(c->s->ledger, rule->file, subject->uid),
                                             of });
}

int decide_run(Case *c, const check_t *checks, size_t n)
{
        for (size_t i = 0; i < n && !c->d->reason; i++) {
                int r = checks[i](c);

                if (r < 0)
                        return r;
        }
        return 0;
}

int decide_check_policy(Case *c)
{
        static const check_t checks[] = {
                decide_check_rule,  decide_check_deny,     decide_check_rule_nodes, decide_check_limit,
                decide_check_lease, decide_check_priority, decide_check_quota,      decide_check_user_quota,
        };

        return decide_run(c, checks, ARRAY_SIZE(checks));
}

/* The checks that do not depend on what is used of the nodes. */
static int decide_check_early(Case *c)
{
        static const check_t checks[] = {
                /* Does it make sense? */
                decide_check_size,
                decide_check_pool,
                decide_check_nodes,
                /* Does policy allow it? */
                decide_check_rule,
                decide_check_deny,
                decide_check_rule_nodes,
                decide_check_limit,
                decide_check_lease,
                decide_check_priority,
                decide_check_exclusive,
                decide_check_user,
                decide_check_quota,
                decide_check_user_quota,
        };

        return decide_run(c, checks, ARRAY_SIZE(checks));
}

/* Is there room? Then check again: an exclusive request is charged with whole nodes. */
static int decide_check_room(Case *c)
{
        static const check_t checks[] = {
                decide_room, decide_check_limit, decide_check_quota, decide_check_user_quota, decide_grant,
        };

        return decide_run(c, checks, ARRAY_SIZE(checks));
}

static int decide_with(const Snapshot *s, const Request *request, const check_t *checks, size_t n,
                       Decision **ret)
{
        _cleanup_(decision_free_p) Decision *d = calloc(1, sizeof(Decision));
        const char *tenant = ledger_tenant_key(request->subject);
        Case c = { .s = s, .q = request, .tenant = tenant, .booked = request->moves ? "" : tenant, .d = d };

        if (!d)
                return -ENOMEM;
        int r = decide_run(&c, checks, n);
        if (r < 0)
                return r;
        *ret = d->reason ? TAKE_PTR(d) : NULL;
        return 0;
}

int decide(const Snapshot *s, const Request *request, Decision **ret)
{
        static const check_t checks[] = { decide_check_early, decide_check_room };

        return decide_with(s, request, checks, ARRAY_SIZE(checks), ret);
}

int decide_early(const Snapshot *s, const Request *request, Decision **ret)
{
        static const check_t checks[] = { decide_check_early };

        return decide_with(s, request, checks, ARRAY_SIZE(checks), ret);
}

bool decide_is_over_quota(const Snapshot *s, const Request *request)
{
        static const check_t checks[] = {
                decide_check_size,  decide_check_pool,       decide_check_rule,
                decide_check_quota, decide_check_user_quota,
        };
        _cleanup_(decision_free_p) Decision *d = NULL;

        return decide_with(s, request, checks, ARRAY_SIZE(checks), &d) >= 0 && d;
}

Strength decide_strength(const Snapshot *s, const Reservation *r)
{
        NodeSet nodes = reservation_nodes(r);

        /* The whole size is in exact buffers, whose pages are locked on the nodes, independent of any
         * limit. */
        if (r->size_bytes > 0 && r->exact_bytes >= r->size_bytes)
                return STRENGTH_EXACT;
        /* A node that has left its pool is open to everybody. */
        if (s->config->mode != FENCE_MODE_ENFORCE || nodeset_intersects(&nodes, &s->pools->ordinary))
                return STRENGTH_ADVISORY;
        if (r->capped)
                return STRENGTH_CAPPED;
        return ledger_is_alone(s->ledger, r) ? STRENGTH_EXCLUSIVE : STRENGTH_WATCHED;
}
