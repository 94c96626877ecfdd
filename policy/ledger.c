/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every sum that a request needs is kept, not computed: per node, per tenant and node, per user, per rule.
 *
 *      Entry (a reservation) --- Tenant (a unit or cgroup) --- Holding (tenant x node) --- NodeSum (a node)
 *
 * Entries hang in their tenant's list, holdings in their tenant's and in their node's. A reservation is
 * booked with weight() of its state: what changes a state or the shares takes the old booking out, changes,
 * and books again.
 *
 * Sums are 128 bits wide: 2^32 reservations of less than 2^64 bytes cannot overflow them, so that taking out
 * is always the exact inverse of putting in, whatever a state file said. Readers get them saturated. */

#include "policy/ledger.h"

#include <errno.h>
#include <string.h>

#include <utlist.h>

#include "policy/ledger-internal.h"

const char *ledger_tenant_key(const Subject *target)
{
        if (target->unit)
                return target->unit;
        return target->cgroup ? target->cgroup : "";
}

/* Lists are kept in order of id. Ids grow, so that appending keeps the order; only a ledger that is loaded
 * from a directory gets them shuffled, and is sorted once when somebody walks it. */
static int entry_compare(const Entry *a, const Entry *b)
{
        return (a->r->id > b->r->id) - (a->r->id < b->r->id);
}

static Tenant *tenant_find(const Ledger *l, const char *key)
{
        Tenant *t;

        HASH_FIND_STR(l->tenants, key, t);
        return t;
}

static Tenant *tenant_get(Ledger *l, const char *key)
{
        Tenant *t = tenant_find(l, key);

        if (t)
                return t;
        t = calloc(1, sizeof(Tenant));
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

static void tenant_prune(Ledger *l, Tenant *t)
{
        if (t->entries)
                return;
        HASH_DEL(l->tenants, t);
        free(t->key);
        free(t);
}

static Holding *holding_find(const Tenant *t, int node)
{
        Holding *h;

        DL_FOREACH (t->holdings, h)
                if (h->node == node)
                        return h;
        return NULL;
}

Holding *ledger_holding(const Ledger *l, const char *tenant, int node)
{
        const Tenant *t = tenant_find(l, tenant);

        return t ? holding_find(t, node) : NULL;
}

/* A holding of its own for every share, so that booking cannot fail. */
static int holdings_prepare(Ledger *l, Tenant *t, const Share *shares, size_t n_shares)
{
        for (size_t i = 0; i < n_shares; i++) {
                int node = shares[i].node;
                Holding *h;

                if (holding_find(t, node))
                        continue;
                h = calloc(1, sizeof(Holding));
                if (!h)
                        return -ENOMEM;
                h->tenant = t;
                h->node = node;
                DL_APPEND(t->holdings, h);
                DL_PREPEND2(l->nodes[node].holdings, h, node_prev, node_next);
        }
        return 0;
}

static void holdings_prune(Ledger *l, Tenant *t)
{
        Holding *h, *tmp;

        DL_FOREACH_SAFE (t->holdings, h, tmp) {
                if (h->n_booked > 0)
                        continue;
                DL_DELETE2(l->nodes[h->node].holdings, h, node_prev, node_next);
                DL_DELETE(t->holdings, h);
                free(h);
        }
}

static Tally *user_find(const Ledger *l, uid_t uid)
{
        return tally_find(l->users, &uid, sizeof(uid));
}

/* With its NUL: an empty name is a key like any other. */
static Tally *rule_tally_find(const Ledger *l, const char *file)
{
        return file ? tally_find(l->rules, file, strlen(file) + 1) : NULL;
}

/* How a reservation counts. The branches are the states:
 *   queued: holds nothing yet;
 *   active, degraded, revoking: its bytes are promised and its nodes are open;
 *   draining: its bytes are still there, its nodes are closed or being closed. */
typedef struct Weight {
        bool booked;
        bool open;
} Weight;

static Weight weight(ReservationState state)
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

static void book_share(Ledger *l, const Entry *e, const Share *share, bool open)
{
        Holding *h = holding_find(e->tenant, share->node);
        NodeSum *n = &l->nodes[share->node];

        n->explained -= holding_explained(h);
        h->bytes += share->bytes;
        n->explained += holding_explained(h);
        n->bytes += share->bytes;
        n->n_exclusive += e->r->exclusive;
        if (h->n_booked++ == 0)
                n->n_tenants++;
        if (open && h->n_open++ == 0)
                nodeset_add(&e->tenant->open, share->node);
}

static void unbook_share(Ledger *l, const Entry *e, const Share *share, bool open)
{
        Holding *h = holding_find(e->tenant, share->node);
        NodeSum *n = &l->nodes[share->node];

        n->explained -= holding_explained(h);
        h->bytes -= share->bytes;
        n->explained += holding_explained(h);
        n->bytes -= share->bytes;
        n->n_exclusive -= e->r->exclusive;
        if (--h->n_booked == 0)
                n->n_tenants--;
        if (open && --h->n_open == 0)
                nodeset_remove(&e->tenant->open, share->node);
}

/* Puts a reservation into the sums of nodes and rules. Shares of 0 bytes hold nothing. */
static void book(Ledger *l, Entry *e)
{
        Weight w = weight(e->r->state);
        Tally *rule = rule_tally_find(l, e->r->rule_file);

        if (!w.booked)
                return;
        if (rule)
                rule->bytes += e->r->size_bytes;
        for (size_t i = 0; i < e->r->n_shares; i++)
                if (e->r->shares[i].bytes > 0)
                        book_share(l, e, &e->r->shares[i], w.open);
}

/* The exact inverse; holdings that are empty then stay until holdings_prune(). */
static void unbook(Ledger *l, Entry *e)
{
        Weight w = weight(e->r->state);
        Tally *rule = rule_tally_find(l, e->r->rule_file);

        if (!w.booked)
                return;
        if (rule)
                rule->bytes -= e->r->size_bytes;
        for (size_t i = 0; i < e->r->n_shares; i++)
                if (e->r->shares[i].bytes > 0)
                        unbook_share(l, e, &e->r->shares[i], w.open);
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
        Entry *e, *tmp;

        if (!l)
                return NULL;
        HASH_ITER (hh, l->entries, e, tmp)
                reservation_free(ledger_take(l, e->r->id));
        free(l);
        return NULL;
}

static Entry *entry_find(const Ledger *l, uint32_t id)
{
        Entry *e;

        HASH_FIND(hh, l->entries, &id, sizeof(id), e);
        return e;
}

static bool shares_are_sane(const Share *shares, size_t n_shares)
{
        if (n_shares > SHARES_MAX)
                return false;
        for (size_t i = 0; i < n_shares; i++)
                if (shares[i].node < 0 || shares[i].node >= NODE_MAX)
                        return false;
        return true;
}

/* Everything an entry hangs in, made before anything is counted. */
static int add_prepare(Ledger *l, Entry *e)
{
        Reservation *r = e->r;

        e->tenant = tenant_get(l, ledger_tenant_key(r->target));
        if (!e->tenant || holdings_prepare(l, e->tenant, r->shares, r->n_shares) < 0 ||
            !tally_get(&l->users, &r->target->uid, sizeof(uid_t)) ||
            (r->rule_file && !tally_get(&l->rules, r->rule_file, strlen(r->rule_file) + 1)))
                return -ENOMEM;
        HASH_ADD(hh, l->entries, r->id, sizeof(r->id), e);
        return e->hh.tbl ? 0 : -ENOMEM;
}

static void prune(Ledger *l, Tenant *t, const Reservation *r)
{
        if (t) {
                holdings_prune(l, t);
                tenant_prune(l, t);
        }
        tally_prune(&l->users, user_find(l, r->target->uid));
        tally_prune(&l->rules, rule_tally_find(l, r->rule_file));
}

int ledger_add(Ledger *l, Reservation *r)
{
        Entry *e;
        Tally *rule;

        if (r->id == 0 || !r->target || !shares_are_sane(r->shares, r->n_shares))
                return -EINVAL;
        if (entry_find(l, r->id))
                return -EEXIST;
        e = calloc(1, sizeof(Entry));
        if (!e)
                return -ENOMEM;
        e->r = r;
        if (add_prepare(l, e) < 0) {
                prune(l, e->tenant, r);
                free(e);
                return -ENOMEM;
        }
        if (r->id < l->last_id)
                l->unsorted = e->tenant->unsorted = true;
        else
                l->last_id = r->id;
        DL_APPEND(e->tenant->entries, e);
        e->tenant->n_entries++;
        user_find(l, r->target->uid)->n++;
        rule = rule_tally_find(l, r->rule_file);
        if (rule)
                rule->n++;
        book(l, e);
        holdings_prune(l, e->tenant);
        return 0;
}

Reservation *ledger_take(Ledger *l, uint32_t id)
{
        Entry *e = entry_find(l, id);
        Reservation *r;
        Tally *rule;

        if (!e)
                return NULL;
        r = e->r;
        unbook(l, e);
        rule = rule_tally_find(l, r->rule_file);
        if (rule)
                rule->n--;
        user_find(l, r->target->uid)->n--;
        e->tenant->n_entries--;
        DL_DELETE(e->tenant->entries, e);
        HASH_DEL(l->entries, e);
        prune(l, e->tenant, r);
        free(e);
        return r;
}

int ledger_set_shares(Ledger *l, Reservation *r, const Share *shares, size_t n_shares)
{
        Entry *e = entry_find(l, r->id);

        if (!e || e->r != r || !shares_are_sane(shares, n_shares))
                return -EINVAL;
        if (holdings_prepare(l, e->tenant, shares, n_shares) < 0) {
                holdings_prune(l, e->tenant);
                return -ENOMEM;
        }
        unbook(l, e);
        r->size_bytes = 0;
        for (size_t i = 0; i < n_shares; i++)
                r->size_bytes = saturate((Sum)r->size_bytes + shares[i].bytes);
        memmove(r->shares, shares, n_shares * sizeof(Share)); /* may be its own */
        r->n_shares = n_shares;
        book(l, e);
        holdings_prune(l, e->tenant);
        return 0;
}

int ledger_set_state(Ledger *l, Reservation *r, ReservationState state)
{
        Entry *e = entry_find(l, r->id);

        if (!e || e->r != r || state >= _RESERVATION_STATE_MAX)
                return -EINVAL;
        /* Only what leaves the queue has none yet. */
        if (holdings_prepare(l, e->tenant, r->shares, r->n_shares) < 0) {
                holdings_prune(l, e->tenant);
                return -ENOMEM;
        }
        unbook(l, e);
        r->state = state;
        book(l, e);
        holdings_prune(l, e->tenant);
        return 0;
}

Reservation *ledger_find(const Ledger *l, uint32_t id)
{
        Entry *e = entry_find(l, id);

        return e ? e->r : NULL;
}

size_t ledger_count(const Ledger *l)
{
        return HASH_COUNT(l->entries);
}

size_t ledger_count_user(const Ledger *l, uid_t uid)
{
        const Tally *u = user_find(l, uid);

        return u ? u->n : 0;
}

uint64_t ledger_rule_bytes(const Ledger *l, const char *rule_file)
{
        const Tally *t = rule_tally_find(l, rule_file);

        return t ? saturate(t->bytes) : 0;
}

/* The order in which entries are kept is no part of a ledger's value, hence the cast. */
static Entry *entries_sorted(const Ledger *l)
{
        Ledger *m = (Ledger *)l;

        if (m->unsorted)
                HASH_SORT(m->entries, entry_compare);
        m->unsorted = false;
        return m->entries;
}

int ledger_foreach(const Ledger *l, int (*fn)(Reservation *r, void *userdata), void *userdata)
{
        for (Entry *e = entries_sorted(l); e; e = e->hh.next) {
                int r = fn(e->r, userdata);

                if (r != 0)
                        return r;
        }
        return 0;
}

uint64_t ledger_node_reserved(const Ledger *l, int node)
{
        return node >= 0 && node < NODE_MAX ? saturate(l->nodes[node].bytes) : 0;
}

size_t ledger_node_tenants(const Ledger *l, int node)
{
        return node >= 0 && node < NODE_MAX ? l->nodes[node].n_tenants : 0;
}

bool ledger_node_is_exclusive(const Ledger *l, int node)
{
        return node >= 0 && node < NODE_MAX && l->nodes[node].n_exclusive > 0;
}

uint64_t ledger_tenant_bytes(const Ledger *l, const char *tenant, int node)
{
        const Holding *h = ledger_holding(l, tenant, node);

        return h ? saturate(h->bytes) : 0;
}

NodeSet ledger_tenant_nodes(const Ledger *l, const char *tenant)
{
        const Tenant *t = tenant_find(l, tenant);

        return t ? nodeset_subtract(&t->open, &l->shut) : NODESET_EMPTY;
}

void ledger_shut(Ledger *l, const NodeSet *nodes)
{
        l->shut = *nodes;
}

NodeSet ledger_shut_nodes(const Ledger *l)
{
        return l->shut;
}

size_t ledger_tenant_count(const Ledger *l, const char *tenant)
{
        const Tenant *t = tenant_find(l, tenant);

        return t ? t->n_entries : 0;
}

int ledger_foreach_of_tenant(const Ledger *l, const char *tenant, int (*fn)(Reservation *r, void *userdata),
                             void *userdata)
{
        Tenant *t = tenant_find(l, tenant);
        Entry *e;

        if (!t)
                return 0;
        if (t->unsorted)
                DL_SORT(t->entries, entry_compare);
        t->unsorted = false;
        DL_FOREACH (t->entries, e) {
                int r = fn(e->r, userdata);

                if (r != 0)
                        return r;
        }
        return 0;
}

static int foreach_holding(const Ledger *l, int node, bool all,
                           int (*fn)(const char *tenant, uint64_t bytes, void *userdata), void *userdata)
{
        Holding *h;

        if (node < 0 || node >= NODE_MAX)
                return 0;
        DL_FOREACH2 (l->nodes[node].holdings, h, node_next) {
                if (!all && h->observed)
                        return 0;
                int r = fn(h->tenant->key, saturate(h->bytes), userdata);

                if (r != 0)
                        return r;
        }
        return 0;
}

int ledger_foreach_tenant_of_node(const Ledger *l, int node,
                                  int (*fn)(const char *tenant, uint64_t bytes, void *userdata),
                                  void *userdata)
{
        return foreach_holding(l, node, true, fn, userdata);
}

int ledger_foreach_new_tenant_of_node(const Ledger *l, int node,
                                      int (*fn)(const char *tenant, uint64_t bytes, void *userdata),
                                      void *userdata)
{
        return foreach_holding(l, node, false, fn, userdata);
}

bool ledger_is_alone(const Ledger *l, const Reservation *r)
{
        NodeSet nodes = reservation_nodes(r);

        NODESET_FOREACH (node, &nodes)
                if (ledger_node_tenants(l, node) != 1)
                        return false;
        return !nodeset_is_empty(&nodes);
}
