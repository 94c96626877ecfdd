/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Evidence that a node is device memory. The lack of CPUs is weak evidence: LPARs, emulated NUMA, small
 * boards and some firmware put plain DRAM into nodes without CPUs. Evidence comes from a driver, a DAX
 * device, the kernel's memory tiers, or the firmware's HMAT. */

#include "policy/topology.h"

typedef enum Evidence {
        EVIDENCE_DRIVER = 1 << 0, /* a driver or a CXL region names the node's device */
        EVIDENCE_DAX = 1 << 1,    /* a DAX device put the node online */
        EVIDENCE_TIER = 1 << 2,   /* its memory tier differs from that of ordinary memory */
        EVIDENCE_HMAT = 1 << 3,   /* its read bandwidth clearly differs from that of ordinary memory */
} Evidence;

#define EVIDENCE_STR_MAX 64

/* Ordinary memory, as far as known before pools are resolved: the memory of nodes with CPUs. If no node has
 * both, all memory that neither a driver nor DAX names. */
typedef struct EvidenceBase {
        bool has_cpu_memory;
        int slowest_tier;      /* TIER_UNKNOWN */
        uint64_t slowest_mbps; /* 0: unknown */
} EvidenceBase;

EvidenceBase evidence_base(const Topology *t);

/* A bit mask of Evidence; 0 for a node with CPUs, unless a driver or DAX names it. An empty node is judged
 * by what is known about it. */
unsigned evidence_of(const EvidenceBase *base, const Node *n);

/* "driver,hmat"; "" for none. */
const char *evidence_format(unsigned evidence, char buf[static EVIDENCE_STR_MAX]);

/* Nodes that have evidence, and those that have memory and no CPUs, but no evidence. */
NodeSet evidence_nodes(const Topology *t);
NodeSet evidence_missing(const Topology *t);
