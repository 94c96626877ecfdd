/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs topology_read_near() on a worker: a driver may block a reader of its device's files. */

#include "daemon/loop/worker.h"
#include "policy/topology.h"

typedef struct DeviceNear DeviceNear;

/* error: the result of topology_read_near(). Called from the event loop; the callee may free the
 * DeviceNear. */
typedef void (*device_near_done_t)(int error, const NodeSet *nodes, void *userdata);

/* Copies its arguments. */
int device_near_start(Worker *worker, const char *root, const Topology *t, const char *pci,
                      device_near_done_t done, void *userdata, DeviceNear **ret);
/* May be called at any time; done is not called afterwards. */
DeviceNear *device_near_free(DeviceNear *n);
