/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SCAN, READ and POKE: reads every leaf from the kernel, and pokes the slices of leaves that are not in the
 * desired state. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/fence/fence-internal.h"
#include "daemon/fence/subtenant.h"
#include "daemon/pid1/unit.h"

/* Fences or lifts below units with subtenants. Ended subtenants in the result are ignored here: the keeper,
 * which watches these cgroups, handles them. */
static int scan_below_units(FenceJob *j)
{
        SubtenantFound found = { 0 };
        int r = 0;

        if (j->lift_foreign)
                return subtenant_lift(&j->all);
        if (j->fence_foreign)
                r = subtenant_fence(&found);
        j->found.drained_bytes += found.drained_bytes;
        subtenant_found_clear(&found);
        return r;
}

static int read_run(Job *job, void *userdata)
{
        FenceJob *j = userdata;
        int r = 0;

        fence_scan_clear(&j->scan);
        if (j->fence_foreign)
                r = foreign_fence(j->foreign, NULL, j->bandwidth, job, &j->sweep, &j->found);
        else if (j->lift_foreign)
                r = foreign_lift(j->foreign, &j->all);
        if (r == JOB_PAUSED)
                return r;
        if (r >= 0)
                r = scan_below_units(j);
        if (r >= 0)
                r = fence_scan_read(&j->cdm, j->doubtful_slices, &j->scan);
        for (size_t i = 0; r >= 0 && i < j->scan.n_leaves; i++)
                if (!j->scan.leaves[i].unit)
                        j->scan.leaves[i].promised = foreign_nodes(j->foreign, j->scan.leaves[i].path);
        return r;
}

static void read_done(int result, void *userdata)
{
        FenceJob *j = userdata;
        Fence *f = fence_job_ended(j);

        if (f) {
                f->scan = j->scan;
                f->drained_bytes += j->found.drained_bytes;
                j->scan = (FenceScan){ 0 };
        }
        fence_job_free(j);
        if (!f)
                return;
        f->step_ended(f, result < 0 ? result : 0);
}

static void read_start(Fence *f)
{
        FenceJob *j = calloc(1, sizeof(*j));

        if (!j) {
                f->step_ended(f, -ENOMEM);
                return;
        }
        j->scan = f->scan;
        f->scan = (FenceScan){ 0 };
        j->cdm = f->pools->cdm;
        j->doubtful_slices = f->phase == PHASE_SCAN;
        j->foreign = f->context.foreign;
        j->all = nodeset_union(&f->pools->cdm, &f->pools->ordinary);
        j->bandwidth = f->config ? f->config->drain_bandwidth : 0;
        if (f->phase == PHASE_READ && !f->foreign_done) {
                j->fence_foreign = !f->lifting;
                j->lift_foreign = f->lifting;
                f->foreign_done = true;
        }
        fence_job_start(f, j, j->fence_foreign || j->lift_foreign, read_run, read_done);
}

void fence_step_scan(Fence *f)
{
        read_start(f);
}

void fence_step_read(Fence *f)
{
        read_start(f);
}

static void read_on_poked(int error _unused_, const char *message _unused_, void *userdata)
{
        Fence *f = userdata;

        f->call = unit_call_free(f->call);
        fence_step_poke(f);
}

static int read_run_find_member(Job *job _unused_, void *userdata)
{
        FenceJob *j = userdata;

        return unit_find_member(j->path, &j->unit_path);
}

static void read_on_member(int result, void *userdata)
{
        FenceJob *j = userdata;
        Fence *f = fence_job_ended(j);

        if (f && result >= 0)
                result = unit_poke(f->context.gate, j->unit_path, read_on_poked, f, &f->call);
        fence_job_free(j);
        if (f && result < 0)
                fence_step_poke(f);
}

void fence_step_poke(Fence *f)
{
        if (f->next == f->names.n) {
                f->step_ended(f, 0);
                return;
        }
        FenceJob *j = calloc(1, sizeof(*j));

        if (j)
                j->path = strdup(f->names.names[f->next++]);
        if (!j || !j->path) {
                fence_job_free(j);
                f->step_ended(f, -ENOMEM);
                return;
        }
        fence_job_start(f, j, false, read_run_find_member, read_on_member);
}
