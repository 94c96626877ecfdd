/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One thread's part of a move: it takes part after part of the mappings, and moves their pages in chunks. Lanes
 * of one move run side by side. */

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

/* What all lanes of a move know. */
typedef struct DrainShared {
        NodeSet from;
        DrainTargets *targets;
        DrainQueue *queue;
        uint64_t bandwidth;   /* bytes/s of the only lane; 0: no limit */
        uint64_t limit_bytes; /* upper bound of what the only lane moves; UINT64_MAX: no limit */
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
