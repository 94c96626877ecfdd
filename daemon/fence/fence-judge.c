/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What follows from a reading: which leaves are not as they shall be, and what is reported in the end. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fence/fence-internal.h"

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
static bool judge_is_todo(const Fence *f, const FenceLeaf *leaf)
{
        NodeSet open;

        if (!leaf->unit) /* systemd has no part in it */
                return false;
        if (fence_leaf_is_free(f, leaf))
                return fence_leaf_is_held_back(f, leaf);
        open = fence_leaf_open(leaf, f->config, f->pools, f->context.ledger);
        return !nodeset_is_empty(&open) || fence_leaf_is_outdated(f, leaf);
}

int fence_judge(Fence *f)
{
        int r = 0;

        fence_names_clear(&f->names);
        f->n_todo = 0;
        for (size_t i = 0; i < f->scan.n_leaves && r >= 0; i++) {
                const FenceLeaf *leaf = &f->scan.leaves[i];

                if (!judge_is_todo(f, leaf))
                        continue;
                f->n_todo++;
                if (leaf->slice)
                        r = fence_names_add(&f->names, leaf->slice, NULL);
        }
        return r;
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
static int judge_add_unfenced(Fence *f, const char *cgroup, const char *unit, char *reason)
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

static char *judge_unfenced_reason(const FenceLeaf *leaf, int error)
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
static int judge_report_error(Fence *f, int error)
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
        return judge_add_unfenced(f, "/", NULL, text);
}

int fence_report(Fence *f, int error)
{
        int r = 0;

        fence_unfenced_clear(f);
        if (error < 0)
                r = judge_report_error(f, error);
        for (size_t i = 0; r >= 0 && !f->lifting && i < f->scan.n_leaves; i++) {
                const FenceLeaf *leaf = &f->scan.leaves[i];
                NodeSet open = fence_leaf_open(leaf, f->config, f->pools, f->context.ledger);

                if (!nodeset_is_empty(&open))
                        r = judge_add_unfenced(f, leaf->path, leaf->unit,
                                               judge_unfenced_reason(leaf, error));
        }
        return r;
}
