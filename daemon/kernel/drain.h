/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Moves a cgroup's pages between nodes. All of it blocks: worker threads only, of the pool for what moves.
 * The target nodes must be allowed to the processes that are moved (else -EACCES) and in cdmd's own cpuset
 * (else the kernel finds no room there and all pages count as failed). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/loop/worker.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct MoveResult {
        uint64_t moved_bytes;
        uint64_t failed_bytes; /* pages that the kernel would not move: pinned, or no room */
} MoveResult;

/* A move under way. Owned by whoever runs it; one thread at a time may use it. */
typedef struct DrainMove DrainMove;

/* To move what processes of the cgroup map on `from` to `to`, in chunks, at most bandwidth bytes/s (0: no
 * limit), in at most three passes or until under 64 MiB are left. It stops when limit_bytes were moved
 * (UINT64_MAX: no limit): for moving pages up into a reservation of that size, or excess down.
 *
 * cold_first, for pages that are in excess: those of mappings that were not used since the last such move go
 * first. Which pages of a mapping, nobody says: idle page tracking and DAMON's addresses need more rights
 * than cdmd has, and DAMON's sysfs files have one owner a machine. */
int drain_move_new(const NodeSet *from, const NodeSet *to, uint64_t limit_bytes, bool cold_first,
                   uint64_t bandwidth, DrainMove **ret);
DrainMove *drain_move_free(DrainMove *m);
DEFINE_CLEANUP(DrainMove, drain_move_free);

/* JOB_PAUSED: job_pause() was called, and this is to be called again with the same cgroup, opened anew if need
 * be. job may be NULL: then it sleeps instead. Progress is the bytes left on `from`. -ECANCELED: the job was
 * cancelled between two chunks. */
int drain_move_run(DrainMove *m, int cgroup_fd, Job *job);
MoveResult drain_move_result(const DrainMove *m);

/* The progress of an eviction; all zero at first. */
typedef struct DrainEvict {
        bool begun;
        uint64_t left_bytes;
        unsigned n_useless;
        uint64_t evicted_bytes; /* what left */
} DrainEvict;

/* Evicts page cache of the cgroup that stayed on `from`, in chunks no larger than the file bytes there;
 * stops after two useless ones. JOB_PAUSED: as above. */
int drain_evict(int cgroup_fd, const NodeSet *from, Job *job, DrainEvict *e);
