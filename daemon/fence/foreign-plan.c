/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/fence/foreign-plan.h"
#include "policy/word.h"

#include <string.h>

NodeSet foreign_promised(const char *path, const ForeignHold *holds, size_t n_holds)
{
        NodeSet nodes = NODESET_EMPTY;

        for (size_t i = 0; i < n_holds; i++)
                if (word_is_below(path, holds[i].path) || word_is_below(holds[i].path, path))
                        nodes = nodeset_union(&nodes, &holds[i].nodes);
        return nodes;
}

/* The nodes promised to path and its descendants, which path must therefore allow. */
static NodeSet foreign_plan_needed(const char *path, const ForeignHold *holds, size_t n_holds,
                                   bool *ret_is_tenant)
{
        NodeSet nodes = NODESET_EMPTY;

        *ret_is_tenant = false;
        for (size_t i = 0; i < n_holds; i++) {
                if (!word_is_below(holds[i].path, path))
                        continue;
                nodes = nodeset_union(&nodes, &holds[i].nodes);
                *ret_is_tenant |= strcmp(holds[i].path, path) == 0;
        }
        return nodes;
}

static NodeSet or_else(const NodeSet *set, const NodeSet *otherwise)
{
        return nodeset_is_empty(set) ? *otherwise : *set;
}

/* Like the kernel: if the intersection with the parent is empty, the result is the parent's set. */
static NodeSet effective_of(const NodeSet *mems, const NodeSet *parent)
{
        NodeSet both = nodeset_intersect(mems, parent);

        return or_else(&both, parent);
}

/* True if the last write was cdmd's. Only ordinary nodes are compared: CDM nodes come and go with grants. */
static bool is_ours(const ForeignGroup *g, const NodeSet *cdm)
{
        NodeSet is = nodeset_subtract(&g->mems, cdm), set = nodeset_subtract(&g->set, cdm);

        return g->marked && nodeset_equal(&is, &set);
}

/* The fenced set: the cgroup's own ordinary nodes (all, if it had none) plus the promised nodes. If the
 * cgroup had a set of its own, promises of its ancestors are limited to that set: the runtime or an
 * administrator chose the smaller set. */
static NodeSet foreign_plan_fenced(const NodeSet *was, const NodeSet *promised, const NodeSet *need,
                                   const NodeSet *ordinary)
{
        NodeSet base = nodeset_intersect(was, ordinary), given = *promised;

        base = or_else(&base, ordinary);
        if (!nodeset_is_empty(was)) {
                given = nodeset_intersect(promised, was);
                given = nodeset_union(&given, need);
        }
        return nodeset_union(&base, &given);
}

static void decide_one(ForeignGroup *g, const NodeSet *above, const ForeignHold *holds, size_t n_holds,
                       const NodeSet *ordinary, const NodeSet *cdm)
{
        NodeSet promised = foreign_promised(g->path, holds, n_holds), need, would, open;
        bool ours = is_ours(g, cdm), is_tenant;

        need = foreign_plan_needed(g->path, holds, n_holds, &is_tenant);
        would = effective_of(&g->mems, above);
        open = nodeset_intersect(&would, cdm);
        open = nodeset_subtract(&open, &promised);
        g->before = ours ? g->was : g->mems;
        if (!nodeset_is_empty(&open) || (ours && !is_tenant))
                g->target = foreign_plan_fenced(&g->before, &promised, &need, ordinary);
        else if (!is_tenant && !nodeset_is_empty(&g->mems))
                g->target = nodeset_union(&g->mems, &need);
        else
                g->target = g->mems;
}

void foreign_decide(ForeignGroup *groups, size_t n, const ForeignHold *holds, size_t n_holds,
                    const NodeSet *ordinary, const NodeSet *cdm)
{
        NodeSet all = nodeset_union(ordinary, cdm);

        for (size_t i = 0; i < n; i++) {
                ForeignGroup *g = &groups[i];
                /* the parent's set after the change */
                const NodeSet *above = g->parent >= 0 ? &groups[g->parent].effective : &all;
                NodeSet promised = foreign_promised(g->path, holds, n_holds);

                g->open = nodeset_intersect(&g->effective, cdm);
                g->open = nodeset_subtract(&g->open, &promised);
                if (g->has_cpuset)
                        decide_one(g, above, holds, n_holds, ordinary, cdm);
                g->effective = effective_of(&g->target, above);
        }
}
