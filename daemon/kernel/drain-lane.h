/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A lane is one of the threads of a move. It takes one part after the other from the DrainQueue, and moves
 * the pages of each part in chunks. The lanes of a move run in parallel. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/kernel/drain-queue.h"
#include "daemon/kernel/drain-targets.h"
#include "daemon/loop/worker.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

/* The state that the lanes of a move share. With a limit of either kind there is only one lane. */
typedef struct DrainShared {
        NodeSet from;
        DrainTargets *targets;
        DrainQueue *queue;
        uint64_t bandwidth;   /* bytes/s; 0: no limit */
        uint64_t limit_bytes; /* upper bound of the moved bytes; UINT64_MAX: no limit */
        unsigned n_lanes;

        /* during a run */
        Job *job; /* may be NULL */
        uint64_t started_usec;
        atomic_bool stop; /* all lanes pause after their chunks */
        bool has_huge;    /* some pages on `from` are in transparent huge pages */

        pthread_mutex_t lock;      /* for all that follows */
        uint64_t left_bytes;       /* for progress, and for the size of chunks */
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

/* Moves until nothing of the pass is left to take. JOB_PAUSED: a pause is due, and the function must be
 * called again; no file is open until then. -ECANCELED: the job was cancelled between two chunks. */
int drain_lane_run(DrainLane *l);
