/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One change of one tenant. The worker reads what the tenant's cgroup allows and uses now. That and the
 * desired state in the ledger become a plan, which is applied. Grant, release, repair and migration all work
 * this way: the ledger changes first. */

#include "daemon/tenant/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fence/fence-scan.h"
#include "daemon/fence/way.h"
#include "daemon/kernel/tenant-read.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/core.h"

struct Change {
        const ChangeContext *context;
        Book *book;
        char *tenant, *unit, *cgroup; /* copied from the reservation, which may be freed meanwhile */
        uint64_t cgroup_id;
        bool with_start; /* Static=: its unit may not have started yet */
        bool below_unit; /* see Subject */
        NodeSet nodes, base;
        ChangeTerms terms;
        TenantRead *read;
        Apply *apply;
        sd_event_source *defer; /* reports an early error from the event loop */
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
        tenant_read_free(c->read);
        apply_free(c->apply);
        sd_event_source_disable_unref(c->defer);
        free(c->tenant);
        free(c->unit);
        free(c->cgroup);
        free(c);
        return NULL;
}

static void change_free_p(Change **c)
{
        change_free(*c);
}

static int change_on_early(sd_event_source *source, void *userdata)
{
        Change *c = userdata;
        ApplyResult result = { .error = c->early_error, .message = (char *)c->early_message };

        c->done(&result, false, c->userdata);
        return 0;
}

static int finish_early(Change *c, int error, const char *message)
{
        c->early_error = error;
        c->early_message = message;
        return sd_event_add_defer(c->book->core->event, &c->defer, change_on_early, c);
}

static void change_on_applied(Apply *a, const ApplyResult *result, void *userdata)
{
        Change *c = userdata;

        /* Narrowing or draining a cgroup can move pages of buffers away. */
        if (c->changed)
                buffers_look(c->context->buffers);
        c->done(result, c->changed, c->userdata);
}

/* The ordinary nodes that the tenant keeps in any case: its base, without nodes that the configuration no
 * longer allows. Never empty, and never a CDM node, even if the pools have changed since the first grant. */
static NodeSet base_of(const Change *c)
{
        NodeSet ordinary = fence_unit_ordinary(c->unit, c->book->config, c->book->pools),
                base = nodeset_intersect(&c->base, &ordinary);

        return nodeset_is_empty(&base) ? ordinary : base;
}

/* The nodes that are open to the tenant besides. A reserved node that has left its pool is an ordinary one. */
static NodeSet wanted_of(const Change *c, const NodeSet *base)
{
        NodeSet open = ledger_tenant_nodes(c->book->ledger, c->tenant);

        return nodeset_subtract(&open, base);
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

typedef struct Held {
        const BufferSet *buffers;
        int node;
        uint64_t bytes; /* for the tenant's own pages: without those of buffers */
} Held;

static int add_held(Reservation *r, void *userdata)
{
        Held *h = userdata;

        if (r->state == RESERVATION_DRAINING || r->state == RESERVATION_QUEUED)
                return 0;
        uint64_t bytes = 0, buffers = buffers_bytes(h->buffers, r->id, h->node, true);
        for (size_t i = 0; i < r->n_shares; i++)
                if (r->shares[i].node == h->node)
                        bytes += r->shares[i].bytes;
        h->bytes += bytes > buffers ? bytes - buffers : 0;
        return 0;
}

/* Finds the excess on `nodes`, which are given up but kept open by another reservation of the tenant: the
 * bytes above what the tenant still holds there. Kernel memory cannot be moved, and does not count. */
static size_t find_excess(const Change *c, const TenantReading *now, const NodeSet *nodes, PlanExcess *ret)
{
        size_t n = 0;

        for (size_t i = 0; i < now->n_bytes && n < SHARES_MAX; i++) {
                uint64_t bytes = numa_bytes_movable(&now->bytes[i]);
                Held held = { c->context->buffers, now->bytes[i].node, 0 };

                if (!nodeset_contains(nodes, held.node))
                        continue;
                ledger_foreach_of_tenant(c->book->ledger, c->tenant, add_held, &held);
                if (bytes > held.bytes)
                        ret[n++] = (PlanExcess){ held.node, bytes - held.bytes, now->bytes[i].file };
        }
        return n;
}

/* The upper bound of the bytes to move to the nodes: the bytes that all reservations of the tenant hold
 * there, minus the bytes used there. At least one page, because 0 means no limit. */
static uint64_t room_bytes(const Change *c, const TenantReading *now)
{
        uint64_t page_bytes = c->book->core->page_bytes, used = 0, held = 0;
        NodeSet shut = ledger_shut_nodes(c->book->ledger);

        for (size_t i = 0; i < now->n_bytes; i++)
                if (nodeset_contains(&c->nodes, now->bytes[i].node))
                        used += numa_bytes_sum(&now->bytes[i]);
        NODESET_FOREACH (node, &c->nodes) {
                Held h = { c->context->buffers, node, 0 };

                if (nodeset_contains(&shut, node))
                        continue;
                ledger_foreach_of_tenant(c->book->ledger, c->tenant, add_held, &h);
                held += h.bytes;
        }
        return held > used + page_bytes ? held - used : page_bytes;
}

/* A unit that is about to start (Static=) has a path, but no cgroup yet. Its nodes cannot be verified now;
 * the check after its start does that. -EPERM: a slice that will contain the unit does not allow all of the
 * nodes. */
static int plan_unborn(const Change *c, const TenantReading *now, Plan *ret)
{
        Book *book = c->book;
        PlanInput in = { .base = base_of(c), .has_property = true, .unborn = true };

        in.wanted = wanted_of(c, &in.base);

        *ret = (Plan){ .n_steps = 0 };
        if (book->config->mode != FENCE_MODE_ENFORCE)
                return 0;
        if (!nodeset_is_empty(&now->above) && !nodeset_is_subset(&in.wanted, &now->above))
                return -EPERM;
        return plan(&in, ret);
}

static int make_plan(const Change *c, const TenantReading *now, Plan *ret)
{
        Book *book = c->book;
        NodeSet base = base_of(c), open = wanted_of(c, &base);
        NodeSet kept = nodeset_intersect(&c->terms.leaving, &open);
        PlanExcess excess[SHARES_MAX];
        PlanInput in = {
                .current = now->mems,
                .base = base,
                .wanted = open,
                .leaving = c->terms.leaving,
                .excess = excess,
                .migrate_up = c->terms.migrate,
                .has_property = c->unit != NULL,
                .has_way = !c->unit,
        };

        *ret = (Plan){ .n_steps = 0 };
        /* Without a fence all cgroups may use the CDM nodes: a leaf that inherits its nodes stays as it is.
         * A leaf that an earlier fence left with its own set gets all nodes back. */
        if (book->config->mode != FENCE_MODE_ENFORCE) {
                in.wanted = book->pools->cdm;
                in.migrate_up = false;
                /* The end of the fence has restored this cgroup. A later fence must know the promise. */
                if (in.has_way)
                        return way_hold(c->context->foreign, c->cgroup, c->cgroup_id, c->below_unit, &open);
        } else {
                in.n_excess = find_excess(c, now, &kept, excess);
        }
        if (book->config->mode == FENCE_MODE_ENFORCE || !nodeset_is_empty(&in.current)) {
                int k = plan(&in, ret);
                if (k < 0)
                        return k;
        }
        if (c->terms.migrate && !plan_has(ret, STEP_MIGRATE) && !nodeset_is_empty(&open))
                plan_append(ret, STEP_MIGRATE, &in.base, &open);
        return 0;
}

static void finish_now(Change *c, int error, const char *message)
{
        ApplyResult result = { .error = error, .message = (char *)message };

        c->done(&result, false, c->userdata);
}

/* True if the unit is about to start: there is nothing to write yet, and systemd will apply the property. The
 * cgroup may still be that of its last run, or one that is left of that, perhaps without a cpuset controller. */
static bool change_is_unborn(const Change *c, const TenantReading *now)
{
        if (!c->unit || !c->with_start)
                return false;
        if (now->error == -ENOENT)
                return c->cgroup_id == 0 || c->terms.starting;
        return now->error >= 0 && !now->populated && (c->terms.starting || nodeset_is_empty(&now->mems)) &&
               nodeset_is_empty(&c->terms.leaving);
}

static void change_on_read(const TenantReading *now, void *userdata)
{
        Change *c = userdata;
        Book *book = c->book;
        Plan p;

        c->read = tenant_read_free(c->read);
        bool unborn = change_is_unborn(c, now);
        int k = now->error;
        if (unborn)
                k = plan_unborn(c, now, &p);
        else if (k >= 0)
                k = make_plan(c, now, &p);
        if (k < 0) {
                finish_now(c, k,
                           unborn && k == -EPERM ? "a slice that the unit is in does not allow those nodes"
                           : k == -ENOENT || k == -ESTALE ? "the control group is not there any more"
                                                          : NULL);
                return;
        }
        if (p.n_steps == 0) {
                finish_now(c, 0, NULL);
                return;
        }
        c->changed = plan_has(&p, STEP_WRITE) || plan_has(&p, STEP_PROPERTY);
        ApplyTarget target = { .unit = c->unit,
                               .cgroup = c->cgroup,
                               .cgroup_id = c->cgroup_id,
                               .foreign = c->context->foreign,
                               .migrate_max_bytes = room_bytes(c, now),
                               .usable = c->terms.usable };
        k = apply_start(book->core->gate, book->core->worker, book->core->mover, &target, &p,
                        book->config->drain_bandwidth, change_on_applied, NULL, c, &c->apply);
        if (k < 0)
                finish_now(c, k, NULL);
}

static int change_copy(Change *c, const Reservation *r)
{
        c->cgroup_id = r->target->cgroup_id;
        c->nodes = reservation_nodes(r);
        c->base = r->base;
        c->with_start = r->with_start;
        c->below_unit = r->target->below_unit;
        int k = string_copy(ledger_tenant_key(r->target), &c->tenant);
        if (k >= 0)
                k = string_copy(r->target->unit, &c->unit);
        /* A scope that was never started has no cgroup. */
        if (k >= 0)
                k = string_copy(r->target->cgroup, &c->cgroup);
        return k;
}

int change_start(const ChangeContext *context, const Reservation *r, const ChangeTerms *terms,
                 change_done_t done, void *userdata, Change **ret)
{
        _cleanup_(change_free_p) Change *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (Change){ .context = context,
                       .book = context->book,
                       .terms = *terms,
                       .done = done,
                       .userdata = userdata };
        int k = change_copy(c, r);
        if (k < 0)
                return k;
        /* A reservation that waits has no base yet. */
        if (nodeset_is_empty(&c->base))
                c->base = ledger_base_of_tenant(c->book->ledger, c->tenant);
        NodeSet nodes = nodeset_union(&c->nodes, &terms->leaving);
        if (c->cgroup)
                k = tenant_read_start(c->book->core->worker, c->cgroup, c->terms.starting ? 0 : c->cgroup_id,
                                      &nodes, change_on_read, c, &c->read);
        else
                k = finish_early(c, -ENOENT, "the control group is not there any more");
        if (k < 0)
                return k;
        *ret = TAKE_PTR(c);
        return 0;
}
