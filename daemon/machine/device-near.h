/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* topology_read_near() on a worker: a driver may keep whoever reads the files of its device. */

#include "daemon/loop/worker.h"
#include "policy/topology.h"

typedef struct DeviceNear DeviceNear;

/* error: that of topology_read_near(). From the event loop; the DeviceNear may be freed there. */
typedef void (*device_near_done_t)(int error, const NodeSet *nodes, void *userdata);

/* Copies all that it needs. */
int device_near_start(Worker *worker, const char *root, const Topology *t, const char *pci,
                      device_near_done_t done, void *userdata, DeviceNear **ret);
/* At any time; done is not called after that. */
DeviceNear *device_near_free(DeviceNear *n);
