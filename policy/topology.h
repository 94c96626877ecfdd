/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The machine's NUMA nodes as plain values. daemon/machine/topology-read.c fills it in from sysfs;
 * everything in policy/ only reads it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

#define TIER_UNKNOWN (-1)

typedef struct Node {
        int id;
        bool online; /* it has memory or CPUs that are online */
        bool has_cpu;
        uint64_t size_bytes;          /* MemTotal of the node; 0 for a node without memory */
        uint64_t free_bytes;          /* MemFree at the time of the snapshot */
        uint64_t read_bandwidth_mbps; /* HMAT, from its nearest initiators; 0 when unknown */
        uint64_t read_latency_ns;     /* HMAT; 0 when unknown */
        NodeSet initiators;           /* nearest CPU nodes (access1, else access0); empty when unknown */
        int tier;                     /* N of memory_tierN, smaller is faster; TIER_UNKNOWN */
        bool dax;                     /* memory that a dax/kmem device put online */
        char *device;           /* "0004:04:00.0", "dax0.0", "mem0" ... or NULL: the device it belongs to */
        bool removable;         /* has memory that was plugged in or put online by a driver, and may be
                                 * removed */
        bool kernel_zone;       /* some of that memory is in a zone for kernel data (not ZONE_MOVABLE) */
        uint64_t hugetlb_bytes; /* in the node's pools of huge pages, used or not */
        uint16_t *distance;     /* n entries in the order of Topology.nodes, or NULL */
} Node;

typedef struct Topology {
        Node *nodes; /* by ascending id; numbers may be sparse */
        size_t n_nodes;
        NodeSet possible; /* nodes that may ever exist; empty when unknown */
        /* The following may change while the machine runs: topology_read_facts(). */
        unsigned kernel_major, kernel_minor; /* 0.0 when unknown */
        bool demotion_enabled;               /* /sys/kernel/mm/numa/demotion_enabled */
        bool numa_balancing;                 /* /proc/sys/kernel/numa_balancing is not 0 */
        char auto_online[16];                /* policy for new memory: "offline", "online", "online_kernel",
                                 "online_movable"; "" when unknown */
        char *cdmm;    /* the setting that keeps GPU memory out of NUMA (NVIDIA's CDMM mode), or NULL */
        bool gpu_numa; /* an NVIDIA GPU's memory is a node, or meant to become one */
        bool gpu_needs_movable; /* its driver accepts only online_movable */
        char *unread;           /* a line for each node of unknown size, with the reason; NULL: none */
} Topology;

Topology *topology_free(Topology *t);
DEFINE_CLEANUP(Topology, topology_free);

/* Copies only the ids and devices of the nodes, for use in another thread. -ENOMEM. */
int topology_copy_devices(const Topology *t, Topology **ret);
/* Moves the facts from a copy into t. Nodes that the copy does not have keep their values. */
void topology_take_facts(Topology *t, Topology *from);

const Node *topology_find(const Topology *t, int node);
Node *topology_get(Topology *t, int node);

/* All nodes that have memory, and all nodes that have memory and CPUs. */
NodeSet topology_memory_nodes(const Topology *t);
NodeSet topology_cpu_nodes(const Topology *t);
/* Possible nodes that have neither memory nor CPUs: memory may be plugged in there, or come online again. */
NodeSet topology_empty_nodes(const Topology *t);

/* SLIT distance from one node to another; 255 (unreachable) when unknown. */
unsigned topology_distance(const Topology *t, int from, int to);

/* The smallest distance from any node of a set; 255 when the set is empty. */
unsigned topology_distance_from_set(const Topology *t, const NodeSet *from, int to);
