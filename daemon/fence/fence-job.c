/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Shared by the steps of the fence: slices, jobs on a worker, and recorded errors. */

#include <stdlib.h>

#include "daemon/fence/fence-internal.h"

/* The number of leaves or properties that are handled per turn of the event loop. */
#define FENCE_TURN_MAX 256

bool fence_go_on(Fence *f)
{
        if (f->n_in_turn < FENCE_TURN_MAX) {
                f->n_in_turn++;
                return true;
        }
        slice_set(f->slice, true);
        return false;
}

void fence_note_told(Fence *f, int error)
{
        if (unit_error_is_passing(error) && f->untold_error == 0)
                f->untold_error = error;
}

void fence_properties_clear(FenceProperties *p)
{
        for (size_t i = 0; i < p->n; i++)
                free(p->list[i].unit);
        free(p->list);
        *p = (FenceProperties){ 0 };
}

FenceJob *fence_job_free(FenceJob *j)
{
        if (!j)
                return NULL;
        fence_scan_clear(&j->scan);
        fence_properties_clear(&j->properties);
        drain_move_free(j->drain.move);
        foreign_sweep_free(j->sweep);
        free(j->found.cgroup);
        free(j->path);
        free(j->unit_path);
        free(j);
        return NULL;
}

void fence_job_start(Fence *f, FenceJob *j, bool moves, job_run_t run, done_t done)
{
        int r;

        j->fence = f;
        /* These jobs go ahead of the drains of releases: their cgroups use the nodes without a promise. */
        if (moves)
                r = worker_submit_first(f->context.mover, run, done, NULL, j, &f->job);
        else
                r = worker_submit(f->context.worker, run, done, NULL, j, &f->job);
        if (r < 0) {
                fence_job_free(j);
                f->step_ended(f, r);
                return;
        }
        f->job_data = j;
}

Fence *fence_job_ended(FenceJob *j)
{
        if (j->fence) {
                j->fence->job = NULL;
                j->fence->job_data = NULL;
        }
        return j->fence;
}
