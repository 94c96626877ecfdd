/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Shared by the steps of the fence: slices, turns, jobs on a worker, and recorded errors. */

#include <stdlib.h>

#include "daemon/fence/fence-internal.h"
#include "daemon/loop/clock.h"

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

static int fence_on_impatient(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
        Fence *f = userdata;

        f->patience_usec = 0;
        f->turn = turn_free(f->turn);
        /* A unit must not stay confined when there is no fence any more. */
        if (f->lifting)
                f->turn_begin(0, f);
        else
                slice_set(f->slice, true);
        return 0;
}

int fence_turns_new(Fence *f)
{
        int r = sd_event_add_time(f->context.event, &f->impatience, CLOCK_MONOTONIC, 0, 1,
                                  fence_on_impatient, f);

        if (r >= 0)
                r = sd_event_source_set_enabled(f->impatience, SD_EVENT_OFF);
        /* A turn that is free begins first. */
        return r < 0 ? r : sd_event_source_set_priority(f->impatience, SD_EVENT_PRIORITY_NORMAL + 1);
}

static void fence_on_turn(int result, void *userdata)
{
        Fence *f = userdata;
        uint64_t waited = clock_monotonic_usec() - f->asked_usec;

        (void)sd_event_source_set_enabled(f->impatience, SD_EVENT_OFF);
        f->patience_usec -= waited < f->patience_usec ? waited : f->patience_usec;
        f->turn_begin(result, f);
}

void fence_take_turn(Fence *f, const char *unit, done_t begin)
{
        f->turn_begin = begin;
        f->asked_usec = clock_monotonic_usec();
        int r = turn_take(f->context.turns, unit, fence_on_turn, f, &f->turn);
        if (r >= 0)
                r = sd_event_source_set_time(f->impatience, f->asked_usec + f->patience_usec);
        if (r >= 0)
                r = sd_event_source_set_enabled(f->impatience, SD_EVENT_ONESHOT);
        if (r < 0)
                f->step_ended(f, r);
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
