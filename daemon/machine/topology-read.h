/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Fills in a Topology from sysfs and procfs below a root directory: cdmd, cdmctl --offline and the generator
 * all see the machine through this. */

#include "daemon/machine/topology-facts.h"
#include "policy/topology.h"

/* root: "" for the machine itself, else a directory that holds sys/ and proc/. Every single attribute may be
 * missing or garbled (then it counts as unknown, and the rest is still read); node numbers may be sparse. A
 * node that is only `possible` is left out. -ENOENT: no sys/devices/system/node; -ENOMEM; -EIO: the node
 * list itself is garbled. */
int topology_read(const char *root, Topology **ret);
/* Where nothing can be read, *ret_error says which file is to blame and what to do; owned by the caller,
 * NULL when out of memory. */
int topology_read_explained(const char *root, Topology **ret, char **ret_error);

/* MemTotal and MemFree of one node again (/sys/devices/system/node/nodeN/meminfo): two numbers, cheap enough
 * for every request. -ENOENT: the node is gone. */
int topology_read_meminfo(const char *root, int node, uint64_t *ret_size_bytes, uint64_t *ret_free_bytes);

/* The same, and the memory that the kernel uses itself. */
typedef struct NodeUsage {
        uint64_t size_bytes, free_bytes;
        uint64_t slab_bytes, stack_bytes, page_table_bytes; /* 0 where the kernel does not say */
        /* Free pages on per-CPU lists (/proc/zoneinfo, pagesets), which MemFree does not count: measured up
         * to 30 MiB of a node of 1 GiB with two CPUs (7.3). */
        uint64_t cpu_list_bytes;
} NodeUsage;
int topology_read_usage(const char *root, int node, NodeUsage *ret);
