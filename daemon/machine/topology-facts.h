/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/topology.h"

/* The facts of a Topology again, in place: kernel, switches, drivers, huge pages. -ENOMEM; what cannot be
 * read is unknown. */
int topology_read_facts(const char *root, Topology *t);

/* Bytes in the pools of huge pages of a node (nodeN/hugepages), and how many of them nobody uses; 0 without.
 */
int topology_read_hugetlb(const char *root, int node, uint64_t *ret_bytes, uint64_t *ret_free_bytes);
