/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who has pages on CDM nodes now. Values only: the ledger decides what is reserved and what an intruder. */

#include <stddef.h>
#include <stdint.h>

#include "daemon/cgroup.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct Holder {
        char *cgroup;
        bool inner; /* a slice or other inner cgroup: these bytes are of cgroups that ended */
        NumaBytes bytes;
} Holder;

typedef struct NodeObservation {
        int node;
        uint64_t size_bytes, free_bytes;
        uint64_t hugetlb_bytes; /* nodeN/hugepages: pages of the pool, used or not */
        uint64_t root_bytes; /* of the root cgroup itself, which cannot be fenced; 0 when the kernel does not
                                say */
} NodeObservation;

typedef struct Observation {
        Holder *holders; /* by node, then by cgroup */
        size_t n_holders;
        NodeObservation *nodes;
        size_t n_nodes;
} Observation;

Observation *observation_free(Observation *o);
DEFINE_CLEANUP(Observation, observation_free);

/* Reads every cgroup: for `who`, at start and after a change of nodes, not for a request. root as in
 * topology_read(). */
int observe_all(const char *root, const NodeSet *nodes, Observation **ret);

/* used - attributed, at least 0. */
uint64_t observation_unattributed(const Observation *o, int node);
