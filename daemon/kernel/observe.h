/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lists the cgroups with pages on CDM nodes. Values only: the ledger tells reserved bytes from those of
 * intruders. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/kernel/cgroup.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct Holder {
        char *cgroup; /* "/" for the root cgroup, which cannot be fenced */
        bool inner;   /* a slice or other inner cgroup: these bytes are of cgroups that ended */
        NumaBytes bytes;
} Holder;

typedef struct NodeObservation {
        int node;
        uint64_t size_bytes, free_bytes;
        uint64_t hugetlb_bytes,
                hugetlb_free_bytes; /* in the node's pools of huge pages; the unused ones of these */
        uint64_t slab_bytes, stack_bytes, page_table_bytes; /* the kernel's own, charged to cgroups or not */
        uint64_t cpu_list_bytes;                            /* free pages on per-CPU lists */
} NodeObservation;

/* Bytes that no cgroup accounts for, by origin. */
typedef struct Unattributed {
        uint64_t hugetlb_bytes; /* huge pages that are free, or used outside of any hugetlb cgroup */
        uint64_t kernel_bytes;
        uint64_t cpu_list_bytes; /* free pages on per-CPU lists */
        uint64_t other_bytes; /* memory that drivers handed out; struct page_ext and other tables of the boot
                               */
} Unattributed;

typedef struct Observation {
        Holder *holders; /* by node, then by cgroup */
        size_t n_holders;
        NodeObservation *nodes;
        size_t n_nodes;
} Observation;

Observation *observation_free(Observation *o);
DEFINE_CLEANUP(Observation, observation_free);

/* Reads every cgroup: for `who`, at start and after a change of nodes, not for a request. root as in
 * topology_read(). is_split: the children of this leaf are listed in its place; NULL: of none. */
int observe_all(const char *root, const NodeSet *nodes, bool (*is_split)(const char *path),
                Observation **ret);

const NodeObservation *observation_find_node(const Observation *o, int node);

/* used - attributed, at least 0, and its parts: with what the holders have they add up to what is used of
 * the node. */
uint64_t observation_unattributed(const Observation *o, int node, Unattributed *ret);
