/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Everything that a request is judged by, and the value derived from it: the bytes of a node that can still
 * be reserved. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/config.h"
#include "policy/ledger.h"
#include "policy/pool.h"
#include "policy/queue.h"
#include "policy/topology.h"

/* The observed state of one CDM node. */
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
        const Queue *queue; /* NULL: no request waits */
        const NodeUse *use; /* nodes that are missing here have no foreign bytes */
        size_t n_use;
        uint64_t page_bytes;
        uint64_t now_usec; /* CLOCK_BOOTTIME */
} Snapshot;

/* size - headroom: the bytes of an empty node that can be reserved. */
uint64_t snapshot_node_capacity(const Pool *pool, const Node *n);
/* capacity - headroom - foreign, at least 0: what is available if nothing is reserved. 0 for a node that is
 * closed or in no pool. */
uint64_t snapshot_node_promisable(const Snapshot *s, int node);
/* promisable - reserved, at least 0. */
uint64_t snapshot_node_available(const Snapshot *s, int node);
uint64_t snapshot_pool_available(const Snapshot *s, const Pool *pool);
