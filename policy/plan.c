/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/plan.h"

#include <errno.h>

static const char *const step_kind_table[_STEP_KIND_MAX] = {
        [STEP_OPEN_WAY] = "open-way", [STEP_CLOSE_WAY] = "close-way", [STEP_WRITE] = "write",
        [STEP_PROPERTY] = "property", [STEP_VERIFY] = "verify",       [STEP_MIGRATE] = "migrate",
        [STEP_DRAIN] = "drain",       [STEP_EVICT] = "evict",         [STEP_MEASURE] = "measure",
};

const char *step_kind_to_string(StepKind v)
{
        return v < _STEP_KIND_MAX ? step_kind_table[v] : NULL;
}

/* Values derived from the input. */
typedef struct PlanChange {
        NodeSet target;  /* base and wanted */
        NodeSet wide;    /* nodes allowed before any node is taken away */
        NodeSet added;   /* target - current */
        NodeSet removed; /* current - target */
        NodeSet leaving; /* removed nodes, and those that the caller gives up */
        NodeSet excess;  /* kept nodes with more bytes than the tenant holds there */
        NodeSet back;    /* the set that a failed widening restores */
} PlanChange;

/* `back` is `current` with two exceptions. It lacks nodes that are being taken away: when the narrowing half
 * of a swap fails, undoing the widening must not reopen nodes that have just been closed. And it has an
 * ordinary node even if `current` has none, because a set of CDM nodes alone must never be written. */
static PlanChange change_of(const PlanInput *in)
{
        PlanChange c = { .target = nodeset_union(&in->base, &in->wanted) };

        c.wide = nodeset_union(&in->current, &c.target);
        c.added = nodeset_subtract(&c.target, &in->current);
        c.removed = nodeset_subtract(&in->current, &c.target);
        c.leaving = nodeset_subtract(&in->leaving, &c.target);
        c.leaving = nodeset_union(&c.leaving, &c.removed);
        for (size_t i = 0; i < in->n_excess; i++)
                if (in->excess[i].bytes > 0 && nodeset_contains(&in->wanted, in->excess[i].node))
                        nodeset_add(&c.excess, in->excess[i].node);
        c.back = nodeset_intersect(&in->current, &c.target);
        if (!nodeset_intersects(&c.back, &in->base))
                c.back = nodeset_union(&c.back, &in->base);
        return c;
}

static Step *plan_add(Plan *p, StepKind kind, const NodeSet *nodes)
{
        Step *s = &p->steps[p->n_steps++];

        *s = (Step){ .kind = kind, .nodes = *nodes };
        return s;
}

static void plan_add_from(Plan *p, StepKind kind, const NodeSet *from, const NodeSet *nodes)
{
        plan_add(p, kind, nodes)->from = *from;
}

static void plan_add_undone(Plan *p, StepKind kind, const NodeSet *nodes, const NodeSet *back)
{
        Step *s = plan_add(p, kind, nodes);

        s->has_inverse = true;
        s->inverse_kind = kind;
        s->inverse_nodes = *back;
}

/* This step is needed even if the leaf is not widened: another program may have narrowed the ancestors. */
static void plan_open_way(Plan *p, const PlanInput *in, const NodeSet *to, const NodeSet *back)
{
        NodeSet way = nodeset_intersect(to, &in->wanted);
        Step *s;

        if (!in->has_way)
                return;
        s = plan_add(p, STEP_OPEN_WAY, &way);
        s->has_inverse = true;
        s->inverse_kind = STEP_CLOSE_WAY;
        s->inverse_nodes = nodeset_intersect(back, &in->wanted);
}

/* The worker writes first, so that systemd's write of the same set changes nothing in the kernel. */
static void plan_widen(Plan *p, const PlanInput *in, const PlanChange *c)
{
        plan_open_way(p, in, &c->wide, &c->back);
        plan_add_undone(p, STEP_WRITE, &c->wide, &c->back);
        if (in->has_property)
                plan_add_undone(p, STEP_PROPERTY, &c->wide, &c->back);
        plan_add(p, STEP_VERIFY, &c->wide);
}

/* The steps have no inverse: a closed node stays closed, whatever fails later. Pages go to ordinary nodes,
 * not to CDM nodes that the tenant keeps: these have room for their reservations only. */
static void plan_narrow(Plan *p, const PlanInput *in, const PlanChange *c)
{
        plan_add_from(p, STEP_DRAIN, &c->leaving, &in->base);
        plan_add(p, STEP_WRITE, &c->target);
        if (in->has_property)
                plan_add(p, STEP_PROPERTY, &c->target);
        if (in->has_way) {
                NodeSet way = nodeset_intersect(&c->target, &in->wanted);

                plan_add(p, STEP_CLOSE_WAY, &way);
        }
        plan_add(p, STEP_VERIFY, &c->target);
        plan_add_from(p, STEP_EVICT, &c->leaving, &in->base);
}

static void plan_add_limited(Plan *p, StepKind kind, int node, const NodeSet *nodes, uint64_t bytes)
{
        NodeSet from = nodeset_of(node);

        if (bytes == 0)
                return;
        plan_add_from(p, kind, &from, nodes);
        p->steps[p->n_steps - 1].bytes = bytes;
}

/* Each node has its own steps, because the limits of the nodes are independent. */
static void plan_push_excess(Plan *p, const PlanInput *in, const PlanChange *c)
{
        size_t n = 0;

        for (size_t i = 0; i < in->n_excess && n < PLAN_EXCESS_MAX; i++) {
                const PlanExcess *e = &in->excess[i];
                uint64_t file = e->file_bytes < e->bytes ? e->file_bytes : e->bytes;

                if (e->bytes == 0 || !nodeset_contains(&c->excess, e->node))
                        continue;
                plan_add_limited(p, STEP_EVICT, e->node, &in->base, file);
                plan_add_limited(p, STEP_DRAIN, e->node, &in->base, e->bytes - file);
                n++;
        }
}

/* An empty cpuset.mems inherits the parent's set, so the cgroup is open. This state is never restored:
 * clearing the file would open the cgroup again (and fails on a populated cgroup of an older kernel). A
 * cgroup that inherits from a fenced one is not open, so its grant can be undone. */
static void plan_close_inherited(Plan *p, const PlanInput *in, const PlanChange *c)
{
        if (in->has_way) {
                plan_open_way(p, in, &c->target, &in->base);
                plan_add_undone(p, STEP_WRITE, &c->target, &in->base);
        } else {
                plan_add(p, STEP_WRITE, &c->target);
        }
        if (in->has_property)
                plan_add(p, STEP_PROPERTY, &c->target);
        plan_add(p, STEP_VERIFY, &c->target);
}

/* Moves pages to the new nodes, or to all CDM nodes of the tenant if only the migration was requested. */
static void plan_migrate_up(Plan *p, const PlanInput *in, const PlanChange *c)
{
        NodeSet fresh = nodeset_intersect(&c->added, &in->wanted);
        const NodeSet *to = nodeset_is_empty(&fresh) ? &in->wanted : &fresh;

        if (!nodeset_is_empty(to))
                plan_add_from(p, STEP_MIGRATE, &in->base, to);
}

/* systemd applies the property when it creates the cgroup, before any process runs there. */
static void plan_for_unborn(Plan *p, const PlanInput *in)
{
        NodeSet target = nodeset_union(&in->base, &in->wanted);

        if (in->has_property)
                plan_add_undone(p, STEP_PROPERTY, &target, &in->base);
}

static void plan_living(Plan *p, const PlanInput *in)
{
        PlanChange c = change_of(in);
        bool inherits = nodeset_is_empty(&in->current);
        bool widens = !inherits && !nodeset_is_empty(&c.added);
        bool narrows = !nodeset_is_empty(&c.leaving);
        NodeSet measured;

        if (widens)
                plan_widen(p, in, &c);
        else if (inherits && !narrows)
                plan_close_inherited(p, in, &c);
        else if (!narrows) {
                plan_open_way(p, in, &c.target, &c.target);
                plan_add(p, STEP_VERIFY, &c.target);
        }
        if (in->migrate_up)
                plan_migrate_up(p, in, &c);
        plan_push_excess(p, in, &c);
        if (narrows)
                plan_narrow(p, in, &c);
        /* Measure last, so that one measurement covers the whole change. */
        measured = nodeset_union(&c.leaving, &c.excess);
        if (!nodeset_is_empty(&measured))
                plan_add_from(p, STEP_MEASURE, &measured, &in->base);
}

int plan(const PlanInput *in, Plan *ret)
{
        Plan p = { .n_steps = 0 };

        if (nodeset_is_empty(&in->base) || nodeset_intersects(&in->base, &in->wanted))
                return -EINVAL;
        /* Without a cgroup there is nothing to write, drain or measure. The property is still set, because
         * it applies at the next start of the unit. */
        if (in->ended && in->has_property)
                plan_add(&p, STEP_PROPERTY, &in->base);
        else if (in->unborn)
                plan_for_unborn(&p, in);
        else if (!in->ended)
                plan_living(&p, in);
        *ret = p;
        return 0;
}
