/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/observe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/machine/topology-read.h"

/* One walk over all leaves, one over the inner cgroups, and a few numbers per node. No byte is counted
 * twice: the bytes of an inner cgroup exclude the bytes of its children. */

typedef struct ObserveCollect {
        Observation *o;
        bool (*is_split)(const char *path);
        const NodeSet *nodes;
        size_t size; /* capacity of o->holders */
} ObserveCollect;

Observation *observation_free(Observation *o)
{
        if (!o)
                return NULL;
        for (size_t i = 0; i < o->n_holders; i++)
                free(o->holders[i].cgroup);
        free(o->holders);
        free(o->nodes);
        free(o);
        return NULL;
}

static int observe_add_holder(ObserveCollect *c, const char *path, bool inner, const NumaBytes *bytes)
{
        Observation *o = c->o;
        char *copy;

        if (o->n_holders == c->size) {
                size_t size = c->size ? c->size * 2 : 32;
                Holder *larger = realloc(o->holders, size * sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                o->holders = larger;
                c->size = size;
        }
        copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        o->holders[o->n_holders++] = (Holder){ .cgroup = copy, .inner = inner, .bytes = *bytes };
        return 0;
}

typedef struct ObserveSplit {
        ObserveCollect *collect;
        const char *path;
        NumaBytes *own; /* without the bytes of the children */
        size_t n_own;
} ObserveSplit;

static uint64_t observe_minus(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

static void observe_subtract(NumaBytes *from, const NumaBytes *b)
{
        from->anon = observe_minus(from->anon, b->anon);
        from->file = observe_minus(from->file, b->file);
        from->shmem = observe_minus(from->shmem, b->shmem);
        from->other = observe_minus(from->other, b->other);
        from->hugetlb = observe_minus(from->hugetlb, b->hugetlb);
}

static int collect_child(const char *name, void *userdata)
{
        _cleanup_free_ NumaBytes *bytes = NULL;
        _cleanup_free_ char *path = NULL;
        ObserveSplit *s = userdata;
        size_t n = 0;
        int fd, r;

        if (asprintf(&path, "%s/%s", s->path, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        fd = cgroup_open(path, NULL);
        if (fd < 0)
                return 0;
        r = cgroup_read_numa_all(fd, s->collect->nodes, &bytes, &n);
        close(fd);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                for (size_t k = 0; k < s->n_own; k++)
                        if (s->own[k].node == bytes[i].node)
                                observe_subtract(&s->own[k], &bytes[i]);
                r = observe_add_holder(s->collect, path, false, &bytes[i]);
        }
        return r == -ENOMEM ? r : 0;
}

/* Adds each child of the cgroup as a holder, and the cgroup's own bytes. */
static int collect_split(ObserveCollect *c, const char *path, int fd)
{
        ObserveSplit s = { .collect = c, .path = path };
        int r;

        if (cgroup_read_numa_all(fd, c->nodes, &s.own, &s.n_own) < 0)
                return 0;
        r = cgroup_foreach_child(fd, collect_child, &s);
        for (size_t i = 0; r == 0 && i < s.n_own; i++)
                if (numa_bytes_all(&s.own[i]) > 0)
                        r = observe_add_holder(c, path, true, &s.own[i]);
        free(s.own);
        return r;
}

static int collect_leaf(const char *path, int fd, void *userdata)
{
        _cleanup_free_ NumaBytes *bytes = NULL;
        ObserveCollect *c = userdata;
        size_t n = 0;
        int r = 0;

        if (c->is_split && c->is_split(path))
                return collect_split(c, path, fd);
        /* Without the memory controller the parent is charged, and the walk over inner cgroups counts the
         * bytes. */
        if (cgroup_read_numa_all(fd, c->nodes, &bytes, &n) < 0)
                return 0;
        for (size_t i = 0; i < n && r == 0; i++)
                r = observe_add_holder(c, path, false, &bytes[i]);
        return r;
}

const NodeObservation *observation_find_node(const Observation *o, int node)
{
        for (size_t i = 0; i < o->n_nodes; i++)
                if (o->nodes[i].node == node)
                        return &o->nodes[i];
        return NULL;
}

static int collect_inner(const char *path, int fd _unused_, const NumaBytes *own, size_t n_own,
                         void *userdata)
{
        ObserveCollect *c = userdata;
        int r = 0;

        for (size_t i = 0; i < n_own && r == 0; i++)
                r = observe_add_holder(c, path, path[1] != '\0', &own[i]);
        return r;
}

static int observe_all_nodes(const char *root, const NodeSet *nodes, Observation *o)
{
        o->nodes = calloc(nodeset_count(nodes) + 1, sizeof(*o->nodes));
        if (!o->nodes)
                return -ENOMEM;
        NODESET_FOREACH (node, nodes) {
                NodeObservation *n = &o->nodes[o->n_nodes++];
                NodeUsage u;
                int r;

                n->node = node;
                r = topology_read_usage(root, node, &u);
                if (r == -ENOMEM)
                        return r;
                if (r < 0) /* the node was removed with all its memory */
                        continue;
                n->size_bytes = u.size_bytes;
                n->free_bytes = u.free_bytes;
                n->slab_bytes = u.slab_bytes;
                n->stack_bytes = u.stack_bytes;
                n->page_table_bytes = u.page_table_bytes;
                n->cpu_list_bytes = u.cpu_list_bytes;
                r = topology_read_hugetlb(root, node, &n->hugetlb_bytes, &n->hugetlb_free_bytes);
                if (r == -ENOMEM)
                        return r;
        }
        return 0;
}

static int observe_compare_holders(const void *a, const void *b)
{
        const Holder *x = a, *y = b;

        if (x->bytes.node != y->bytes.node)
                return x->bytes.node < y->bytes.node ? -1 : 1;
        return strcmp(x->cgroup, y->cgroup);
}

int observe_all(const char *root, const NodeSet *nodes, bool (*is_split)(const char *path),
                Observation **ret)
{
        _cleanup_(observation_free_p) Observation *o = calloc(1, sizeof(*o));
        ObserveCollect c = { .o = o, .nodes = nodes, .is_split = is_split };
        int r;

        if (!o)
                return -ENOMEM;
        r = cgroup_foreach_leaf(collect_leaf, &c);
        if (r == 0)
                r = cgroup_foreach_inner(nodes, collect_inner, &c);
        if (r == 0)
                r = observe_all_nodes(root, nodes, o);
        if (r < 0)
                return r;
        if (o->n_holders > 0)
                qsort(o->holders, o->n_holders, sizeof(*o->holders), observe_compare_holders);
        *ret = TAKE_PTR(o);
        return 0;
}

/* Returns min(known, *left) and subtracts it from *left. */
static uint64_t observe_take(uint64_t known, uint64_t *left)
{
        uint64_t bytes = known < *left ? known : *left;

        *left -= bytes;
        return bytes;
}

uint64_t observation_unattributed(const Observation *o, int node, Unattributed *ret)
{
        const NodeObservation *n = observation_find_node(o, node);
        uint64_t attributed = 0, kernel = 0, hugetlb = 0, left, total;

        *ret = (Unattributed){ 0 };
        if (!n)
                return 0;
        for (size_t i = 0; i < o->n_holders; i++) {
                const NumaBytes *b = &o->holders[i].bytes;

                if (b->node != node)
                        continue;
                attributed += numa_bytes_all(b);
                kernel += b->other;
                hugetlb += b->hugetlb;
        }
        left = total = observe_minus(observe_minus(n->size_bytes, n->free_bytes), attributed);
        ret->hugetlb_bytes = observe_take(observe_minus(n->hugetlb_bytes, hugetlb), &left);
        ret->kernel_bytes = observe_take(
                observe_minus(n->slab_bytes + n->stack_bytes + n->page_table_bytes, kernel), &left);
        ret->cpu_list_bytes = observe_take(n->cpu_list_bytes, &left);
        ret->other_bytes = left;
        return total;
}
