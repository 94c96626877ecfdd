/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the readers of devices: the device and the address of a node's memory. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/topology.h"

#define DEVICE_NAME_MAX     64
#define TOPOLOGY_MEMORY_DIR "sys/devices/system/memory"

/* Names are printed to terminals and in JSON, so only the characters of device names are accepted. */
bool topology_device_name_is_valid(const char *name);

/* Sets the device of a node. A node that has a device keeps it, and an invalid name is ignored. Fails with
 * -ENOMEM. */
int topology_set_device(Node *n, const char *name);

/* The first address of a node's memory, from its memory blocks. Negative errno: unknown. */
int topology_node_address(int root_fd, int node, uint64_t *ret);

/* Reads one hexadecimal number, with or without 0x. */
int topology_read_hex(int root_fd, const char *path, uint64_t *ret);
