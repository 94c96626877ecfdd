/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The nodes of the CPUs that a tenant's cgroup may use. Placement prefers CDM nodes near to these. (For the
 * node of a PCI device see topology-device.) */

#include "policy/nodeset.h"

/* Returns the nodes of with_cpu that have a CPU which the cgroup may use; empty: all of them, or unknown.
 * Reads files: for the worker. */
NodeSet near_of_cgroup(const char *root, const NodeSet *with_cpu, int cgroup_fd);
