/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pools: which nodes are CDM nodes, and which remain ordinary. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/evidence.h"
#include "policy/macro.h"
#include "policy/nodeset.h"
#include "policy/size.h"
#include "policy/topology.h"

#define POOL_DEFAULT_NAME     "cdm"
#define POOL_DEFAULT_HEADROOM (UINT64_C(64) << 20)
#define POOL_EVIDENCE_STR_MAX (EVIDENCE_STR_MAX + 16)

/* One parsed file of pools.d. */
typedef struct PoolConfig {
        char *name; /* the file's name without .conf */
        char *file;
        unsigned line; /* of [Pool] */
        char *description;
        bool nodes_auto;
        NodeSet nodes; /* when !nodes_auto */
        unsigned nodes_line;
        uint64_t min_bandwidth_mbps; /* selector of auto; 0: any. The file has bytes/s */
        uint64_t max_latency_ns;     /* 0: any */
        int tier;                    /* TIER_UNKNOWN: any */
        bool dax;
        Size headroom; /* on every node */
        bool hold;
        char **cdi_sizes; /* for which `cdmctl cdi` writes devices; NULL: none */
        bool refused;     /* replaces a file that was refused at start: its nodes are not known */
} PoolConfig;

PoolConfig *pool_config_free(PoolConfig *c);
DEFINE_CLEANUP(PoolConfig, pool_config_free);

typedef struct Pool {
        char *name;
        char *description;
        char *file; /* NULL for the default pool */
        NodeSet nodes;
        uint64_t size_bytes; /* sum over its online nodes */
        Size headroom;
        bool hold;
        /* how the pool got its nodes */
        unsigned line; /* of Nodes= in file, or of [Pool] */
        bool nodes_auto;
        char *selectors;  /* "MinBandwidth= (at least 300000 MB/s)"; NULL without */
        bool selects_all; /* every node with memory meets them */
} Pool;

typedef struct PoolSet {
        Pool *pools;
        size_t n_pools;
        NodeSet cdm;      /* every node that belongs to a pool */
        NodeSet ordinary; /* every other node with memory */
        /* Nodes without CPUs that neither evidence (policy/evidence.h) nor a selector distinguishes from
         * plain DRAM. unproven: an `auto` pool took them. passed_over: none did, because they are most of
         * the memory. */
        NodeSet unproven, passed_over;
        bool no_cpu_says_nothing; /* nodes without CPUs and evidence are most of the memory */
        bool awaited;             /* a node may appear that an `auto` pool would take */
} PoolSet;

PoolSet *pool_set_free(PoolSet *s);
DEFINE_CLEANUP(PoolSet, pool_set_free);

/* Determines which node belongs to which pool. Pools with a node list take their nodes first, then `auto`
 * pools in order share what is left: nodes that have memory and no CPU and meet the selectors. Without any
 * pool file there is one pool "cdm" of all such nodes.
 *
 * Nodes with evidence (HMAT, tier, DAX, a driver) are taken whatever their share of the memory. So are nodes
 * that meet selectors which no node with CPUs meets: the admin has distinguished them. Other nodes are also
 * taken, unless they are more than half of the memory, or no ordinary memory would be left. Then `auto`
 * takes none of them. If the machine has no CDM nodes and can get none, the set is empty, which is no error.
 *
 * The result depends only on the arguments, so that the generator, cdmd and cdmctl agree.
 *
 * -ENOSPC: pools would take all memory; -EEXIST: two pools name one node. Then *ret_error is a message,
 * owned by the caller, which starts with FILE:LINE if there is one. A listed node that is absent is no
 * error: it may be hotplugged later. */
int pool_set_resolve(const Topology *t, const PoolConfig *const *configs, size_t n_configs, PoolSet **ret,
                     char **ret_error);

/* As pool_set_resolve(), for a fence that must be up in any case. Nodes of `held` are fenced now, and stay
 * fenced even if hotplug made the nodes without evidence most of the memory; `held` is empty at a start.
 *
 * If pools contradict each other, or one of their files was refused, every node that a pool names or `auto`
 * finds still belongs to a pool, if ordinary memory remains. A node that two pools name belongs to the first
 * one. *ret_error may also be set on success: it then says which pools contradict each other.
 *
 * -ENOSPC: pools would take all memory. */
int pool_set_resolve_at_start(const Topology *t, const PoolConfig *const *configs, size_t n_configs,
                              const NodeSet *held, PoolSet **ret, char **ret_error);

#define POOL_SPARE_NAME_MAX 32
/* Chooses a name that none of these pools has. */
const char *pool_spare_name(const PoolConfig *const *configs, size_t n_configs,
                            char buf[static POOL_SPARE_NAME_MAX]);

const Pool *pool_set_find(const PoolSet *s, const char *name);
const Pool *pool_set_find_node(const PoolSet *s, int node);

/* True if a fence is needed, now or when a node appears. The fence is an allow-list: if it exists before the
 * node, it denies the node from the first byte on. */
bool pool_set_needs_fence(const PoolSet *s);

/* The evidence on which a node was taken: "list" (Nodes= names it), the text of evidence_format(),
 * "selector" (it meets the selectors, and nodes with CPUs do not), or "no-cpu" (no other evidence). For a
 * node in no pool: its evidence, or "". */
const char *pool_evidence(const PoolSet *s, const Topology *t, int node,
                          char buf[static POOL_EVIDENCE_STR_MAX]);

/* The headroom of one node of the pool, in bytes. */
uint64_t pool_headroom_bytes(const Pool *pool, const Node *node);
