/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading every leaf as the kernel has it, and what follows: which slices are poked, whether workers have to
 * write, and what is reported in the end. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/fence/fence-internal.h"
#include "daemon/pid1/unit.h"

static int run_scan(Job *job, void *userdata)
{
        FenceJob *j = userdata;
        int r = 0;

        if (j->fence_foreign)
                r = foreign_fence(j->foreign, NULL, j->bandwidth, job, &j->sweep, &j->found);
        else if (j->lift_foreign)
                r = foreign_lift(j->foreign, &j->all);
        if (r == JOB_PAUSED)
                return r;
        if (r >= 0)
                r = fence_scan_read(&j->cdm, j->doubtful_slices, &j->scan);
        for (size_t i = 0; r >= 0 && i < j->scan.n_leaves; i++)
                if (!j->scan.leaves[i].unit)
                        j->scan.leaves[i].promised = foreign_nodes(j->foreign, j->scan.leaves[i].path);
        return r;
}

bool fence_leaf_is_free(const Fence *f, const FenceLeaf *leaf)
{
        return f->lifting || fence_unit_is_exempt(leaf->unit, f->config);
}

bool fence_leaf_is_held_back(const Fence *f, const FenceLeaf *leaf)
{
        return leaf->unit && leaf->has_cpuset && !nodeset_is_empty(&leaf->mems) &&
               !nodeset_is_empty(&f->kept_off) && !nodeset_intersects(&leaf->mems, &f->kept_off);
}

bool fence_leaf_is_outdated(const Fence *f, const FenceLeaf *leaf)
{
        NodeSet promised, base;

        if (!leaf->unit || !leaf->has_cpuset || nodeset_is_empty(&f->before) ||
            nodeset_equal(&f->before, &f->pools->ordinary))
                return false;
        promised = fence_leaf_promised(leaf, &f->pools->cdm, f->context.ledger);
        base = nodeset_subtract(&leaf->mems, &promised);
        return nodeset_equal(&base, &f->before);
}

/* Is the leaf not (yet) as it shall be? */
static bool is_todo(const Fence *f, const FenceLeaf *leaf)
{
        NodeSet open;

        if (!leaf->unit) /* systemd has no part in it */
                return false;
        if (fence_leaf_is_free(f, leaf))
                return fence_leaf_is_held_back(f, leaf);
        open = fence_leaf_open(leaf, f->config, f->pools, f->context.ledger);
        return !nodeset_is_empty(&open) || fence_leaf_is_outdated(f, leaf);
}

void fence_unfenced_clear(Fence *f)
{
        for (size_t i = 0; i < f->n_unfenced; i++) {
                free(f->unfenced[i].cgroup);
                free(f->unfenced[i].unit);
                free(f->unfenced[i].reason);
        }
        free(f->unfenced);
        f->unfenced = NULL;
        f->n_unfenced = 0;
}

/* Takes over reason; NULL means that it could not be allocated. */
static int add_unfenced(Fence *f, const char *cgroup, const char *unit, char *reason)
{
        Unfenced u = { strdup(cgroup), strdup(unit ? unit : ""), reason };
        Unfenced *array = reallocarray(f->unfenced, f->n_unfenced + 1, sizeof(*array));

        if (array)
                f->unfenced = array;
        if (!array || !u.cgroup || !u.unit || !u.reason) {
                free(u.cgroup);
                free(u.unit);
                free(u.reason);
                return -ENOMEM;
        }
        f->unfenced[f->n_unfenced++] = u;
        return 0;
}

static char *unfenced_reason(const FenceLeaf *leaf, int error)
{
        char *text = NULL;

        if (error < 0)
                return asprintf(&text, "closing the fence has failed before it was reached: %s",
                                strerror(-error)) < 0
                               ? NULL
                               : text;
        if (leaf->way.cgroup)
                return asprintf(&text,
                                "%s above it allows none of the ordinary nodes, so that it has all "
                                "nodes of that one; its set could not be changed",
                                leaf->way.cgroup) < 0
                               ? NULL
                               : text;
        if (!leaf->has_cpuset)
                return asprintf(&text, "the cpuset controller is not enabled in %s, and could not be",
                                leaf->off ? leaf->off : "what is above it") < 0
                               ? NULL
                               : text;
        if (!leaf->unit)
                return strdup("systemd does not own it, and its cpuset.mems could not be written");
        return strdup("a later drop-in or a property of the unit sets AllowedMemoryNodes= to CDM nodes; see "
                      "`systemctl cat` of it");
}

/* An end that came too early leaves more to be said than the last reading shows. */
static int report_error(Fence *f, int error)
{
        char *text = NULL;

        if (asprintf(&text,
                     f->untold ? "systemd did not answer, and may open again what was closed; it will be "
                                 "told anew: %s"
                     : f->lifting
                             ? "lifting the fence has failed half way, cgroups may be fenced or not: %s"
                             : "closing the fence has failed half way, cgroups that are not listed here "
                               "may be open as well: %s",
                     strerror(-error)) < 0)
                text = NULL;
        return add_unfenced(f, "/", NULL, text);
}

int fence_report(Fence *f, int error)
{
        int r = 0;

        fence_unfenced_clear(f);
        if (error < 0)
                r = report_error(f, error);
        for (size_t i = 0; r >= 0 && !f->lifting && i < f->scan.n_leaves; i++) {
                const FenceLeaf *leaf = &f->scan.leaves[i];
                NodeSet open = fence_leaf_open(leaf, f->config, f->pools, f->context.ledger);

                if (!nodeset_is_empty(&open))
                        r = add_unfenced(f, leaf->path, leaf->unit, unfenced_reason(leaf, error));
        }
        return r;
}

static void step_poke(Fence *f);

/* After a reading: done, or which slices to poke, or the last resort. */
static void judge(Fence *f)
{
        size_t n = 0;
        int r = 0;

        fence_names_clear(&f->names);
        f->next = 0;
        for (size_t i = 0; i < f->scan.n_leaves && r >= 0; i++) {
                const FenceLeaf *leaf = &f->scan.leaves[i];

                if (!is_todo(f, leaf))
                        continue;
                n++;
                if (leaf->slice)
                        r = fence_names_add(&f->names, leaf->slice, NULL);
        }
        if (r < 0) {
                fence_finish(f, r);
                return;
        }
        if (n > 0 && n < f->n_todo && f->names.n > 0) {
                f->n_todo = n;
                step_poke(f);
                return;
        }
        /* Files that were there already, but that systemd has never read: cdmd was killed in between. */
        if (n > 0 && !f->reloaded) {
                f->n_todo = SIZE_MAX;
                fence_step_reload(f);
                return;
        }
        if ((n > 0 || f->written.n > 0) && !f->narrowed) {
                f->narrowed = true;
                fence_step_narrow(f);
                return;
        }
        fence_finish(f, fence_report(f, 0));
}

static void scan_done(int result, void *userdata)
{
        FenceJob *j = userdata;
        Fence *f = fence_job_ended(j);

        if (f) {
                fence_scan_clear(&f->scan);
                f->scan = j->scan;
                f->drained_bytes += j->found.drained_bytes;
                j->scan = (FenceScan){ 0 };
        }
        fence_job_free(j);
        if (!f)
                return;
        f->next = 0;
        if (result < 0)
                fence_finish(f, result);
        else if (f->phase == PHASE_SCAN)
                fence_step_ask(f);
        else
                judge(f);
}

static void scan_start(Fence *f, Phase phase)
{
        FenceJob *j = calloc(1, sizeof(*j));

        f->phase = phase;
        if (!j) {
                fence_finish(f, -ENOMEM);
                return;
        }
        j->cdm = f->pools->cdm;
        j->doubtful_slices = phase == PHASE_SCAN;
        j->foreign = f->context.foreign;
        j->all = nodeset_union(&f->pools->cdm, &f->pools->ordinary);
        j->bandwidth = f->config ? f->config->drain_bandwidth : 0;
        if (phase == PHASE_READ && !f->foreign_done) {
                j->fence_foreign = !f->lifting;
                j->lift_foreign = f->lifting;
                f->foreign_done = true;
        }
        fence_job_start(f, j, j->fence_foreign || j->lift_foreign, run_scan, scan_done);
}

void fence_step_scan(Fence *f)
{
        scan_start(f, PHASE_SCAN);
}

void fence_step_read(Fence *f)
{
        scan_start(f, PHASE_READ);
}

static void poke_done(int error _unused_, const char *message _unused_, void *userdata)
{
        Fence *f = userdata;

        f->call = unit_call_free(f->call);
        step_poke(f);
}

static int run_find_member(Job *job _unused_, void *userdata)
{
        FenceJob *j = userdata;

        return unit_find_member(j->path, &j->unit_path);
}

static void member_found(int result, void *userdata)
{
        FenceJob *j = userdata;
        Fence *f = fence_job_ended(j);

        if (f && result >= 0)
                result = unit_poke(f->context.gate, j->unit_path, poke_done, f, &f->call);
        fence_job_free(j);
        if (f && result < 0)
                step_poke(f);
}

static void step_poke(Fence *f)
{
        f->phase = PHASE_POKE;
        if (f->next == f->names.n) {
                fence_step_read(f);
                return;
        }
        FenceJob *j = calloc(1, sizeof(*j));

        if (j)
                j->path = strdup(f->names.names[f->next++]);
        if (!j || !j->path) {
                fence_job_free(j);
                fence_finish(f, -ENOMEM);
                return;
        }
        fence_job_start(f, j, false, run_find_member, member_found);
}
