/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Queries of a ledger. */

#include "policy/ledger-data.h"
#include "policy/ledger.h"

Reservation *ledger_find(const Ledger *l, uint32_t id)
{
        LedgerEntry *e = entry_find(l, id);

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

        return t ? sum_saturate(t->bytes) : 0;
}

uint64_t ledger_rule_user_bytes(const Ledger *l, const char *rule_file, uid_t uid)
{
        const Tally *t = rule_user_find(rule_tally_find(l, rule_file), uid);

        return t ? sum_saturate(t->bytes) : 0;
}

uint64_t ledger_node_reserved(const Ledger *l, int node)
{
        return node >= 0 && node < NODE_MAX ? sum_saturate(l->nodes[node].bytes) : 0;
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
        const LedgerHolding *h = ledger_holding(l, tenant, node);

        return h ? sum_saturate(h->bytes) : 0;
}

NodeSet ledger_tenant_nodes(const Ledger *l, const char *tenant)
{
        const LedgerTenant *t = ledger_tenant_find(l, tenant);

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
        const LedgerTenant *t = ledger_tenant_find(l, tenant);

        return t ? t->n_entries : 0;
}

LedgerStay ledger_node_staying(const Ledger *l, int node, const char *tenant)
{
        const LedgerTenant *t = ledger_tenant_find(l, tenant);
        const LedgerHolding *h = t ? holding_find(t, node) : NULL;
        const NodeSum *n = &l->nodes[node];

        return (LedgerStay){ .bytes = n->stay_bytes,
                             .n_others = n->n_stay - (h ? h->n_stay : 0),
                             .n_exclusive = n->n_stay_exclusive - (h ? h->n_stay_exclusive : 0) };
}

typedef struct LedgerVisit {
        int (*fn)(Reservation *r, void *userdata);
        void *userdata;
} LedgerVisit;

static int ledger_visit(const OrderNode *n, void *userdata)
{
        const LedgerVisit *v = userdata;

        return v->fn(n->data, v->userdata);
}

int ledger_foreach_displaceable(const Ledger *l, int node, int (*fn)(Reservation *r, void *userdata),
                                void *userdata)
{
        LedgerVisit v = { fn, userdata };

        return order_foreach(&l->nodes[node].displaceable, ledger_visit, &v);
}

bool ledger_is_alone(const Ledger *l, const Reservation *r)
{
        NodeSet nodes = reservation_nodes(r);

        NODESET_FOREACH (node, &nodes)
                if (ledger_node_tenants(l, node) != 1)
                        return false;
        return !nodeset_is_empty(&nodes);
}
