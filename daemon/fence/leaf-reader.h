/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads what single cgroups are restricted to, on a worker: one job at a time, which reads some of those that
 * wait. A cgroup that is asked for while it waits is read once. One that is asked for while it is being read
 * is read again, since the change may have come after the read. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/fence/fence-scan.h"
#include "daemon/loop/worker.h"
#include "policy/macro.h"

typedef struct LeafReader LeafReader;

typedef struct LeafReading {
        int error;     /* -ENOENT: it is gone, or nothing is restricted there */
        uint64_t usec; /* CLOCK_MONOTONIC, before it was read */
        bool check;    /* as it was asked for */
        FenceLeaf
                leaf; /* without the bytes that it has; of the unit's cgroup, where the path is below one */
} LeafReading;

/* Called from the event loop. Must not free the LeafReader; may ask for more. */
typedef void (*leaf_read_done_t)(LeafReading *reading, void *userdata);

int leaf_reader_new(Worker *worker, leaf_read_done_t done, void *userdata, LeafReader **ret);
/* done is not called any more. */
LeafReader *leaf_reader_free(LeafReader *r);
DEFINE_CLEANUP(LeafReader, leaf_reader_free);

/* check: handed back; true where one of several that asked said so. -ENOBUFS: too many wait. */
int leaf_reader_add(LeafReader *r, const char *path, bool check);
