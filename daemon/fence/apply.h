/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Carries out a plan for one tenant, step by step: blocking steps on workers, property steps on the bus.
 * When a step fails, the inverses of those done before run: writes first, as on the way there, each kind
 * in reverse order. This is the only place that changes what a cgroup may use. */

#include <stdint.h>

#include "daemon/fence/foreign.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/drain.h"
#include "daemon/loop/worker.h"
#include "daemon/pid1/gate.h"
#include "policy/plan.h"

typedef struct ApplyTarget {
        const char *unit;           /* NULL: systemd does not own it */
        const char *cgroup;         /* NULL: the unit has ended, only its property is set */
        uint64_t cgroup_id;         /* 0: any; else a different inode is -ESTALE */
        Foreign *foreign;           /* without a unit: who opens and closes the way to it */
        uint64_t migrate_max_bytes; /* STEP_MIGRATE moves no more than that; 0: no limit */
        bool usable;                /* what is opened has to be of use to a process there, if there is one */
} ApplyTarget;

typedef struct ApplyResult {
        int error;       /* 0, or the negative errno of the step that failed */
        StepKind failed; /* when error < 0 */
        char *message;   /* what failed and why, for the user; NULL when error is 0 */
        int undo_error;  /* an inverse failed as well: the kernel's state is not what it was */
        uint64_t moved_bytes, failed_bytes, evicted_bytes;
        NumaBytes *residue; /* what STEP_MEASURE found, an entry a node */
        size_t n_residue;
} ApplyResult;

typedef struct Apply Apply;

/* result is valid during the call; the Apply is freed by the caller, also from within the callback. */
typedef void (*apply_done_t)(Apply *a, const ApplyResult *result, void *userdata);
typedef void (*apply_progress_t)(Apply *a, StepKind step, uint64_t bytes_left, void *userdata);

/* worker: for what is short; mover: for what moves pages. */
int apply_start(Gate *gate, Worker *worker, Worker *mover, const ApplyTarget *target, const Plan *plan,
                uint64_t bandwidth, apply_done_t done, apply_progress_t progress, void *userdata,
                Apply **ret);
/* Cancels: the step in flight ends by itself (a call to systemd is not taken back), the rest is not done,
 * nothing is undone, and done is not called. Does not block. */
Apply *apply_free(Apply *a);
DEFINE_CLEANUP(Apply, apply_free);
