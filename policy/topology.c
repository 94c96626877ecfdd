/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

int topology_copy_devices(const Topology *t, Topology **ret)
{
        _cleanup_(topology_free_p) Topology *copy = calloc(1, sizeof(*copy));

        if (!copy)
                return -ENOMEM;
        copy->nodes = calloc(t->n_nodes ? t->n_nodes : 1, sizeof(*copy->nodes));
        if (!copy->nodes)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_nodes; i++) {
                Node *n = &copy->nodes[copy->n_nodes++];

                n->id = t->nodes[i].id;
                n->device = t->nodes[i].device ? strdup(t->nodes[i].device) : NULL;
                if (t->nodes[i].device && !n->device)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(copy);
        return 0;
}

void topology_take_facts(Topology *t, Topology *from)
{
        t->kernel_major = from->kernel_major;
        t->kernel_minor = from->kernel_minor;
        t->demotion_enabled = from->demotion_enabled;
        t->numa_balancing = from->numa_balancing;
        memcpy(t->auto_online, from->auto_online, sizeof(t->auto_online));
        free(t->cdmm);
        t->cdmm = TAKE_PTR(from->cdmm);
        t->gpu_numa = from->gpu_numa;
        t->gpu_needs_movable = from->gpu_needs_movable;
        for (size_t i = 0; i < from->n_nodes; i++) {
                Node *n = topology_get(t, from->nodes[i].id);

                if (n)
                        n->hugetlb_bytes = from->nodes[i].hugetlb_bytes;
        }
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
