/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One change of one tenant: what its cgroup allows now, and what the ledger says it shall have, become a
 * plan, and the plan is applied. Grant, release, repair and migration are all this, with the ledger changed
 * before.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "daemon/fence-scan.h"
#include "daemon/manager-buffer.h"
#include "daemon/fence-scan.h"
#include "daemon/manager.h"

struct Change {
        Manager *manager;
        char *unit, *cgroup;
        Apply *apply;
        sd_event_source *defer; /* for what is done at once */
        int early_error;
        const char *early_message;
        bool changed;
        change_done_t done;
        void *userdata;
};

Change *change_free(Change *c)
{
        if (!c)
                return NULL;
        apply_free(c->apply);
        sd_event_source_disable_unref(c->defer);
        free(c->unit);
        free(c->cgroup);
        free(c);
        return NULL;
}

static void change_free_p(Change **c)
{
        change_free(*c);
}

static int on_early(sd_event_source *source, void *userdata)
{
        Change *c = userdata;
        ApplyResult result = { .error = c->early_error, .message = (char *)c->early_message };

        c->done(&result, false, c->userdata);
        return 0;
}

static int finish_early(Manager *m, Change *c, int error, const char *message)
{
        c->early_error = error;
        c->early_message = message;
        return sd_event_add_defer(m->event, &c->defer, on_early, c);
}

static void on_applied(Apply *a, const ApplyResult *result, void *userdata)
{
        Change *c = userdata;

        /* What it narrowed or drained may have had a buffer mapped. */
        if (c->changed)
                buffers_look(c->manager->buffers);
        c->done(result, c->changed, c->userdata);
}

/* What the tenant keeps in any case: never empty, never a CDM node, also when pools changed since. Of what
 * it had before its first grant somebody may have taken a part since, or given more: that is not cdmd's. */
static NodeSet base_of(Manager *m, const Reservation *r, const NodeSet *current)
{
        NodeSet ordinary = fence_unit_ordinary(r->target->unit, m->config, m->pools),
                base = nodeset_intersect(&r->base, &ordinary);

        return nodeset_is_empty(&base) ? ordinary : base;
}

static bool plan_has(const Plan *p, StepKind kind)
{
        for (size_t i = 0; i < p->n_steps; i++)
                if (p->steps[i].kind == kind)
                        return true;
        return false;
}

static void plan_append(Plan *p, StepKind kind, const NodeSet *from, const NodeSet *nodes)
{
        if (p->n_steps < PLAN_STEPS_MAX)
                p->steps[p->n_steps++] = (Step){ .kind = kind, .from = *from, .nodes = *nodes };
}

int change_read_current(const Subject *target, NodeSet *ret)
{
        uint64_t id;

        int fd = cgroup_open(target->cgroup, &id);
        if (fd < 0)
                return fd;
        if (target->cgroup_id && id != target->cgroup_id) {
                close(fd);
                return -ESTALE;
        }
        int r = cgroup_read_mems(fd, ret);
        close(fd);
        /* The controller is not enabled there: nothing is restricted, which is what an empty set says. */
        if (r == -ENOENT) {
                *ret = NODESET_EMPTY;
                return 0;
        }
        return r;
}

typedef struct Held {
        Manager *manager;
        int node;
        uint64_t bytes; /* for pages of its own: without what its buffers hold */
} Held;

static int add_held(Reservation *r, void *userdata)
{
        Held *h = userdata;

        if (r->state == RESERVATION_DRAINING || r->state == RESERVATION_QUEUED)
                return 0;
        uint64_t bytes = 0, buffers = buffers_bytes(h->manager->buffers, r->id, h->node, true);
        for (size_t i = 0; i < r->n_shares; i++)
                if (r->shares[i].node == h->node)
                        bytes += r->shares[i].bytes;
        h->bytes += bytes > buffers ? bytes - buffers : 0;
        return 0;
}

/* What it has on nodes that it gives up but that another reservation of it keeps open, above what all those
 * hold there. Kernel memory cannot be moved, and does not count. */
static int find_excess(Manager *m, const Reservation *r, const NodeSet *nodes, Share *ret, size_t *ret_n)
{
        _cleanup_free_ NumaBytes *array = NULL;
        uint64_t id;
        size_t n = 0, n_excess = 0;

        int fd = cgroup_open(r->target->cgroup, &id);
        if (fd < 0)
                return fd;
        int k = cgroup_read_numa(fd, nodes, &array, &n);
        close(fd);
        /* The memory controller is not enabled there (or it is gone, which the steps will find). */
        if (k == -ENOENT)
                k = 0;
        for (size_t i = 0; k >= 0 && i < n && n_excess < SHARES_MAX; i++) {
                uint64_t bytes = numa_bytes_movable(&array[i]);
                Held held = { m, array[i].node, 0 };

                ledger_foreach_of_tenant(m->ledger, ledger_tenant_key(r->target), add_held, &held);
                if (bytes > held.bytes)
                        ret[n_excess++] = (Share){ held.node, bytes - held.bytes };
        }
        if (k >= 0)
                *ret_n = n_excess;
        return k;
}

/* Pages are moved up into what the tenant has reserved on those nodes, by this reservation and its others,
 * not beyond. 0 would mean without limit. */
static uint64_t room_bytes(Manager *m, const Reservation *r)
{
        uint64_t used = manager_reservation_used(m, r) - buffers_bytes(m->buffers, r->id, -1, true),
                 held = 0;
        NodeSet shut = ledger_shut_nodes(m->ledger);

        for (size_t i = 0; i < r->n_shares; i++) {
                Held h = { m, r->shares[i].node, 0 };

                if (nodeset_contains(&shut, h.node))
                        continue;
                ledger_foreach_of_tenant(m->ledger, ledger_tenant_key(r->target), add_held, &h);
                held += h.bytes;
        }
        return held > used + m->page_bytes ? held - used : m->page_bytes;
}

static int make_plan(Manager *m, const Reservation *r, const ChangeTerms *terms, Plan *ret)
{
        NodeSet open = ledger_tenant_nodes(m->ledger, ledger_tenant_key(r->target));
        NodeSet kept = nodeset_intersect(&terms->leaving, &open);
        Share excess[SHARES_MAX];
        PlanInput in = {
                .wanted = open,
                .leaving = terms->leaving,
                .excess = excess,
                .migrate_up = terms->migrate,
                .has_property = r->target->unit != NULL,
                .has_way = !r->target->unit,
        };

        *ret = (Plan){ .n_steps = 0 };
        int k = change_read_current(r->target, &in.current);
        if (k < 0)
                return k;
        in.base = base_of(m, r, &in.current);
        /* Without a fence nobody is kept off: a leaf that inherits stays as it is, and one that a fence of
         * before left with a set of its own gets all nodes back. */
        if (m->config->mode != FENCE_MODE_ENFORCE) {
                in.wanted = m->pools->cdm;
                in.migrate_up = false;
                /* The end of the fence has given it back what it had; a new one shall know of it. */
                if (in.has_way)
                        return foreign_hold(m->foreign, r->target->cgroup, &open);
        } else if (!nodeset_is_empty(&kept)) {
                k = find_excess(m, r, &kept, excess, &in.n_excess);
                if (k < 0)
                        return k;
        }
        if (m->config->mode == FENCE_MODE_ENFORCE || !nodeset_is_empty(&in.current)) {
                k = plan(&in, ret);
                if (k < 0)
                        return k;
        }
        if (terms->migrate && !plan_has(ret, STEP_MIGRATE) && !nodeset_is_empty(&open))
                plan_append(ret, STEP_MIGRATE, &in.base, &open);
        return 0;
}

int change_start(Manager *m, const Reservation *r, const ChangeTerms *terms, change_done_t done,
                 void *userdata, Change **ret)
{
        _cleanup_(change_free_p) Change *c = calloc(1, sizeof(*c));
        ApplyTarget target;
        Plan p;

        if (!c)
                return -ENOMEM;
        c->manager = m;
        c->done = done;
        c->userdata = userdata;
        c->unit = r->target->unit ? strdup(r->target->unit) : NULL;
        /* A scope that was never started has none. */
        c->cgroup = r->target->cgroup ? strdup(r->target->cgroup) : NULL;
        if ((r->target->cgroup && !c->cgroup) || (r->target->unit && !c->unit))
                return -ENOMEM;
        int k = c->cgroup ? make_plan(m, r, terms, &p) : -ENOENT;
        if (k < 0)
                k = finish_early(m, c, k, "the control group is not there any more");
        else if (p.n_steps == 0)
                k = finish_early(m, c, 0, NULL);
        else {
                c->changed = plan_has(&p, STEP_WRITE) || plan_has(&p, STEP_PROPERTY);
                target = (ApplyTarget){ c->unit, c->cgroup, r->target->cgroup_id, m->foreign,
                                        room_bytes(m, r) };
                k = apply_start(m->gate, m->worker, m->mover, &target, &p, m->config->drain_bandwidth,
                                on_applied, NULL, c, &c->apply);
        }
        if (k < 0)
                return k;
        *ret = TAKE_PTR(c);
        return 0;
}
