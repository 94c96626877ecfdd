/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which device a node's memory belongs to, and which nodes belong to a device or are near to it. */

#include "policy/topology.h"

/* Fills in `device` and `dax` of the nodes. Best source first, and the first that names a device stays:
 * NVIDIA's driver ("0004:04:00.0"), CXL ("mem0", or "region0" when that is interleaved over several), other
 * devices of the dax bus ("dax0.0"). -ENOMEM is the only failure. */
int topology_read_devices(int root_fd, Topology *t);

/* Is that the address of a PCI device, 0000:65:00.0 or 65:00.0? */
bool topology_pci_is_valid(const char *pci);

/* The nodes near a PCI device (0000:65:00.0 or 65:00.0): the nodes of its own memory, else the node that it
 * is attached to (sys/bus/pci/devices/ADDRESS/numa_node); empty when the kernel does not know. -EINVAL: no
 * PCI address; -ENOENT: no such device here. */
int topology_read_near(const char *root, const Topology *t, const char *pci, NodeSet *ret);

/* `removable` and `kernel_zone`, when devices are known. -ENOMEM is the only failure. */
int topology_read_zones(int root_fd, Topology *t);
