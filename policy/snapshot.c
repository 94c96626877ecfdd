/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/snapshot.h"

static uint64_t snapshot_subtract(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

static const NodeUse *snapshot_find_use(const Snapshot *s, int node)
{
        for (size_t i = 0; i < s->n_use; i++)
                if (s->use[i].node == node)
                        return &s->use[i];
        return NULL;
}

uint64_t snapshot_node_capacity(const Pool *pool, const Node *n)
{
        return snapshot_subtract(n->size_bytes, pool_headroom_bytes(pool, n));
}

uint64_t snapshot_node_promisable(const Snapshot *s, int node)
{
        const Node *n = topology_find(s->topology, node);
        const Pool *pool = pool_set_find_node(s->pools, node);
        const NodeUse *use = snapshot_find_use(s, node);
        uint64_t bytes;

        if (!n || !n->online || !pool || (use && use->closed))
                return 0;
        bytes = snapshot_node_capacity(pool, n);
        return use ? snapshot_subtract(bytes, use->foreign_bytes) : bytes;
}

uint64_t snapshot_node_available(const Snapshot *s, int node)
{
        return snapshot_subtract(snapshot_node_promisable(s, node), ledger_node_reserved(s->ledger, node));
}

uint64_t snapshot_pool_available(const Snapshot *s, const Pool *pool)
{
        uint64_t bytes = 0;

        NODESET_FOREACH (node, &pool->nodes)
                bytes += snapshot_node_available(s, node);
        return bytes;
}
