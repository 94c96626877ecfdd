/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Judges the settings of the kernel and of drivers. Each setting that conflicts with what cdmd promises
 * becomes a sentence that says what to do. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/macro.h"
#include "policy/pool.h"
#include "policy/topology.h"

typedef enum Fact {
        FACT_CDMM,           /* NVIDIA's driver keeps GPU memory out of NUMA */
        FACT_FENCE_DEMOTION, /* demotion ignores cpusets and reaches a pool */
        FACT_DEMOTION,       /* demotion moves tenants' pages off fast nodes */
        FACT_NUMA_BALANCING,
        FACT_HUGETLB,     /* huge pages were taken from CDM nodes */
        FACT_AUTO_ONLINE, /* NVIDIA's driver cannot create nodes */
        /* of the pools; facts-pool.c */
        FACT_POOL_EMPTY,   /* a configured pool has no memory */
        FACT_NODES_ABSENT, /* Nodes= lists nodes without memory */
        FACT_SELECTS_ALL,  /* selectors that every node meets */
        FACT_NO_EVIDENCE,  /* nodes taken only because they have no CPUs */
        FACT_PASSED_OVER,  /* such nodes were not taken, because they are most of the memory */
        FACT_NOT_IN_POOL,  /* a node that could be device memory is open to all */
        FACT_UNMOVABLE,    /* the kernel may put data on nodes that must stay removable */
        _FACT_MAX,
} Fact;

const char *fact_to_string(Fact f);

/* True for facts that follow from nodes and pool files, which `cdmctl check` reports. */
bool fact_is_of_pools(Fact f);

/* 1: *ret is a sentence, owned by the caller; 0: nothing to report; -ENOMEM. */
int fact_judge(Fact f, const Topology *t, const PoolSet *pools, char **ret);

/* True if reclaim can move pages of any process onto these nodes, whatever its cpuset. The kernel's demotion
 * goes from a node to those of slower tiers. It respects cpusets from Linux 6.16 on (7d709f49babc,
 * "vmscan,cgroup: apply mems_effective to reclaim"). Until 7.0 (1aceed565ff1, "mm/vmscan: fix demotion
 * targets checks in reclaim/demotion") it checks only the nearest target, so that a process that may use one
 * slow node can still reach another one; no other process can. A kernel of unknown version counts as an old
 * one. */
bool facts_pool_takes_demotions(const Topology *t, const NodeSet *ordinary, const NodeSet *pool_nodes);
