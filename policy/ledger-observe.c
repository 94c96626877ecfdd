/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The observed use of tenants, compared with their reservations. */

#include "policy/ledger.h"

#include <utlist.h>

#include "policy/ledger-data.h"

void ledger_observe(Ledger *l, const char *tenant, int node, uint64_t used_bytes)
{
        LedgerHolding *h = ledger_holding(l, tenant, node);
        NodeSum *n = &l->nodes[h ? h->node : 0];

        if (!h)
                return;
        n->explained -= holding_explained(h);
        h->used_bytes = used_bytes;
        n->explained += holding_explained(h);
        if (h->observed)
                return;
        h->observed = true;
        ledger_walk_leaves(n, h);
        DL_DELETE2(n->holdings, h, node_prev, node_next);
        DL_APPEND2(n->holdings, h, node_prev, node_next);
}

uint64_t ledger_tenant_used(const Ledger *l, const char *tenant, int node)
{
        const LedgerHolding *h = ledger_holding(l, tenant, node);

        return h ? h->used_bytes : 0;
}

uint64_t ledger_node_explained(const Ledger *l, int node)
{
        return node >= 0 && node < NODE_MAX ? sum_saturate(l->nodes[node].explained) : 0;
}

size_t ledger_tenant_shares(const Ledger *l, const char *tenant, int node)
{
        const LedgerHolding *h = ledger_holding(l, tenant, node);

        return h ? h->n_booked : 0;
}
