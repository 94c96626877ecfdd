/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/topology.h"

/* Reads the facts of a Topology again, in place: kernel, switches, drivers, huge pages. Facts that cannot be
 * read are unknown. -ENOMEM. */
int topology_read_facts(const char *root, Topology *t);

/* Reads the bytes in the huge page pools of a node (nodeN/hugepages), and the unused bytes among them; 0
 * without pools. */
int topology_read_hugetlb(const char *root, int node, uint64_t *ret_bytes, uint64_t *ret_free_bytes);
