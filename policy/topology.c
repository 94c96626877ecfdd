/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>

#include "policy/topology.h"

#define DISTANCE_UNREACHABLE 255

Topology *topology_free(Topology *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_nodes; i++) {
                free(t->nodes[i].device);
                free(t->nodes[i].distance);
        }
        free(t->nodes);
        free(t->cdmm);
        free(t->unread);
        free(t);
        return NULL;
}

static int topology_compare_id(const void *key, const void *member)
{
        int id = *(const int *)key, other = ((const Node *)member)->id;

        return (id > other) - (id < other);
}

const Node *topology_find(const Topology *t, int node)
{
        if (t->n_nodes == 0)
                return NULL;
        return bsearch(&node, t->nodes, t->n_nodes, sizeof(Node), topology_compare_id);
}

Node *topology_get(Topology *t, int node)
{
        const Node *n = topology_find(t, node);

        return n ? &t->nodes[n - t->nodes] : NULL;
}

NodeSet topology_memory_nodes(const Topology *t)
{
        NodeSet set = NODESET_EMPTY;

        for (size_t i = 0; i < t->n_nodes; i++)
                if (t->nodes[i].size_bytes > 0)
                        nodeset_add(&set, t->nodes[i].id);
        return set;
}

NodeSet topology_cpu_nodes(const Topology *t)
{
        NodeSet set = NODESET_EMPTY;

        for (size_t i = 0; i < t->n_nodes; i++)
                if (t->nodes[i].size_bytes > 0 && t->nodes[i].has_cpu)
                        nodeset_add(&set, t->nodes[i].id);
        return set;
}

NodeSet topology_empty_nodes(const Topology *t)
{
        NodeSet set = t->possible;

        for (size_t i = 0; i < t->n_nodes; i++)
                if (t->nodes[i].size_bytes > 0 || t->nodes[i].has_cpu)
                        nodeset_remove(&set, t->nodes[i].id);
        return set;
}

unsigned topology_distance(const Topology *t, int from, int to)
{
        const Node *source = topology_find(t, from), *target = topology_find(t, to);

        if (!source || !target || !source->distance)
                return DISTANCE_UNREACHABLE;
        return source->distance[target - t->nodes];
}

unsigned topology_distance_from_set(const Topology *t, const NodeSet *from, int to)
{
        unsigned nearest = DISTANCE_UNREACHABLE;

        NODESET_FOREACH (node, from) {
                unsigned distance = topology_distance(t, node, to);

                if (distance < nearest)
                        nearest = distance;
        }
        return nearest;
}
