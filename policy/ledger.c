/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* All sums that a request needs are kept up to date: per node, per tenant and node, per user, per rule,
 * per rule and user.
 *
 *      LedgerEntry --- LedgerTenant --- LedgerHolding --- NodeSum
 *      reservation     unit or cgroup   tenant x node     node
 *
 * A node also keeps its active reservations in order of priority, to find candidates for preemption without
 * walking all reservations.
 *
 * An entry is in the list of its tenant and in the list of its cgroup's path. A holding is in the list of
 * its tenant and in the list of its node. A reservation is booked with the weight of its state. Every change
 * of a state or of shares unbooks the reservation, changes it, and books it again.
 *
 * Sums are 128 bits wide: 2^32 reservations of less than 2^64 bytes cannot overflow them, so that unbooking
 * is always the exact inverse of booking, whatever a state file said. Queries return saturated values. */

#include "policy/ledger.h"

#include <errno.h>
#include <string.h>

#include "policy/ledger-data.h"

const char *ledger_tenant_key(const Subject *target)
{
        if (target->unit)
                return target->unit;
        return target->cgroup ? target->cgroup : "";
}

static LedgerTenant *ledger_tenant_get(Ledger *l, const char *key)
{
        LedgerTenant *t = ledger_tenant_find(l, key);

        if (t)
                return t;
        t = calloc(1, sizeof(LedgerTenant));
        if (!t)
                return NULL;
        t->key = strdup(key);
        if (t->key)
                HASH_ADD_KEYPTR(hh, l->tenants, t->key, strlen(t->key), t);
        if (!t->key || !t->hh.tbl) {
                free(t->key);
                free(t);
                return NULL;
        }
        return t;
}

static void ledger_tenant_prune(Ledger *l, LedgerTenant *t)
{
        if (t->entries)
                return;
        HASH_DEL(l->tenants, t);
        free(t->key);
        free(t);
}

/* Allocates the missing holdings of all shares, so that booking cannot fail. */
static int ledger_holdings_prepare(Ledger *l, LedgerTenant *t, const Share *shares, size_t n_shares)
{
        for (size_t i = 0; i < n_shares; i++) {
                int node = shares[i].node;
                LedgerHolding *h;

                if (holding_find(t, node))
                        continue;
                h = calloc(1, sizeof(LedgerHolding));
                if (!h)
                        return -ENOMEM;
                h->tenant = t;
                h->node = node;
                DL_APPEND(t->holdings, h);
                DL_PREPEND2(l->nodes[node].holdings, h, node_prev, node_next);
        }
        return 0;
}

static void ledger_holdings_prune(Ledger *l, LedgerTenant *t)
{
        LedgerHolding *h, *tmp;

        DL_FOREACH_SAFE (t->holdings, h, tmp) {
                if (h->n_booked > 0)
                        continue;
                ledger_walk_leaves(&l->nodes[h->node], h);
                DL_DELETE2(l->nodes[h->node].holdings, h, node_prev, node_next);
                DL_DELETE(t->holdings, h);
                free(h);
        }
}

/* How a reservation counts. The branches are the states:
 *   queued: holds nothing yet;
 *   active, degraded, revoking: its bytes are promised and its nodes are open;
 *   draining: its bytes are still there, its nodes are closed or being closed. */
typedef struct Weight {
        bool booked;
        bool open;
} Weight;

static Weight ledger_weight(ReservationState state)
{
        switch (state) {
        case RESERVATION_ACTIVE:
        case RESERVATION_DEGRADED:
        case RESERVATION_REVOKING:
                return (Weight){ .booked = true, .open = true };
        case RESERVATION_DRAINING:
                return (Weight){ .booked = true };
        default:
                return (Weight){ 0 };
        }
}

static bool ledger_is_displaceable(const Reservation *r)
{
        return r->state == RESERVATION_ACTIVE || r->state == RESERVATION_DEGRADED;
}

/* by: 1 or -1 */
static void ledger_count_stay(NodeSum *n, LedgerHolding *h, const LedgerEntry *e, size_t by)
{
        n->n_stay += by;
        h->n_stay += by;
        if (e->alone) {
                n->n_stay_exclusive += by;
                h->n_stay_exclusive += by;
        }
}

static void ledger_book_share(Ledger *l, const LedgerEntry *e, const Share *share, bool open)
{
        LedgerHolding *h = holding_find(e->tenant, share->node);
        NodeSum *n = &l->nodes[share->node];

        n->explained -= holding_explained(h);
        h->bytes += share->bytes;
        n->explained += holding_explained(h);
        n->bytes += share->bytes;
        n->n_exclusive += e->alone;
        if (h->n_booked++ == 0)
                n->n_tenants++;
        if (open && h->n_open++ == 0)
                nodeset_add(&e->tenant->open, share->node);
        if (e->stays) {
                n->stay_bytes += share->bytes;
                ledger_count_stay(n, h, e, 1);
        }
        if (ledger_is_displaceable(e->r)) {
                OrderNode *slot = &e->ranks[share - e->r->shares];

                *slot = (OrderNode){ .priority = e->r->priority, .id = e->r->id, .data = e->r };
                order_add(&n->displaceable, slot);
        }
}

static void ledger_unbook_share(Ledger *l, const LedgerEntry *e, const Share *share, bool open)
{
        LedgerHolding *h = holding_find(e->tenant, share->node);
        NodeSum *n = &l->nodes[share->node];

        n->explained -= holding_explained(h);
        h->bytes -= share->bytes;
        n->explained += holding_explained(h);
        n->bytes -= share->bytes;
        n->n_exclusive -= e->alone;
        if (--h->n_booked == 0)
                n->n_tenants--;
        if (open && --h->n_open == 0)
                nodeset_remove(&e->tenant->open, share->node);
        if (e->stays) {
                n->stay_bytes -= share->bytes;
                ledger_count_stay(n, h, e, (size_t)-1);
        }
        if (ledger_is_displaceable(e->r))
                order_remove(&n->displaceable, &e->ranks[share - e->r->shares]);
}

/* Adds to the sums of the reservation's rule, and of its owner under that rule. */
static void ledger_add_to_rule(Ledger *l, const Reservation *r, Sum bytes, size_t n)
{
        Tally *rule = rule_tally_find(l, r->rule_file), *user = rule_user_find(rule, r->target->uid);

        if (!rule)
                return;
        rule->bytes += bytes;
        rule->n += n;
        user->bytes += bytes;
        user->n += n;
}

/* Adds a reservation to the sums of nodes and rules. Shares of 0 bytes do not count. */
static void ledger_book(Ledger *l, LedgerEntry *e)
{
        Weight w = ledger_weight(e->r->state);

        if (!w.booked)
                return;
        bool draining = e->r->state == RESERVATION_DRAINING;
        e->stays = e->r->state != RESERVATION_REVOKING && (!draining || e->r->stuck);
        /* A residue that is stuck holds its own bytes only, not whole nodes. */
        e->alone = e->r->exclusive && !(draining && e->r->stuck);
        ledger_add_to_rule(l, e->r, e->r->size_bytes, 0);
        for (size_t i = 0; i < e->r->n_shares; i++)
                if (e->r->shares[i].bytes > 0)
                        ledger_book_share(l, e, &e->r->shares[i], w.open);
}

/* The exact inverse of booking. Holdings that became empty stay until they are pruned. */
static void ledger_unbook(Ledger *l, LedgerEntry *e)
{
        Weight w = ledger_weight(e->r->state);

        if (!w.booked)
                return;
        ledger_add_to_rule(l, e->r, -(Sum)e->r->size_bytes, 0);
        for (size_t i = 0; i < e->r->n_shares; i++)
                if (e->r->shares[i].bytes > 0)
                        ledger_unbook_share(l, e, &e->r->shares[i], w.open);
}

int ledger_new(Ledger **ret)
{
        Ledger *l = calloc(1, sizeof(Ledger));

        if (!l)
                return -ENOMEM;
        *ret = l;
        return 0;
}

Ledger *ledger_free(Ledger *l)
{
        LedgerEntry *e, *tmp;

        if (!l)
                return NULL;
        HASH_ITER (hh, l->entries, e, tmp)
                reservation_free(ledger_take(l, e->r->id));
        free(l->slots);
        free(l);
        return NULL;
}

static bool ledger_shares_are_sane(const Share *shares, size_t n_shares)
{
        if (n_shares > SHARES_MAX)
                return false;
        for (size_t i = 0; i < n_shares; i++)
                if (shares[i].node < 0 || shares[i].node >= NODE_MAX)
                        return false;
        return true;
}

static int ledger_rule_prepare(Ledger *l, const Reservation *r)
{
        Tally *rule;

        if (!r->rule_file)
                return 0;
        rule = tally_get(&l->rules, r->rule_file, strlen(r->rule_file) + 1);
        return rule && tally_get(&rule->below, &r->target->uid, sizeof(uid_t)) ? 0 : -ENOMEM;
}

/* Allocates everything that an entry needs, before any sum changes. */
static int ledger_add_prepare(Ledger *l, LedgerEntry *e, LedgerPath **ret_path)
{
        Reservation *r = e->r;

        if (ledger_slots_reserve(l) < 0)
                return -ENOMEM;
        if (r->target->cgroup && !(*ret_path = ledger_path_get(l, r->target->cgroup)))
                return -ENOMEM;
        e->tenant = ledger_tenant_get(l, ledger_tenant_key(r->target));
        e->n_ranks = r->n_shares;
        e->ranks = calloc(e->n_ranks + 1, sizeof(*e->ranks));
        if (!e->tenant || !e->ranks || ledger_holdings_prepare(l, e->tenant, r->shares, r->n_shares) < 0 ||
            !tally_get(&l->users, &r->target->uid, sizeof(uid_t)) || ledger_rule_prepare(l, r) < 0)
                return -ENOMEM;
        HASH_ADD(hh, l->entries, r->id, sizeof(r->id), e);
        return e->hh.tbl ? 0 : -ENOMEM;
}

static void ledger_rule_prune(Ledger *l, const Reservation *r)
{
        Tally *rule = rule_tally_find(l, r->rule_file);

        if (rule)
                tally_prune(&rule->below, rule_user_find(rule, r->target->uid));
        tally_prune(&l->rules, rule);
}

static void ledger_prune(Ledger *l, LedgerTenant *t, const Reservation *r)
{
        if (t) {
                ledger_holdings_prune(l, t);
                ledger_tenant_prune(l, t);
        }
        tally_prune(&l->users, user_find(l, r->target->uid));
        ledger_rule_prune(l, r);
}

int ledger_add(Ledger *l, Reservation *r)
{
        LedgerPath *path = NULL;
        LedgerEntry *e;

        if (r->id == 0 || !r->target || !ledger_shares_are_sane(r->shares, r->n_shares))
                return -EINVAL;
        if (entry_find(l, r->id))
                return -EEXIST;
        e = calloc(1, sizeof(LedgerEntry));
        if (!e)
                return -ENOMEM;
        e->r = r;
        if (ledger_add_prepare(l, e, &path) < 0) {
                ledger_prune(l, e->tenant, r);
                ledger_path_prune(l, path);
                free(e->ranks);
                free(e);
                return -ENOMEM;
        }
        ledger_slots_add(l, e);
        if (path)
                ledger_path_enter(e, path);
        DL_APPEND(e->tenant->entries, e);
        e->tenant->n_entries++;
        user_find(l, r->target->uid)->n++;
        ledger_add_to_rule(l, r, 0, 1);
        ledger_book(l, e);
        ledger_holdings_prune(l, e->tenant);
        return 0;
}

Reservation *ledger_take(Ledger *l, uint32_t id)
{
        LedgerEntry *e = entry_find(l, id);
        Reservation *r;

        if (!e)
                return NULL;
        r = e->r;
        ledger_unbook(l, e);
        ledger_add_to_rule(l, r, 0, (size_t)-1);
        user_find(l, r->target->uid)->n--;
        e->tenant->n_entries--;
        DL_DELETE(e->tenant->entries, e);
        ledger_path_leave(l, e);
        ledger_slots_remove(l, e);
        HASH_DEL(l->entries, e);
        ledger_prune(l, e->tenant, r);
        free(e->ranks);
        free(e);
        return r;
}

int ledger_set_shares(Ledger *l, Reservation *r, const Share *shares, size_t n_shares)
{
        LedgerEntry *e = entry_find(l, r->id);

        OrderNode *slots = NULL;

        if (!e || e->r != r || !ledger_shares_are_sane(shares, n_shares))
                return -EINVAL;
        if (n_shares > e->n_ranks)
                slots = calloc(n_shares, sizeof(*slots));
        if ((n_shares > e->n_ranks && !slots) ||
            ledger_holdings_prepare(l, e->tenant, shares, n_shares) < 0) {
                ledger_holdings_prune(l, e->tenant);
                free(slots);
                return -ENOMEM;
        }
        ledger_unbook(l, e);
        int k = reservation_set_shares(r, shares, n_shares);
        if (k >= 0) {
                if (slots) {
                        free(e->ranks);
                        e->ranks = TAKE_PTR(slots);
                        e->n_ranks = n_shares;
                }
                r->size_bytes = 0;
                for (size_t i = 0; i < n_shares; i++)
                        r->size_bytes = sum_saturate((Sum)r->size_bytes + r->shares[i].bytes);
        }
        ledger_book(l, e);
        ledger_holdings_prune(l, e->tenant);
        free(slots);
        return k;
}

int ledger_set_rule(Ledger *l, Reservation *r, const char *file, unsigned line)
{
        LedgerEntry *e = entry_find(l, r->id);
        Reservation other = { .target = r->target };

        if (!e || e->r != r)
                return -EINVAL;
        if (string_copy(file, &other.rule_file) < 0)
                return -ENOMEM;
        if (ledger_rule_prepare(l, &other) < 0) {
                ledger_rule_prune(l, &other);
                free(other.rule_file);
                return -ENOMEM;
        }
        ledger_unbook(l, e);
        ledger_add_to_rule(l, r, 0, (size_t)-1);
        char *before = r->rule_file;
        r->rule_file = other.rule_file;
        r->rule_line = line;
        ledger_add_to_rule(l, r, 0, 1);
        ledger_book(l, e);
        other.rule_file = before;
        ledger_rule_prune(l, &other);
        free(before);
        return 0;
}

int ledger_set_cgroup(Ledger *l, Reservation *r, const char *cgroup, uint64_t cgroup_id)
{
        LedgerEntry *e = entry_find(l, r->id);
        LedgerPath *path;

        if (!e || e->r != r || !r->target->unit)
                return -EINVAL;
        char *copy = strdup(cgroup);
        if (!copy || !(path = ledger_path_get(l, cgroup))) {
                free(copy);
                return -ENOMEM;
        }
        if (path != e->path) {
                ledger_path_leave(l, e);
                ledger_path_enter(e, path);
        }
        free(r->target->cgroup);
        r->target->cgroup = copy;
        r->target->cgroup_id = cgroup_id;
        return 0;
}

/* A reservation that leaves the queue got its shares after ledger_add(). It was not booked, so its ranks are
 * unused. */
static int ledger_ranks_prepare(LedgerEntry *e, size_t n)
{
        OrderNode *ranks;

        if (n <= e->n_ranks)
                return 0;
        ranks = calloc(n, sizeof(*ranks));
        if (!ranks)
                return -ENOMEM;
        free(e->ranks);
        e->ranks = ranks;
        e->n_ranks = n;
        return 0;
}

int ledger_set_state(Ledger *l, Reservation *r, ReservationState state)
{
        LedgerEntry *e = entry_find(l, r->id);

        if (!e || e->r != r || state >= _RESERVATION_STATE_MAX)
                return -EINVAL;
        /* Needed for reservations that leave the queue. */
        if (ledger_ranks_prepare(e, r->n_shares) < 0 ||
            ledger_holdings_prepare(l, e->tenant, r->shares, r->n_shares) < 0) {
                ledger_holdings_prune(l, e->tenant);
                return -ENOMEM;
        }
        ledger_unbook(l, e);
        r->state = state;
        ledger_book(l, e);
        ledger_holdings_prune(l, e->tenant);
        return 0;
}
