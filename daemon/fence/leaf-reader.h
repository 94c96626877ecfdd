/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads the sets of single cgroups on a worker. One job runs at a time, and reads a batch of the waiting
 * cgroups. A cgroup that is requested again while it waits is read once. A cgroup that is requested while it
 * is being read is read again, because the change may have come after the read. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/fence/fence-scan.h"
#include "daemon/loop/worker.h"
#include "policy/macro.h"

typedef struct LeafReader LeafReader;

typedef struct LeafReading {
        int error;      /* -ENOENT: the cgroup is gone, or has no set of its own */
        uint64_t usec;  /* CLOCK_MONOTONIC, before the read */
        bool check;     /* as passed to leaf_reader_add() */
        FenceLeaf leaf; /* only the names, id and sets; of the unit's cgroup if the path is below one */
} LeafReading;

/* Called from the event loop. Must not free the LeafReader; may call leaf_reader_add(). */
typedef void (*leaf_read_done_t)(LeafReading *reading, void *userdata);

int leaf_reader_new(Worker *worker, leaf_read_done_t done, void *userdata, LeafReader **ret);
/* done is not called afterwards. */
LeafReader *leaf_reader_free(LeafReader *r);
DEFINE_CLEANUP(LeafReader, leaf_reader_free);

/* check: returned in the reading; true if any of several requests for the same path sets it. -ENOBUFS: too
 * many cgroups are waiting. */
int leaf_reader_add(LeafReader *r, const char *path, bool check);
