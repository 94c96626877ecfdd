/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs topology_read_near() on a worker: a driver may block a reader of its device's files. */

#include "daemon/loop/worker.h"
#include "policy/topology.h"

typedef struct DeviceNear DeviceNear;

/* Copies its arguments. done gets the result of topology_read_near(), and may free the DeviceNear. */
int device_near_start(Worker *worker, const char *root, const Topology *t, const char *pci, done_t done,
                      void *userdata, DeviceNear **ret);
/* The nodes near the device, after done got 0. Valid until the DeviceNear is freed. */
const NodeSet *device_near_nodes(const DeviceNear *n);
/* May be called at any time; done is not called afterwards. */
DeviceNear *device_near_free(DeviceNear *n);
