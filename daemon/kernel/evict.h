/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Evicts page cache that no process maps, which a drain cannot move. Blocks: for worker threads. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/loop/worker.h"
#include "policy/nodeset.h"

/* The progress of an eviction. All fields are zero at the beginning. */
typedef struct Evict {
        bool begun;
        uint64_t left_bytes;
        unsigned n_useless;
        uint64_t evicted_bytes; /* bytes that left the nodes */
} Evict;

/* Evicts the remaining page cache of the cgroup on `from`, in chunks no larger than the file bytes there, until
 * limit_bytes have left these nodes (UINT64_MAX: no limit). Stops after two chunks that had no effect.
 * JOB_PAUSED: job_pause() was called, and the function must be called again. job may be NULL. */
int evict_run(int cgroup_fd, const NodeSet *from, uint64_t limit_bytes, Job *job, Evict *e);
