/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Moves a cgroup's pages between nodes. All functions block: they are for worker threads of the pool that
 * moves pages. The target nodes must be allowed to the processes that are moved (otherwise -EACCES), and
 * must be in cdmd's own cpuset (otherwise the kernel finds no room there and all pages count as failed). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/loop/worker.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct MoveResult {
        uint64_t moved_bytes;
        uint64_t failed_bytes; /* pages that the kernel did not move: pinned, or no room */
} MoveResult;

/* A move in progress. Only one thread at a time may use it. */
typedef struct DrainMove DrainMove;

/* Prepares a move of the pages that processes of the cgroup map on `from` to the nodes `to`: in chunks, with
 * at most bandwidth bytes/s (0: no limit), in at most three passes or until less than 64 MiB are left. The
 * move stops when limit_bytes have been moved (UINT64_MAX: no limit): for moving pages up into a reservation
 * of that size, or excess pages down. A move without any of these limits uses up to four threads at a time.
 *
 * cold_first, for excess pages: starts with mappings that were not used since the last such move. The use of
 * single pages is not known: idle page tracking and address monitoring with DAMON need more rights than cdmd
 * has, and the sysfs files of DAMON support only one user per machine. */
int drain_move_new(const NodeSet *from, const NodeSet *to, uint64_t limit_bytes, bool cold_first,
                   uint64_t bandwidth, DrainMove **ret);
DrainMove *drain_move_free(DrainMove *m);
DEFINE_CLEANUP(DrainMove, drain_move_free);

/* Runs the move. JOB_PAUSED: job_pause() was called, and the function must be called again with the same
 * cgroup, which may be reopened. job may be NULL: then the function sleeps instead. Progress is the bytes
 * left on `from`. -ECANCELED: the job was cancelled between two chunks. */
int drain_move_run(DrainMove *m, int cgroup_fd, Job *job);
MoveResult drain_move_result(const DrainMove *m);
