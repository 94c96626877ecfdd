/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lists the cgroups with pages on CDM nodes. The result is a plain value: the ledger distinguishes reserved
 * bytes from bytes of intruders. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/kernel/cgroup.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct Holder {
        char *cgroup; /* "/" for the root cgroup, which cannot be fenced */
        bool inner;   /* a slice or other inner cgroup: the bytes are left from ended cgroups */
        NumaBytes bytes;
} Holder;

typedef struct NodeObservation {
        int node;
        uint64_t size_bytes, free_bytes;
        uint64_t hugetlb_bytes, hugetlb_free_bytes; /* all huge pages in the node's pools; the unused ones */
        uint64_t slab_bytes, stack_bytes, page_table_bytes; /* kernel memory, charged to cgroups or not */
        uint64_t cpu_list_bytes;                            /* free pages on per-CPU lists */
} NodeObservation;

/* Bytes that no cgroup accounts for, by origin. */
typedef struct Unattributed {
        uint64_t hugetlb_bytes; /* huge pages that are free, or used outside of any hugetlb cgroup */
        uint64_t kernel_bytes;
        uint64_t cpu_list_bytes; /* free pages on per-CPU lists */
        uint64_t other_bytes; /* memory allocated by drivers; struct page_ext and other tables from boot */
} Unattributed;

typedef struct Observation {
        Holder *holders; /* by node, then by cgroup */
        size_t n_holders;
        NodeObservation *nodes;
        size_t n_nodes;
} Observation;

Observation *observation_free(Observation *o);
DEFINE_CLEANUP(Observation, observation_free);

/* Reads every cgroup. Used for `who`, at startup and after a change of nodes, but not for requests. root: as
 * for topology_read(). is_split: tells whether the children of a leaf are listed separately; NULL: never. */
int observe_all(const char *root, const NodeSet *nodes, bool (*is_split)(const char *path),
                Observation **ret);

const NodeObservation *observation_find_node(const Observation *o, int node);

/* Returns used - attributed, at least 0, and its parts. The parts and the bytes of the holders add up to the
 * used bytes of the node. */
uint64_t observation_unattributed(const Observation *o, int node, Unattributed *ret);
