/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds the device of a node's memory, and the nodes that belong to a device or are near to it. */

#include "policy/topology.h"

/* Fills in `device` and `dax` of the nodes. The sources are read in this order, and the first one that names
 * a device wins: NVIDIA's driver ("0004:04:00.0"), CXL ("mem0", or "region0" if it is interleaved over
 * several), other devices of the dax bus ("dax0.0"). -ENOMEM is the only failure. */
int topology_read_devices(int root_fd, Topology *t);

/* True if the string is the address of a PCI device, 0000:65:00.0 or 65:00.0. */
bool topology_pci_is_valid(const char *pci);

/* Returns the nodes near a PCI device (0000:65:00.0 or 65:00.0): the nodes of its own memory, otherwise the
 * node that it is attached to (sys/bus/pci/devices/ADDRESS/numa_node); empty if the kernel does not know.
 * -EINVAL: not a PCI address. -ENOENT: no such device. */
int topology_read_near(const char *root, const Topology *t, const char *pci, NodeSet *ret);

/* Fills in `removable` and `kernel_zone`, after the devices are known. -ENOMEM is the only failure. */
int topology_read_zones(int root_fd, Topology *t);
