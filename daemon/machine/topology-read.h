/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads a Topology from sysfs and procfs below a root directory, for cdmd, cdmctl --offline and the
 * generator. */

#include "daemon/machine/topology-facts.h"
#include "policy/topology.h"

/* root: "" for this machine, otherwise a directory that contains sys/ and proc/. Every attribute may be
 * missing or invalid (then its value is unknown, and the rest is still read). Node numbers may be sparse. A
 * node that is only `possible` is not included. -ENOENT: no sys/devices/system/node; -ENOMEM; -EIO: the node
 * list is invalid. */
int topology_read(const char *root, Topology **ret);
/* The same. On failure *ret_error names the file that is the cause and what to do; owned by the caller, NULL
 * when out of memory. */
int topology_read_explained(const char *root, Topology **ret, char **ret_error);

/* Reads MemTotal and MemFree of one node (/sys/devices/system/node/nodeN/meminfo), which is cheap enough for
 * every request. -ENOENT: the node is gone. */
int topology_read_meminfo(const char *root, int node, uint64_t *ret_size_bytes, uint64_t *ret_free_bytes);

/* The same, plus the memory used by the kernel. */
typedef struct NodeUsage {
        uint64_t size_bytes, free_bytes;
        uint64_t slab_bytes, stack_bytes, page_table_bytes; /* 0: not reported */
        /* Free pages on per-CPU lists (/proc/zoneinfo, pagesets), which MemFree does not count: up to 30 MiB
         * were measured on a node of 1 GiB with two CPUs (7.3). */
        uint64_t cpu_list_bytes;
} NodeUsage;
int topology_read_usage(const char *root, int node, NodeUsage *ret);
