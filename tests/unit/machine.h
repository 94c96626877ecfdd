/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Made-up machines: a Topology, node by node in ascending order. */

#include <stdlib.h>

#include "policy/topology.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static inline Topology *machine_new(void)
{
        Topology *t = calloc(1, sizeof(Topology));

        if (!t)
                abort();
        return t;
}

/* The node that is returned may be changed until the next one is added. */
static inline Node *machine_add(Topology *t, int id, uint64_t size_bytes, bool has_cpu)
{
        Node *n;

        t->nodes = realloc(t->nodes, (t->n_nodes + 1) * sizeof(Node));
        if (!t->nodes)
                abort();
        n = &t->nodes[t->n_nodes++];
        *n = (Node){
                .id = id,
                .online = true,
                .has_cpu = has_cpu,
                .size_bytes = size_bytes,
                .free_bytes = size_bytes,
                .tier = TIER_UNKNOWN,
        };
        return n;
}
