/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Chooses the nodes of a request. If there is no room, decides whether the request is queued, displaces
 * others, or is refused. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/decide-internal.h"
#include "policy/lease.h"
#include "policy/place.h"
#include "policy/preempt.h"

NodeSet decide_allowed_nodes(const Request *request, const Pool *pool, const Rule *rule)
{
        NodeSet nodes = nodeset_is_empty(&request->nodes) ? pool->nodes : request->nodes;

        return !rule || nodeset_is_empty(&rule->nodes) ? nodes : nodeset_intersect(&nodes, &rule->nodes);
}

static NodeSet decide_allowed(const Case *c)
{
        return decide_allowed_nodes(c->q, c->pool, c->d->rule);
}

/* Excludes nodes that are claimed by earlier waiters. */
static NodeSet decide_open_nodes(const Case *c)
{
        NodeSet allowed = decide_allowed(c), claimed;

        if (!c->s->queue)
                return allowed;
        claimed = queue_claimed(c->s->queue, c->d->priority, c->q->id);
        return nodeset_subtract(&allowed, &claimed);
}

static size_t decide_count_others(const Case *c, int node)
{
        size_t n = ledger_node_tenants(c->s->ledger, node);

        return n > 0 && ledger_tenant_bytes(c->s->ledger, c->booked, node) > 0 ? n - 1 : n;
}

/* An exclusive node is never given to others, even when room appears there later. An exclusive request never
 * gets a node with other tenants. */
static bool decide_may_use(const Case *c, int node, size_t n_others)
{
        return n_others == 0 || (!c->q->exclusive && !ledger_node_is_exclusive(c->s->ledger, node));
}

/* Only whole pages can be promised. */
static size_t decide_find_candidates(const Case *c, Candidate candidates[static NODE_MAX])
{
        NodeSet open = decide_open_nodes(c);
        size_t n = 0;

        NODESET_FOREACH (node, &open) {
                const Node *info = topology_find(c->s->topology, node);
                uint64_t available = snapshot_node_available(c->s, node) & ~(c->s->page_bytes - 1);
                size_t n_others = decide_count_others(c, node);

                if (!info || available == 0 || !decide_may_use(c, node, n_others))
                        continue;
                candidates[n++] = (Candidate){
                        .node = node,
                        .available_bytes = available,
                        .n_others = n_others,
                        .distance = topology_distance_from_set(c->s->topology, &c->q->near, node),
                        .bandwidth_mbps = info->read_bandwidth_mbps,
                };
        }
        return n;
}

/* The capacity of all allowed nodes, as if they had no reservations. */
static uint64_t decide_allowed_capacity(const Case *c)
{
        NodeSet allowed = decide_allowed(c);
        uint64_t bytes = 0;

        NODESET_FOREACH (node, &allowed) {
                const Node *n = topology_find(c->s->topology, node);

                if (n)
                        bytes += snapshot_node_capacity(c->pool, n) & ~(c->s->page_bytes - 1);
        }
        return bytes;
}

/* "12G of 16G is available on 2 nodes of pool hbm" */
static int decide_format_room(const Case *c, const Candidate *candidates, size_t n, char **ret)
{
        char room[SIZE_STR_MAX], whole[SIZE_STR_MAX];
        const char *alone = c->q->exclusive ? " without other tenants" : "";
        NodeSet open = decide_open_nodes(c);
        uint64_t bytes = 0;

        if (nodeset_is_empty(&open))
                return asprintf(ret, "others wait for pool %s already", c->pool->name);
        if (n == 0)
                return asprintf(ret, "no node%s of pool %s has anything left", alone, c->pool->name);
        for (size_t i = 0; i < n; i++)
                bytes += candidates[i].available_bytes;
        return asprintf(ret, "%s of %s is available on %zu node%s%s of pool %s", size_format(bytes, room),
                        size_format(decide_allowed_capacity(c), whole), n, n > 1 ? "s" : "", alone,
                        c->pool->name);
}

/* Only displace reservations on nodes that no earlier waiter has claimed. */
static int decide_ask_preempt(const Case *c, PreemptVerdict *ret_verdict, Victim **ret, size_t *ret_n)
{
        PreemptNode nodes[NODE_MAX];
        NodeSet open = decide_open_nodes(c);
        PreemptInput in = {
                .ledger = c->s->ledger,
                .nodes = nodes,
                .tenant = c->booked,
                .priority = c->d->priority,
                .size_bytes = c->size_bytes,
                .page_bytes = c->s->page_bytes,
                .whole = c->q->exclusive,
        };

        NODESET_FOREACH (node, &open) {
                uint64_t bytes = snapshot_node_promisable(c->s, node);

                if (bytes > 0)
                        nodes[in.n_nodes++] = (PreemptNode){ node, bytes };
        }
        return preempt(&in, ret_verdict, ret, ret_n);
}

/* "5 (1G), 7 (512M)" */
static int decide_format_victims(const Victim *v, size_t n, char **ret)
{
        char *text = NULL, size[SIZE_STR_MAX];
        size_t n_text;
        FILE *f = open_memstream(&text, &n_text);

        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < n && i < 8; i++)
                fprintf(f, "%s%u (%s)", i > 0 ? ", " : "", v[i].id, size_format(v[i].bytes, size));
        if (n > 8)
                fprintf(f, " and %zu more", n - 8);
        if (fclose(f) != 0) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        return 0;
}

/* The request waits, and claims the nodes that it could use. */
static int decide_queue_answer(Case *c, const char *asked, const char *room, const char *why)
{
        c->d->size_bytes = c->size_bytes;
        c->d->claims = decide_allowed(c);
        return decide_answer(c, VERDICT_QUEUED, "%s does not fit now: %s; %s", asked, room, why);
}

/* OnFull=preempt. Sets no answer if preemption cannot make enough room. */
static int decide_displace(Case *c, const char *asked, const char *room)
{
        _cleanup_free_ char *list = NULL, *why = NULL;
        PreemptVerdict verdict;
        Victim *victims;
        size_t n;
        int r;

        r = decide_ask_preempt(c, &verdict, &victims, &n);
        if (r < 0)
                return r;
        if (verdict == PREEMPT_NO_ROOM)
                return 0;
        if (verdict == PREEMPT_WAIT)
                return decide_queue_answer(c, asked, room, "reservations that are being released make room");
        c->d->victims = victims;
        c->d->n_victims = n;
        if (decide_format_victims(victims, n, &list) < 0 ||
            asprintf(&why, "%s:%u displaces reservation%s %s of lower priority for it", c->d->rule->file,
                     rule_line(c->d->rule, RULE_KEY_ON_FULL), n > 1 ? "s" : "", list) < 0)
                return -ENOMEM;
        return decide_queue_answer(c, asked, room, why);
}

/* A new request cannot wait for more than the nodes can hold. A request that already waits may wait for a
 * node to come back. */
static int decide_hopeless_answer(Case *c, const char *asked)
{
        uint64_t capacity = decide_allowed_capacity(c);
        NodeSet allowed = decide_allowed(c);
        char room[SIZE_STR_MAX], list[NODESET_STR_MAX], whole[SIZE_STR_MAX], headroom[SIZE_STR_MAX];
        char why[2 * SIZE_STR_MAX + 32] = "";
        const Rule *rule = c->d->rule;
        _cleanup_free_ char *only = NULL;
        uint64_t memory = 0;

        if (c->size_bytes <= capacity || (c->q->id != 0 && c->q->queue))
                return 0;
        if (!nodeset_is_empty(&rule->nodes) &&
            asprintf(&only, " (Nodes= of %s:%u)", rule->file, rule_line(rule, RULE_KEY_NODES)) < 0)
                return -ENOMEM;
        NODESET_FOREACH (node, &allowed) {
                const Node *n = topology_find(c->s->topology, node);

                memory += n ? n->size_bytes : 0;
        }
        if (memory == 0)
                return decide_answer(c, VERDICT_FULL, "none of the nodes %s of pool %s%s has memory online",
                                     nodeset_format(&allowed, list), c->pool->name, only ? only : "");
        if (memory > capacity)
                snprintf(why, sizeof(why), " (%s less %s of Headroom=)", size_format(memory, whole),
                         size_format(memory - capacity, headroom));
        return decide_answer(
                c, VERDICT_FULL,
                "%s never fits: nodes %s of pool %s%s can hold %s in all%s; ask for that or less", asked,
                nodeset_format(&allowed, list), c->pool->name, only ? only : "", size_format(capacity, room),
                why);
}

static bool decide_queue_is_full(const Case *c)
{
        return c->q->id == 0 && c->s->queue && queue_count(c->s->queue) >= c->s->config->queue_max;
}

static int decide_full_answer(Case *c, const Candidate *candidates, size_t n)
{
        const Rule *rule = c->d->rule;
        bool preempts = rule->on_full == ON_FULL_PREEMPT && !c->q->at_once;
        char asked[SIZE_EXACT_MAX];
        _cleanup_free_ char *room = NULL;
        int r;

        decide_format_exact(c->size_bytes, asked);
        r = decide_hopeless_answer(c, asked);
        if (r < 0 || c->d->reason)
                return r;
        if (decide_format_room(c, candidates, n, &room) < 0)
                return -ENOMEM;
        if ((c->q->queue || preempts) && decide_queue_is_full(c))
                return decide_answer(c, VERDICT_FULL,
                                     "%s does not fit now: %s; it cannot be queued, because QueueMax=%u of "
                                     "cdmd.conf wait already; ask again later",
                                     asked, room, c->s->config->queue_max);
        if (preempts) {
                r = decide_displace(c, asked, room);
                if (r < 0 || c->d->reason)
                        return r;
        }
        if (!c->q->queue)
                return decide_answer(
                        c, VERDICT_FULL,
                        "%s does not fit now: %s; ask for less, or again when others have released", asked,
                        room);
        if (rule->on_full == ON_FULL_DENY) {
                c->d->line = rule_line(rule, RULE_KEY_ON_FULL);
                return decide_answer(
                        c, VERDICT_FULL,
                        "%s does not fit now: %s; it cannot be queued, because %s:%u does not say "
                        "OnFull=queue; ask again when others have released",
                        asked, room, rule->file, c->d->line);
        }
        return decide_queue_answer(c, asked, room, "it waits until others release");
}

int decide_room(Case *c)
{
        Candidate candidates[NODE_MAX];
        size_t n = decide_find_candidates(c, candidates);

        if (!place(candidates, n, c->size_bytes, c->q->exclusive, &c->placement))
                return decide_full_answer(c, candidates, n);
        c->charged_bytes = c->placement.total_bytes;
        return 0;
}

static size_t decide_keep_held(const Case *c, const Candidate *all, size_t n,
                               Candidate held[static NODE_MAX])
{
        NodeSet nodes = reservation_nodes(c->grows);
        size_t n_held = 0;

        for (size_t i = 0; i < n; i++)
                if (nodeset_contains(&nodes, all[i].node))
                        held[n_held++] = all[i];
        return n_held;
}

/* Adds new shares to those of the reservation. False: more than SHARES_MAX nodes. */
static bool decide_merge(const Reservation *r, const Placement *more, Placement *ret)
{
        *ret = (Placement){ .n_shares = r->n_shares, .total_bytes = r->size_bytes + more->total_bytes };
        memcpy(ret->shares, r->shares, r->n_shares * sizeof(Share));
        for (size_t i = 0; i < more->n_shares; i++) {
                size_t k = 0;

                while (k < ret->n_shares && ret->shares[k].node != more->shares[i].node)
                        k++;
                if (k == SHARES_MAX)
                        return false;
                if (k == ret->n_shares)
                        ret->shares[ret->n_shares++] = (Share){ .node = more->shares[i].node };
                ret->shares[k].bytes += more->shares[i].bytes;
        }
        return true;
}

int decide_room_more(Case *c)
{
        uint64_t bytes = c->size_bytes - c->grows->size_bytes;
        Candidate all[NODE_MAX], held[NODE_MAX];
        size_t n = decide_find_candidates(c, all), n_held = decide_keep_held(c, all, n, held);
        _cleanup_free_ char *room = NULL;
        char asked[SIZE_EXACT_MAX];
        Placement more;

        if (!place(held, n_held, bytes, false, &more) && !place(all, n, bytes, false, &more)) {
                if (decide_format_room(c, all, n, &room) < 0)
                        return -ENOMEM;
                return decide_answer(
                        c, VERDICT_FULL,
                        "%s more does not fit now: %s; ask for less, or again when others have released",
                        decide_format_exact(bytes, asked), room);
        }
        if (!decide_merge(c->grows, &more, &c->placement))
                return decide_answer(c, VERDICT_FULL, "it would be on more than %d nodes; ask for less",
                                     SHARES_MAX);
        return 0;
}

int decide_grant(Case *c)
{
        const Placement *p = &c->placement;
        Decision *d = c->d;
        char size[SIZE_EXACT_MAX];
        NodeSet nodes = NODESET_EMPTY;
        char list[NODESET_STR_MAX];

        d->size_bytes = p->total_bytes;
        d->expires_usec = lease_end(c->s->now_usec, d->lease_usec);
        d->n_shares = p->n_shares;
        memcpy(d->shares, p->shares, p->n_shares * sizeof(Share));
        for (size_t i = 0; i < p->n_shares; i++)
                nodeset_add(&nodes, p->shares[i].node);
        return decide_answer(c, VERDICT_GRANTED, "%s:%u allows %s of pool %s, on node%s %s", d->rule->file,
                             d->line, decide_format_exact(d->size_bytes, size), c->pool->name,
                             d->n_shares > 1 ? "s" : "", nodeset_format(&nodes, list));
}
