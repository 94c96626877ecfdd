/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The nodes of the CPUs that a tenant's cgroup may use. Placement prefers CDM nodes near to these. (The node
 * that a PCI device is attached to is topology-device's.) */

#include "policy/nodeset.h"

/* The nodes of with_cpu with a CPU that the cgroup may use; empty: all of them, or unknown. Reads files: for
 * the worker. */
NodeSet near_of_cgroup(const char *root, const NodeSet *with_cpu, int cgroup_fd);
