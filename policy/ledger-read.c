/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The questions that a ledger answers; none of them changes what it says. */

#include "policy/ledger-internal.h"

/* Lists are kept in order of id. Ids grow, so that appending keeps the order; only a ledger that is loaded
 * from a directory gets them shuffled, and is sorted once when somebody walks it. */
static int entry_compare(const Entry *a, const Entry *b)
{
        return (a->r->id > b->r->id) - (a->r->id < b->r->id);
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
        const Tenant *t = tenant_find(l, tenant);
        const Holding *h = t ? holding_find(t, node) : NULL;

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

int ledger_foreach_tenant_of_node(const Ledger *l, int node,
                                  int (*fn)(const char *tenant, uint64_t bytes, void *userdata),
                                  void *userdata)
{
        Holding *h;

        if (node < 0 || node >= NODE_MAX)
                return 0;
        DL_FOREACH2 (l->nodes[node].holdings, h, node_next) {
                int r = fn(h->tenant->key, saturate(h->bytes), userdata);

                if (r != 0)
                        return r;
        }
        return 0;
}

LedgerStay ledger_node_staying(const Ledger *l, int node, const char *tenant)
{
        const Tenant *t = tenant_find(l, tenant);
        const Holding *h = t ? holding_find(t, node) : NULL;
        const NodeSum *n = &l->nodes[node];

        return (LedgerStay){ .bytes = n->stay_bytes,
                             .n_others = n->n_stay - (h ? h->n_stay : 0),
                             .n_exclusive = n->n_stay_exclusive - (h ? h->n_stay_exclusive : 0) };
}

typedef struct Visit {
        int (*fn)(Reservation *r, void *userdata);
        void *userdata;
} Visit;

static int visit(const OrderNode *n, void *userdata)
{
        const Visit *v = userdata;

        return v->fn(n->data, v->userdata);
}

int ledger_foreach_displaceable(const Ledger *l, int node, int (*fn)(Reservation *r, void *userdata),
                                void *userdata)
{
        Visit v = { fn, userdata };

        return order_foreach(l->nodes[node].displaceable, visit, &v);
}

bool ledger_is_alone(const Ledger *l, const Reservation *r)
{
        NodeSet nodes = reservation_nodes(r);

        NODESET_FOREACH (node, &nodes)
                if (ledger_node_tenants(l, node) != 1)
                        return false;
        return !nodeset_is_empty(&nodes);
}
