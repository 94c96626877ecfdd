/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Moves a cgroup's pages between nodes. All of it blocks: worker
 * threads only. The target nodes must be allowed to the processes that are moved
 * (else -EACCES) and in cdmd's own cpuset (else the kernel finds no room there and all pages count as
 * failed). */

#include <stddef.h>
#include <stdint.h>

#include "daemon/cgroup.h"
#include "daemon/worker.h"
#include "policy/nodeset.h"

typedef struct MoveResult {
        uint64_t moved_bytes;
        uint64_t failed_bytes; /* pages that the kernel would not move: pinned, or no room */
} MoveResult;

/* Moves what processes of the cgroup map on `from` to `to`, in chunks, at most bandwidth bytes/s (0: no
 * limit), in at most three passes or until under 64 MiB are left. job may be NULL; progress is the bytes
 * left on `from`. -ECANCELED: the job was cancelled between two chunks. */
int drain_move(int cgroup_fd, const NodeSet *from, const NodeSet *to, uint64_t bandwidth, Job *job,
               MoveResult *ret);

/* The same, but moves at most limit_bytes: for moving pages up into a reservation of that size. */
int drain_move_some(int cgroup_fd, const NodeSet *from, const NodeSet *to, uint64_t limit_bytes,
                    uint64_t bandwidth, Job *job, MoveResult *ret);

/* The same for pages that are in excess: those of mappings that were not used since the last such call go
 * first. Which pages of a mapping, nobody says: idle page tracking and DAMON's addresses need more rights
 * than cdmd has, and DAMON's sysfs files have one owner a machine. */
int drain_move_coldest(int cgroup_fd, const NodeSet *from, const NodeSet *to, uint64_t limit_bytes,
                       uint64_t bandwidth, Job *job, MoveResult *ret);

/* Evicts page cache of the cgroup that stayed on `from`, in chunks no larger than the file bytes there;
 * stops after two useless ones. *ret_evicted_bytes is what left. */
int drain_evict(int cgroup_fd, const NodeSet *from, Job *job, uint64_t *ret_evicted_bytes);
