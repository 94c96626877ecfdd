/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* JUDGE and REPORT: finds the leaves that are not in the desired state, and reports the remaining ones at
 * the end. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fence/fence-internal.h"

bool fence_leaf_is_free(const Fence *f, const FenceLeaf *leaf)
{
        return f->lifting || fence_unit_is_exempt(leaf->unit, f->config->exempt);
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

NodeSet fence_leaf_closed(const Fence *f, const FenceLeaf *leaf, const NodeSet *open)
{
        NodeSet kept = nodeset_intersect(&leaf->mems, &f->pools->cdm),
                ordinary = fence_unit_ordinary(leaf->unit, f->config, f->pools);

        ordinary = fence_leaf_allowed(leaf, &ordinary);
        kept = nodeset_subtract(&kept, open);
        return fence_target(&leaf->mems, &kept, &ordinary);
}

/* True if the leaf is not yet in the desired state. */
static bool judge_is_todo(const Fence *f, const FenceLeaf *leaf, const NodeSet *open)
{
        if (!leaf->unit) /* handled as a foreign cgroup */
                return false;
        if (fence_leaf_is_free(f, leaf))
                return fence_leaf_is_held_back(f, leaf);
        return !nodeset_is_empty(open) || fence_leaf_is_outdated(f, leaf);
}

static int judge_leaf(Fence *f, FenceLeaf *leaf)
{
        NodeSet open = NODESET_EMPTY;

        if (!f->lifting)
                open = fence_leaf_open(leaf, f->config, f->pools, f->context.ledger);
        leaf->judged_closed = nodeset_is_empty(&open);
        if (!judge_is_todo(f, leaf, &open))
                return 0;
        f->n_todo++;
        return leaf->slice ? fence_names_add(&f->names, leaf->slice, NULL) : 0;
}

void fence_step_judge(Fence *f)
{
        int r = 0;

        if (f->next == 0) {
                fence_names_clear(&f->names);
                f->n_todo = 0;
        }
        while (r >= 0 && f->next < f->scan.n_leaves) {
                if (!fence_go_on(f))
                        return;
                r = judge_leaf(f, &f->scan.leaves[f->next++]);
        }
        f->step_ended(f, r < 0 ? r : 0);
}

void fence_report_clear(FenceReport *r)
{
        for (size_t i = 0; i < r->n; i++) {
                free(r->unfenced[i].cgroup);
                free(r->unfenced[i].unit);
                free(r->unfenced[i].reason);
        }
        free(r->unfenced);
        *r = (FenceReport){ 0 };
}

/* Makes room for one more entry. The capacity is always a power of two. */
static int report_grow(FenceReport *r)
{
        Unfenced *array;

        if ((r->n & (r->n - 1)) != 0)
                return 0;
        array = reallocarray(r->unfenced, r->n ? 2 * r->n : 1, sizeof(*array));
        if (!array)
                return -ENOMEM;
        r->unfenced = array;
        return 0;
}

/* Takes ownership of reason; NULL means that the allocation of reason failed. */
static int report_add(Fence *f, const char *cgroup, const char *unit, char *reason)
{
        Unfenced u = { strdup(cgroup), strdup(unit ? unit : ""), reason };

        if (report_grow(&f->next_report) < 0 || !u.cgroup || !u.unit || !u.reason) {
                free(u.cgroup);
                free(u.unit);
                free(u.reason);
                return -ENOMEM;
        }
        f->next_report.unfenced[f->next_report.n++] = u;
        return 0;
}

static char *report_reason(const FenceLeaf *leaf, int error)
{
        char *text = NULL;

        if (error < 0)
                return asprintf(&text, "closing the fence failed before it reached this cgroup: %s",
                                strerror(-error)) < 0
                               ? NULL
                               : text;
        if (leaf->way.cgroup)
                return asprintf(&text,
                                "its ancestor %s allows no ordinary node, so it has all nodes of the "
                                "ancestor, whose set could not be changed",
                                leaf->way.cgroup) < 0
                               ? NULL
                               : text;
        if (!leaf->has_cpuset)
                return asprintf(&text, "the cpuset controller could not be enabled in %s",
                                leaf->off ? leaf->off : "its ancestors") < 0
                               ? NULL
                               : text;
        if (!leaf->unit)
                return strdup("it is not owned by systemd, and its cpuset.mems could not be written");
        return strdup("a later drop-in or a property of the unit sets AllowedMemoryNodes= to CDM nodes; see "
                      "`systemctl cat` of the unit");
}

/* After a failure the last reading does not show everything, so an entry for the failure is added. */
static int report_add_error(Fence *f, int error, bool all_written)
{
        char *text = NULL;

        if (asprintf(&text,
                     all_written  ? "systemd did not answer, and may reopen cgroups that were closed; cdmd "
                                    "will notify it again: %s"
                     : f->lifting ? "lifting the fence failed halfway; some cgroups may still be fenced: %s"
                                  : "closing the fence failed halfway; cgroups that are not listed here may "
                                    "also be open: %s",
                     strerror(-error)) < 0)
                text = NULL;
        return report_add(f, "/", NULL, text);
}

/* If no step failed, a failed notification of systemd counts as the failure. */
static int report_begin(Fence *f)
{
        bool all_written = f->error >= 0 && f->untold_error < 0;

        if (all_written)
                f->error = f->untold_error;
        f->untold = unit_error_is_passing(f->error);
        return f->error < 0 ? report_add_error(f, f->error, all_written) : 0;
}

/* A leaf that was closed when it was judged is not reported: if its reservation has ended since then, the
 * release closes the leaf, and the reading is outdated. */
static int report_leaf(Fence *f, const FenceLeaf *leaf)
{
        NodeSet open;

        if (f->lifting || leaf->judged_closed || fence_leaf_is_empty_slice(leaf))
                return 0;
        open = fence_leaf_open(leaf, f->config, f->pools, f->context.ledger);
        return nodeset_is_empty(&open)
                       ? 0
                       : report_add(f, leaf->path, leaf->unit, report_reason(leaf, f->error));
}

void fence_step_report(Fence *f)
{
        int r = 0;

        if (f->next == 0 && f->next_report.n == 0)
                r = report_begin(f);
        while (r >= 0 && f->next < f->scan.n_leaves) {
                if (!fence_go_on(f))
                        return;
                r = report_leaf(f, &f->scan.leaves[f->next++]);
        }
        f->step_ended(f, r < 0 ? r : 0);
}
