/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two passes. The first takes nodes as configured, where `auto` means every memory node without CPUs. Some
 * machines put plain DRAM into nodes without CPUs. So if nodes without evidence are most of the memory, or
 * if the first pass leaves no ordinary memory, the second pass takes only nodes with evidence. If that takes
 * all memory too, the configuration is refused: with an empty set of nodes the kernel falls back to the
 * parent's nodes, so such a fence would be open. */

#include "policy/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

PoolConfig *pool_config_free(PoolConfig *c)
{
        if (!c)
                return NULL;
        free(c->name);
        free(c->file);
        free(c->description);
        for (char **size = c->cdi_sizes; size && *size; size++)
                free(*size);
        free(c->cdi_sizes);
        free(c);
        return NULL;
}

static void pool_set_drop(PoolSet *s)
{
        for (size_t i = 0; i < s->n_pools; i++) {
                free(s->pools[i].name);
                free(s->pools[i].description);
                free(s->pools[i].file);
                free(s->pools[i].selectors);
        }
        free(s->pools);
        s->pools = NULL;
        s->n_pools = 0;
}

PoolSet *pool_set_free(PoolSet *s)
{
        if (!s)
                return NULL;
        pool_set_drop(s);
        free(s);
        return NULL;
}

/* The pool of a configuration without any file in pools.d. */
static const PoolConfig default_pool = {
        .name = (char *)POOL_DEFAULT_NAME,
        .description = (char *)"coherent device memory",
        .nodes_auto = true,
        .tier = TIER_UNKNOWN,
        .headroom = { .value = POOL_DEFAULT_HEADROOM },
};

/* An unknown value does not meet a selector: the admin asked for a value that the firmware confirms. */
static bool pool_node_is_selected(const PoolConfig *c, const Node *n)
{
        if (c->min_bandwidth_mbps > 0 && n->read_bandwidth_mbps < c->min_bandwidth_mbps)
                return false;
        if (c->max_latency_ns > 0 && (n->read_latency_ns == 0 || n->read_latency_ns > c->max_latency_ns))
                return false;
        if (c->tier != TIER_UNKNOWN && n->tier != c->tier)
                return false;
        return !c->dax || n->dax;
}

static bool pool_has_selectors(const PoolConfig *c)
{
        return c->min_bandwidth_mbps > 0 || c->max_latency_ns > 0 || c->tier != TIER_UNKNOWN || c->dax;
}

/* True if the selectors distinguish device memory from the memory of CPUs: no node with CPUs meets them. */
static bool pool_selectors_tell_apart(const PoolConfig *c, const Topology *t)
{
        if (!pool_has_selectors(c))
                return false;
        for (size_t i = 0; i < t->n_nodes; i++)
                if (t->nodes[i].has_cpu && t->nodes[i].size_bytes > 0 &&
                    pool_node_is_selected(c, &t->nodes[i]))
                        return false;
        return true;
}

static bool pool_selectors_meet_all(const PoolConfig *c, const Topology *t)
{
        bool any_cpu = false;

        for (size_t i = 0; i < t->n_nodes; i++) {
                const Node *n = &t->nodes[i];

                if (n->size_bytes > 0 && !pool_node_is_selected(c, n))
                        return false;
                any_cpu |= n->size_bytes > 0 && n->has_cpu;
        }
        return pool_has_selectors(c) && any_cpu;
}

/* Empty nodes (a GB200 shows 34, most of them empty) and nodes with CPUs are never taken automatically.
 * `marked`: NULL, or the nodes with evidence. Then nodes without evidence are taken only if the selectors
 * distinguish them. */
static NodeSet pool_auto_nodes(const Topology *t, const PoolConfig *c, const NodeSet *taken,
                               const NodeSet *marked)
{
        bool told_apart = pool_selectors_tell_apart(c, t);
        NodeSet nodes = NODESET_EMPTY;

        for (size_t i = 0; i < t->n_nodes; i++) {
                const Node *n = &t->nodes[i];

                if (n->size_bytes == 0 || n->has_cpu || nodeset_contains(taken, n->id))
                        continue;
                if (marked && !told_apart && !nodeset_contains(marked, n->id))
                        continue;
                if (pool_node_is_selected(c, n))
                        nodeset_add(&nodes, n->id);
        }
        return nodes;
}

/* The units are those of `cdmctl nodes`. */
static int pool_format_selectors(const PoolConfig *c, char **ret)
{
        size_t size;
        FILE *f = open_memstream(ret, &size);

        if (!f)
                return -ENOMEM;
        if (c->min_bandwidth_mbps > 0)
                fprintf(f, ", MinBandwidth= (at least %" PRIu64 " MB/s)", c->min_bandwidth_mbps);
        if (c->max_latency_ns > 0)
                fprintf(f, ", MaxLatency= (at most %" PRIu64 " ns)", c->max_latency_ns);
        if (c->tier != TIER_UNKNOWN)
                fprintf(f, ", Tier=%d", c->tier);
        if (c->dax)
                fputs(", Dax=yes", f);
        if (fclose(f) != 0)
                return -ENOMEM;
        if (size >= 2)
                memmove(*ret, *ret + 2, size - 1);
        return 0;
}

static int pool_init(Pool *p, const PoolConfig *c)
{
        p->headroom = c->headroom;
        p->hold = c->hold;
        p->line = c->nodes_line > 0 ? c->nodes_line : c->line;
        p->nodes_auto = c->nodes_auto;
        if (c->nodes_auto && pool_has_selectors(c) && pool_format_selectors(c, &p->selectors) < 0)
                return -ENOMEM;
        if (string_copy(c->name, &p->name) < 0 || string_copy(c->description, &p->description) < 0 ||
            string_copy(c->file, &p->file) < 0)
                return -ENOMEM;
        return 0;
}

/* Sets the message. Without memory it stays NULL, and the caller has only the errno. */
#define set_error(ret, ...) (asprintf((ret), __VA_ARGS__) < 0 ? (void)(*(ret) = NULL) : (void)0)

static int pool_take_listed(PoolSet *s, const PoolConfig *const *configs, size_t n_configs, char **ret_error)
{
        for (size_t i = 0; i < n_configs; i++) {
                const PoolConfig *c = configs[i];

                if (c->nodes_auto)
                        continue;
                for (size_t k = 0; k < n_configs; k++) {
                        NodeSet both = nodeset_intersect(&c->nodes, &s->pools[k].nodes);
                        int node = nodeset_next(&both, 0);

                        if (node < 0)
                                continue;
                        set_error(ret_error,
                                  "%s:%u: node %d is already in pool %s (%s:%u); take it out of one of them",
                                  c->file, c->nodes_line, node, configs[k]->name, configs[k]->file,
                                  configs[k]->nodes_line);
                        return -EEXIST;
                }
                s->pools[i].nodes = c->nodes;
                s->cdm = nodeset_union(&s->cdm, &c->nodes);
        }
        return 0;
}

/* `marked`: as for pool_auto_nodes(). */
static void pool_take_auto(PoolSet *s, const Topology *t, const PoolConfig *const *configs, size_t n_configs,
                           const NodeSet *marked)
{
        s->cdm = NODESET_EMPTY;
        for (size_t i = 0; i < n_configs; i++)
                if (!configs[i]->nodes_auto)
                        s->cdm = nodeset_union(&s->cdm, &s->pools[i].nodes);
        for (size_t i = 0; i < n_configs; i++)
                if (configs[i]->nodes_auto) {
                        s->pools[i].nodes = pool_auto_nodes(t, configs[i], &s->cdm, marked);
                        s->cdm = nodeset_union(&s->cdm, &s->pools[i].nodes);
                }
}

static bool pool_takes_all(PoolSet *s, const NodeSet *memory)
{
        s->ordinary = nodeset_subtract(memory, &s->cdm);
        return nodeset_is_empty(&s->ordinary) && !nodeset_is_empty(&s->cdm);
}

/* The message names the last pool that took memory. */
static int pool_refuse_all(const PoolSet *s, const NodeSet *memory, const PoolConfig *const *configs,
                           size_t n_configs, char **ret_error)
{
        char list[NODESET_STR_MAX];
        const PoolConfig *last = configs[0];
        unsigned line;

        for (size_t i = 0; i < n_configs; i++)
                if (nodeset_intersects(&s->pools[i].nodes, memory))
                        last = configs[i];
        line = last->nodes_line > 0 ? last->nodes_line : last->line;
        nodeset_format(memory, list);
        if (last->file)
                set_error(ret_error,
                          "%s:%u: with this pool no ordinary memory would remain (nodes with memory: %s); "
                          "leave at least one of them out of all pools",
                          last->file, line, list);
        else
                set_error(ret_error,
                          "every node with memory (%s) looks like device memory, so that no ordinary memory "
                          "would remain; say which nodes are CDM nodes with Nodes= in a file of pools.d",
                          list);
        return -ENOSPC;
}

static void pool_sum_sizes(PoolSet *s, const Topology *t)
{
        for (size_t i = 0; i < s->n_pools; i++)
                NODESET_FOREACH (id, &s->pools[i].nodes) {
                        const Node *n = topology_find(t, id);

                        if (n && n->online)
                                s->pools[i].size_bytes += n->size_bytes;
                }
}

static bool pool_has_auto(const PoolConfig *const *configs, size_t n_configs)
{
        for (size_t i = 0; i < n_configs; i++)
                if (configs[i]->nodes_auto)
                        return true;
        return false;
}

/* If most of the memory is in nodes without CPUs, "no CPU" is no evidence. */
static bool pool_is_most_memory(const Topology *t, const NodeSet *nodes)
{
        uint64_t part = 0, whole = 0;

        for (size_t i = 0; i < t->n_nodes; i++) {
                whole += t->nodes[i].size_bytes;
                if (nodeset_contains(nodes, t->nodes[i].id))
                        part += t->nodes[i].size_bytes;
        }
        return part > whole - part;
}

/* Records which nodes without evidence were taken, and which were passed over (`would`: nodes of the first
 * pass). */
static void pool_note_unproven(PoolSet *s, const Topology *t, const PoolConfig *const *configs,
                               size_t n_configs, const NodeSet *unmarked, const NodeSet *would)
{
        for (size_t i = 0; i < n_configs; i++) {
                s->pools[i].selects_all = configs[i]->nodes_auto && pool_selectors_meet_all(configs[i], t);
                if (!configs[i]->nodes_auto || pool_selectors_tell_apart(configs[i], t))
                        continue;
                NodeSet taken = nodeset_intersect(&s->pools[i].nodes, unmarked);
                s->unproven = nodeset_union(&s->unproven, &taken);
        }
        s->passed_over = nodeset_subtract(would, &s->cdm);
}

static int pool_resolve(PoolSet *s, const Topology *t, const PoolConfig *const *configs, size_t n_configs,
                        const NodeSet *held, char **ret_error)
{
        NodeSet memory = topology_memory_nodes(t), empty = topology_empty_nodes(t),
                unmarked = evidence_missing(t);
        int r;

        r = pool_take_listed(s, configs, n_configs, ret_error);
        if (r < 0)
                return r;
        pool_take_auto(s, t, configs, n_configs, NULL);
        NodeSet would = s->cdm;
        s->no_cpu_says_nothing = pool_is_most_memory(t, &unmarked);
        if (pool_takes_all(s, &memory) || s->no_cpu_says_nothing) {
                NodeSet marked = evidence_nodes(t);

                marked = nodeset_union(&marked, held);
                pool_take_auto(s, t, configs, n_configs, &marked);
                if (pool_takes_all(s, &memory))
                        return pool_refuse_all(s, &memory, configs, n_configs, ret_error);
        }
        pool_note_unproven(s, t, configs, n_configs, &unmarked, &would);
        pool_sum_sizes(s, t);
        s->awaited = pool_has_auto(configs, n_configs) && !nodeset_is_empty(&empty);
        return 0;
}

static int pool_set_resolve_strictly(const Topology *t, const PoolConfig *const *configs, size_t n_configs,
                                     const NodeSet *held, PoolSet **ret, char **ret_error)
{
        static const PoolConfig *const defaults[] = { &default_pool };
        _cleanup_(pool_set_free_p) PoolSet *s = calloc(1, sizeof(PoolSet));
        bool is_default = n_configs == 0;
        int r;

        if (!s)
                return -ENOMEM;
        if (is_default) {
                configs = defaults;
                n_configs = ARRAY_SIZE(defaults);
        }
        s->pools = calloc(n_configs, sizeof(Pool));
        if (!s->pools)
                return -ENOMEM;
        s->n_pools = n_configs;
        for (size_t i = 0; i < n_configs; i++) {
                r = pool_init(&s->pools[i], configs[i]);
                if (r < 0)
                        return r;
        }
        r = pool_resolve(s, t, configs, n_configs, held, ret_error);
        if (r < 0)
                return r;
        /* An empty default pool is not shown. */
        if (is_default && !pool_set_needs_fence(s))
                pool_set_drop(s);
        *ret = TAKE_PTR(s);
        return 0;
}

int pool_set_resolve(const Topology *t, const PoolConfig *const *configs, size_t n_configs, PoolSet **ret,
                     char **ret_error)
{
        return pool_set_resolve_strictly(t, configs, n_configs, &NODESET_EMPTY, ret, ret_error);
}

const char *pool_spare_name(const PoolConfig *const *configs, size_t n_configs,
                            char buf[static POOL_SPARE_NAME_MAX])
{
        size_t i = 0;

        strcpy(buf, POOL_DEFAULT_NAME);
        for (unsigned n = 1; i < n_configs; n++) {
                for (i = 0; i < n_configs && strcmp(configs[i]->name, buf) != 0; i++)
                        ;
                if (i < n_configs)
                        snprintf(buf, POOL_SPARE_NAME_MAX, POOL_DEFAULT_NAME "-%u", n);
        }
        return buf;
}

/* Makes shallow copies for a start. A node that two pools list stays with the first one. Refused pools,
 * which take the rest, are moved to the end. Returns true if two pools list the same node. */
static bool pool_order_for_start(const PoolConfig *const *configs, size_t n_configs, PoolConfig *copies,
                                 const PoolConfig **list, size_t *ret_n_good)
{
        NodeSet taken = NODESET_EMPTY;
        bool contradiction = false;
        size_t n = 0;

        for (size_t i = 0; i < n_configs; i++) {
                copies[i] = *configs[i];
                if (!copies[i].nodes_auto) {
                        contradiction = contradiction || nodeset_intersects(&copies[i].nodes, &taken);
                        copies[i].nodes = nodeset_subtract(&copies[i].nodes, &taken);
                        taken = nodeset_union(&taken, &copies[i].nodes);
                }
                if (!copies[i].refused)
                        list[n++] = &copies[i];
        }
        *ret_n_good = n;
        for (size_t i = 0; i < n_configs; i++)
                if (copies[i].refused)
                        list[n++] = &copies[i];
        return contradiction;
}

int pool_set_resolve_at_start(const Topology *t, const PoolConfig *const *configs, size_t n_configs,
                              const NodeSet *held, PoolSet **ret, char **ret_error)
{
        _cleanup_free_ PoolConfig *copies = calloc(n_configs + 1, sizeof(*copies));
        _cleanup_free_ const PoolConfig **list = calloc(n_configs + 1, sizeof(*list));
        _cleanup_free_ char *contradiction = NULL;
        char name[POOL_SPARE_NAME_MAX];
        size_t n = n_configs, n_good;
        int r;

        if (!copies || !list)
                return -ENOMEM;
        if (pool_order_for_start(configs, n_configs, copies, list, &n_good)) {
                /* Called only for its error message. */
                r = pool_set_resolve_strictly(t, configs, n_configs, held, ret, &contradiction);
                if (r != -EEXIST)
                        return r;
                copies[n] = default_pool;
                copies[n].name = (char *)pool_spare_name(configs, n_configs, name);
                list[n] = &copies[n];
                n++;
        }
        r = pool_set_resolve_strictly(t, list, n, held, ret, ret_error);
        /* Retry without the refused pools, whose nodes are a guess. */
        if (r == -ENOSPC && n_good > 0 && n_good < n) {
                free(*ret_error);
                *ret_error = NULL;
                r = pool_set_resolve_strictly(t, list, n_good, held, ret, ret_error);
        }
        if (contradiction && !*ret_error)
                *ret_error = TAKE_PTR(contradiction);
        return r;
}

bool pool_set_needs_fence(const PoolSet *s)
{
        return s->awaited || !nodeset_is_empty(&s->cdm);
}

const Pool *pool_set_find(const PoolSet *s, const char *name)
{
        for (size_t i = 0; i < s->n_pools; i++)
                if (strcmp(s->pools[i].name, name) == 0)
                        return &s->pools[i];
        return NULL;
}

const Pool *pool_set_find_node(const PoolSet *s, int node)
{
        if (!nodeset_contains(&s->cdm, node))
                return NULL;
        for (size_t i = 0; i < s->n_pools; i++)
                if (nodeset_contains(&s->pools[i].nodes, node))
                        return &s->pools[i];
        return NULL;
}

const char *pool_evidence(const PoolSet *s, const Topology *t, int node,
                          char buf[static POOL_EVIDENCE_STR_MAX])
{
        const Pool *p = pool_set_find_node(s, node);
        const Node *n = topology_find(t, node);
        EvidenceBase base = evidence_base(t);
        char known[EVIDENCE_STR_MAX];

        evidence_format(n ? evidence_of(&base, n) : 0, known);
        if (p && !p->nodes_auto)
                snprintf(buf, POOL_EVIDENCE_STR_MAX, "list%s%s", known[0] ? "," : "", known);
        else if (p && !known[0])
                snprintf(buf, POOL_EVIDENCE_STR_MAX, "%s",
                         nodeset_contains(&s->unproven, node) ? "no-cpu" : "selector");
        else
                snprintf(buf, POOL_EVIDENCE_STR_MAX, "%s", known);
        return buf;
}

uint64_t pool_headroom_bytes(const Pool *pool, const Node *node)
{
        return size_resolve(&pool->headroom, node->size_bytes);
}
