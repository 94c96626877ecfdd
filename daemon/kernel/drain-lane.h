/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One thread's part of a move: process by process, mapping by mapping, chunk by chunk. Lanes of one move run
 * side by side, each with a process of its own, so that many processes are moved by several processors. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/kernel/drain-targets.h"
#include "daemon/loop/worker.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

/* What all lanes of a move know. */
typedef struct DrainShared {
        NodeSet from;
        DrainTargets *targets;
        uint64_t bandwidth;   /* bytes/s of the only lane; 0: no limit */
        uint64_t limit_bytes; /* upper bound of what the only lane moves; UINT64_MAX: no limit */
        bool cold_first;      /* the only lane starts with mappings that were not used recently */

        /* during a run */
        Job *job; /* may be NULL */
        uint64_t started_usec;
        bool was_paused;
        pid_t *members; /* after a pause: the processes that are in the cgroup now */
        size_t n_members;
        atomic_bool stop; /* all lanes pause after their chunks */

        bool has_huge; /* some pages on `from` are in transparent huge pages */
        pid_t *pids;   /* of this pass */
        size_t n_pids;

        pthread_mutex_t lock;      /* for what follows */
        size_t next_pid;           /* the next process that a lane takes */
        uint64_t left_bytes;       /* for progress */
        uint64_t moved_bytes;      /* of all passes */
        uint64_t failed_bytes;     /* of this pass */
        uint64_t pause_until_usec; /* for job_pause() */
        int first_error;           /* of this pass */
} DrainShared;

typedef struct DrainLane DrainLane;

/* shared is borrowed. */
int drain_lane_new(DrainShared *shared, DrainLane **ret);
DrainLane *drain_lane_free(DrainLane *l);
DEFINE_CLEANUP(DrainLane, drain_lane_free);

/* Moves until no process of the pass is left to take. JOB_PAUSED: a pause is due, and the function must be
 * called again; no file is open until then. -ECANCELED: the job was cancelled between two chunks. */
int drain_lane_run(DrainLane *l);
