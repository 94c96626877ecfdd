/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All that a request is judged by, and what follows from it: how much of a node can still be reserved. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/config.h"
#include "policy/ledger.h"
#include "policy/pool.h"
#include "policy/queue.h"
#include "policy/topology.h"

/* One CDM node as observed just now. */
typedef struct NodeUse {
        int node;
        /* Used bytes that no reservation explains: intruders, residue, unattributed. */
        uint64_t foreign_bytes;
        bool closed; /* offline or drained by the admin: no new grants */
} NodeUse;

typedef struct Snapshot {
        const Topology *topology;
        const PoolSet *pools;
        const Config *config;
        const Ledger *ledger;
        const Queue *queue; /* NULL: nobody waits */
        const NodeUse *use; /* nodes that are missing here have no foreign bytes */
        size_t n_use;
        uint64_t page_bytes;
        uint64_t now_usec; /* CLOCK_BOOTTIME */
} Snapshot;

/* The bytes of the node that reservations could have if there were no others. */
uint64_t snapshot_node_capacity(const Pool *pool, const Node *n);
/* capacity - headroom - foreign, at least 0: what is available if nothing is reserved. 0 for a node that is
 * closed or in no pool. */
uint64_t snapshot_node_promisable(const Snapshot *s, int node);
/* promisable - reserved, at least 0. */
uint64_t snapshot_node_available(const Snapshot *s, int node);
uint64_t snapshot_pool_available(const Snapshot *s, const Pool *pool);
