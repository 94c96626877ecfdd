/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Carries out a plan for one tenant, step by step: blocking steps on workers, property steps on the bus.
 * When a step fails, the inverses of the completed steps run: inverses of writes first, then all others,
 * each group in reverse order. Grants and releases change the nodes of a cgroup only through this module. */

#include <stdint.h>

#include "daemon/fence/foreign.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/drain.h"
#include "daemon/loop/worker.h"
#include "daemon/pid1/gate.h"
#include "policy/plan.h"

typedef struct ApplyTarget {
        const char *unit;           /* NULL: not owned by systemd */
        const char *cgroup;         /* NULL: the unit has ended, only its property is set */
        uint64_t cgroup_id;         /* 0: any; otherwise a different inode is -ESTALE */
        Foreign *foreign;           /* without a unit: opens and closes its ancestors */
        uint64_t migrate_max_bytes; /* upper bound for STEP_MIGRATE; 0: no limit */
        bool usable;                /* verify that a process there, if any, can use the opened nodes */
} ApplyTarget;

typedef struct ApplyResult {
        int error;       /* 0, or the negative errno of the step that failed */
        StepKind failed; /* when error < 0 */
        char *message;   /* what failed and why, for the user; NULL when error is 0 */
        int undo_error;  /* an inverse failed too: the previous state was not restored */
        uint64_t moved_bytes, failed_bytes, evicted_bytes;
        NumaBytes *residue; /* result of STEP_MEASURE, one entry per node */
        size_t n_residue;
} ApplyResult;

typedef struct Apply Apply;

/* result is valid during the call. The callee may free the Apply. */
typedef void (*apply_done_t)(Apply *a, const ApplyResult *result, void *userdata);
typedef void (*apply_progress_t)(Apply *a, StepKind step, uint64_t bytes_left, void *userdata);

/* worker: for short steps; mover: for steps that move pages. */
int apply_start(Gate *gate, Worker *worker, Worker *mover, const ApplyTarget *target, const Plan *plan,
                uint64_t bandwidth, apply_done_t done, apply_progress_t progress, void *userdata,
                Apply **ret);
/* Cancels without blocking: the step in flight ends on its own (a call to systemd is not revoked), the
 * remaining steps do not run, nothing is undone, and done is not called. */
Apply *apply_free(Apply *a);
DEFINE_CLEANUP(Apply, apply_free);
