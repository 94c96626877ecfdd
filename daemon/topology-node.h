/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the readers of devices (topology-device.c, topology-gpu.c) share. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/topology.h"

#define DEVICE_NAME_MAX 64

/* Is it made of what names of devices are made of? It goes to terminals and JSON. */
bool topology_device_name_is_valid(const char *name);
/* Gives a node its device, unless it has one or the name is no device's. -ENOMEM. */
int topology_set_device(Node *n, const char *name);
/* Where a node's memory begins, by its blocks. Negative errno: unknown. */
int topology_node_address(int root_fd, int node, uint64_t *ret);
