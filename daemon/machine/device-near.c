/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/machine/device-near.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/machine/topology-device.h"

/* The job owns this while it runs. A DeviceNear that is freed meanwhile is an orphan, and is destroyed when
 * the job ends. */
struct DeviceNear {
        char *root, *pci;
        Topology *topology; /* only nodes and their devices */
        NodeSet nodes;
        done_t done;
        void *userdata;
        Job *job; /* NULL: it has ended */
        bool in_done, orphan;
};

static void device_near_destroy(DeviceNear *n)
{
        free(n->root);
        free(n->pci);
        topology_free(n->topology);
        free(n);
}

DeviceNear *device_near_free(DeviceNear *n)
{
        if (!n)
                return NULL;
        n->orphan = true;
        if (n->job)
                job_cancel(n->job);
        else if (!n->in_done)
                device_near_destroy(n);
        return NULL;
}

const NodeSet *device_near_nodes(const DeviceNear *n)
{
        return &n->nodes;
}

static int device_near_run(Job *job _unused_, void *userdata)
{
        DeviceNear *n = userdata;

        return topology_read_near(n->root, n->topology, n->pci, &n->nodes);
}

static void device_near_on_done(int result, void *userdata)
{
        DeviceNear *n = userdata;

        n->job = NULL;
        n->in_done = true;
        if (!n->orphan)
                n->done(result, n->userdata);
        n->in_done = false;
        if (n->orphan)
                device_near_destroy(n);
}

int device_near_start(Worker *worker, const char *root, const Topology *t, const char *pci, done_t done,
                      void *userdata, DeviceNear **ret)
{
        DeviceNear *n = calloc(1, sizeof(*n));

        if (!n)
                return -ENOMEM;
        *n = (DeviceNear){ .root = strdup(root), .pci = strdup(pci), .done = done, .userdata = userdata };
        int r = n->root && n->pci ? topology_copy_devices(t, &n->topology) : -ENOMEM;
        if (r >= 0)
                r = worker_submit(worker, device_near_run, device_near_on_done, NULL, n, &n->job);
        if (r < 0) {
                device_near_destroy(n);
                return r;
        }
        *ret = n;
        return 0;
}
