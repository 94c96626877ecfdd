/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where a tenant computes: the nodes of the CPUs that its cgroup may use. Placement prefers CDM nodes near to
 * those. (The node that a PCI device is attached to is topology-device's.) */

#include "policy/nodeset.h"

/* Those of with_cpu of which the cgroup may use a CPU; empty: of all of them, or it cannot be read. Reads
 * files: for the worker. */
NodeSet near_of_cgroup(const char *root, const NodeSet *with_cpu, int cgroup_fd);
