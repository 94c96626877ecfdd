/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/observe.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/topology-read.h"

/* A walk over all leaves, one over what is above them, and a few numbers a node. Leaves and inner cgroups
 * never count the same byte twice: what is said of an inner one is its own, without its children's. */

typedef struct Collect {
        Observation *o;
        const NodeSet *nodes;
        size_t size; /* room in o->holders */
} Collect;

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

static int add_holder(Collect *c, const char *path, bool inner, const NumaBytes *bytes)
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

static int collect_leaf(const char *path, int fd, void *userdata)
{
        _cleanup_free_ NumaBytes *bytes = NULL;
        Collect *c = userdata;
        size_t n = 0;
        int r = 0;

        /* Without the memory controller its parent is charged, and the walk over inner cgroups says so. */
        if (cgroup_read_numa(fd, c->nodes, &bytes, &n) < 0)
                return 0;
        for (size_t i = 0; i < n && r == 0; i++)
                r = add_holder(c, path, false, &bytes[i]);
        return r;
}

static NodeObservation *find_node(const Observation *o, int node)
{
        for (size_t i = 0; i < o->n_nodes; i++)
                if (o->nodes[i].node == node)
                        return &o->nodes[i];
        return NULL;
}

static int collect_inner(const char *path, int fd _unused_, const NumaBytes *own, size_t n_own,
                         void *userdata)
{
        Collect *c = userdata;
        int r = 0;

        for (size_t i = 0; i < n_own && r == 0; i++) {
                if (path[1])
                        r = add_holder(c, path, true, &own[i]);
                else
                        find_node(c->o, own[i].node)->root_bytes = numa_bytes_sum(&own[i]);
        }
        return r;
}

/* nodeN/hugepages/hugepages-2048kB/nr_hugepages, for every size. */
static uint64_t read_hugetlb(const char *root, int node)
{
        char path[4096], name[4096 + 300];
        uint64_t sum = 0, kib, count;
        DIR *d;

        snprintf(path, sizeof(path), "%s/sys/devices/system/node/node%d/hugepages", root, node);
        d = opendir(path);
        if (!d)
                return 0;
        for (struct dirent *e; (e = readdir(d));) {
                FILE *f;

                if (sscanf(e->d_name, "hugepages-%" SCNu64 "kB", &kib) != 1)
                        continue;
                snprintf(name, sizeof(name), "%s/%s/nr_hugepages", path, e->d_name);
                f = fopen(name, "re");
                if (!f)
                        continue;
                if (fscanf(f, "%" SCNu64, &count) == 1)
                        sum += count * kib * 1024;
                fclose(f);
        }
        closedir(d);
        return sum;
}

static int observe_nodes(const char *root, const NodeSet *nodes, Observation *o)
{
        o->nodes = calloc(nodeset_count(nodes) + 1, sizeof(*o->nodes));
        if (!o->nodes)
                return -ENOMEM;
        NODESET_FOREACH (node, nodes) {
                NodeObservation *n = &o->nodes[o->n_nodes++];
                int r;

                n->node = node;
                r = topology_read_meminfo(root, node, &n->size_bytes, &n->free_bytes);
                if (r == -ENOMEM)
                        return r;
                if (r < 0) /* it went away, and everything on it */
                        n->size_bytes = n->free_bytes = 0;
                n->hugetlb_bytes = read_hugetlb(root, node);
        }
        return 0;
}

static int compare_holders(const void *a, const void *b)
{
        const Holder *x = a, *y = b;

        if (x->bytes.node != y->bytes.node)
                return x->bytes.node < y->bytes.node ? -1 : 1;
        return strcmp(x->cgroup, y->cgroup);
}

int observe_all(const char *root, const NodeSet *nodes, Observation **ret)
{
        _cleanup_(observation_free_p) Observation *o = calloc(1, sizeof(*o));
        Collect c = { .o = o, .nodes = nodes };
        int r;

        if (!o)
                return -ENOMEM;
        r = observe_nodes(root, nodes, o);
        if (r == 0)
                r = cgroup_foreach_leaf(collect_leaf, &c);
        if (r == 0)
                r = cgroup_foreach_inner(nodes, collect_inner, &c);
        if (r < 0)
                return r;
        if (o->n_holders > 0)
                qsort(o->holders, o->n_holders, sizeof(*o->holders), compare_holders);
        *ret = TAKE_PTR(o);
        return 0;
}

uint64_t observation_unattributed(const Observation *o, int node)
{
        const NodeObservation *n = find_node(o, node);
        uint64_t used, attributed;

        if (!n || n->size_bytes < n->free_bytes)
                return 0;
        used = n->size_bytes - n->free_bytes;
        attributed = n->root_bytes;
        for (size_t i = 0; i < o->n_holders; i++)
                if (o->holders[i].bytes.node == node)
                        attributed += numa_bytes_sum(&o->holders[i].bytes);
        return used > attributed ? used - attributed : 0;
}
