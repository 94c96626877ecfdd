/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/tenant/usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/loop/clock.h"
#include "daemon/tenant/usage-internal.h"

/* Upper bound of the callbacks in one slice. */
#define SERVE_MAX 32

/* --- looks ---------------------------------------------------------------------------------------------- */

/* A callback may free other looks, or request a new one. */
static void usage_serve_one(UsageLook **list, int error)
{
        UsageLook *l = *list;
        usage_done_t done = l->done;
        void *userdata = l->userdata;
        UsageTarget target = l->target;
        bool wanted = l->usage != NULL;

        DL_DELETE(*list, l);
        l->dropped = NULL;
        usage_look_release(l);
        if (wanted && done)
                done(error, &target, userdata);
}

static int usage_start(Usage *u);

static void usage_serve(Usage *u)
{
        UsageObservation *o = u->running;

        for (unsigned i = 0; i < SERVE_MAX && o->looks; i++)
                usage_serve_one(&o->looks, u->result);
        if (o->looks)
                return;
        slice_set(u->slice, false);
        usage_observation_free(o);
        u->running = NULL;
        int r = u->waiting ? usage_start(u) : 0;
        while (r < 0 && u->waiting)
                usage_serve_one(&u->waiting, r);
}

/* The callbacks run in a separate slice. */
static void usage_finish(Usage *u, int result)
{
        u->result = result;
        u->running->phase = USAGE_SERVE;
        slice_set(u->slice, true);
}

static void usage_take_slice(Usage *u)
{
        if (usage_take(u, u->running) == 0)
                usage_finish(u, 0);
        else
                slice_set(u->slice, true);
}

static void usage_on_read(int result, void *userdata)
{
        UsageObservation *o = userdata;
        Usage *u = o->usage;

        if (!u) {
                usage_observation_free(o);
                return;
        }
        u->job = NULL;
        u->n_observations++;
        if (result < 0) {
                usage_finish(u, result);
                return;
        }
        o->phase = USAGE_TAKE;
        usage_take_begin(u, o);
        usage_take_slice(u);
}

static void usage_collect_slice(Usage *u)
{
        int r = usage_collect(u, u->running);

        slice_set(u->slice, r > 0);
        if (r > 0)
                return;
        u->running->phase = USAGE_READ;
        if (r == 0)
                r = worker_submit(u->context.worker, usage_run, usage_on_read, NULL, u->running, &u->job);
        if (r < 0)
                usage_finish(u, r);
}

static void usage_on_slice(void *userdata)
{
        Usage *u = userdata;

        switch (u->running->phase) {
        case USAGE_COLLECT:
                usage_collect_slice(u);
                return;
        case USAGE_TAKE:
                usage_take_slice(u);
                return;
        case USAGE_SERVE:
                usage_serve(u);
                return;
        case USAGE_READ:
                return;
        }
}

static int usage_start(Usage *u)
{
        int r = usage_observation_new(u, &u->running);

        if (r >= 0)
                usage_collect_slice(u);
        return r < 0 ? r : 0;
}

int usage_look(Usage *u, const NodeSet *nodes, const char *cgroup, const NodeSet *with_cpu,
               usage_done_t done, void *userdata, UsageLook **ret)
{
        UsageLook *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        *l = (UsageLook){ .usage = u,
                          .nodes = *nodes,
                          .with_cpu = with_cpu ? *with_cpu : NODESET_EMPTY,
                          .cgroup = cgroup ? strdup(cgroup) : NULL,
                          .done = done,
                          .userdata = userdata };
        if (cgroup && !l->cgroup) {
                free(l);
                return -ENOMEM;
        }
        DL_APPEND(u->waiting, l);
        int r = u->running ? 0 : usage_start(u);
        if (r < 0)
                usage_look_free(l);
        else if (ret)
                *ret = l;
        return r;
}

UsageLook *usage_look_free(UsageLook *l)
{
        if (!l)
                return NULL;
        if (l->observed)
                l->usage = NULL;
        else {
                DL_DELETE(l->usage->waiting, l);
                usage_look_release(l);
        }
        return NULL;
}

void usage_look_leave(UsageLook *l, void (*dropped)(void *userdata))
{
        l->dropped = dropped;
}

/* --- answers -------------------------------------------------------------------------------------------- */

static int usage_first_tenant(const char *tenant, uint64_t bytes, void *userdata)
{
        *(const char **)userdata = tenant;
        return 1;
}

static uint64_t usage_explained_by_one(const Usage *u, int node, const UsageSight *s)
{
        const Ledger *l = u->context.ledger;
        const char *tenant = NULL;

        ledger_foreach_tenant_of_node(l, node, usage_first_tenant, &tenant);
        if (!tenant)
                return 0;
        uint64_t own = usage_subtract(ledger_tenant_used(l, tenant, node), s->huge_bytes);
        uint64_t all = s->all_bytes > own ? s->all_bytes : own;
        return usage_min_u64(ledger_node_reserved(l, node), own + usage_subtract(s->used_bytes, all));
}

static NodeUse usage_judge_sight(const Usage *u, int node, const UsageSight *s)
{
        const Ledger *l = u->context.ledger;
        size_t n_tenants = ledger_node_tenants(l, node);
        uint64_t explained = 0;

        if (!s->known || s->failed)
                return (NodeUse){ .node = node, .closed = true };
        if (n_tenants == 1)
                explained = usage_explained_by_one(u, node, s);
        else if (n_tenants > 1)
                explained = ledger_node_explained(l, node);
        return (NodeUse){ .node = node, .foreign_bytes = usage_subtract(s->used_bytes, explained) };
}

const NodeUse *usage_of_nodes(Usage *u, const NodeSet *nodes, const NodeSet *closed, bool show,
                              size_t *ret_n)
{
        size_t n = 0;

        NODESET_FOREACH (node, nodes) {
                u->use[n] =
                        show ? usage_show_node(u, node).use : usage_judge_sight(u, node, &u->sights[node]);
                if (nodeset_contains(closed, node))
                        u->use[n].closed = true;
                n++;
        }
        *ret_n = n;
        return u->use;
}

/* Reads the file only once per iteration of the event loop, because a reply has several properties that
 * depend on it. */
static UsageSight usage_read_to_show(Usage *u, int node)
{
        uint64_t turn = 0;

        (void)sd_event_now(u->context.event, CLOCK_MONOTONIC, &turn);
        if (turn == 0 || turn != u->shown_usec[node]) {
                u->shown[node] = u->sights[node];
                u->shown[node].used_bytes = 0;
                usage_observe_node(u->context.root, node, &u->shown[node]);
                u->shown_usec[node] = turn;
        }
        return u->shown[node];
}

UsageNumbers usage_show_node(Usage *u, int node)
{
        UsageSight s = usage_read_to_show(u, node);
        NodeSet set = nodeset_of(node);

        if (!u->running && (!s.known || clock_monotonic_usec() - s.read_usec > USAGE_FRESH_USEC))
                (void)usage_look(u, &set, NULL, NULL, NULL, NULL, NULL);
        /* Valid even before the first observation, when no tenant explains any bytes. */
        s.known = true;
        uint64_t used = s.failed ? 0 : s.used_bytes + s.held_bytes;
        return (UsageNumbers){ .used_bytes = used,
                               .unattributed_bytes = usage_subtract(s.used_bytes, s.all_bytes),
                               .use = usage_judge_sight(u, node, &s) };
}

uint64_t usage_count(const Usage *u)
{
        return u->n_observations;
}

int usage_new(const UsageContext *context, Usage **ret)
{
        Usage *u = calloc(1, sizeof(*u));

        if (!u)
                return -ENOMEM;
        u->context = *context;
        int r = slice_new(context->event, usage_on_slice, u, &u->slice);
        if (r < 0) {
                usage_free(u);
                return r;
        }
        *ret = u;
        return 0;
}

Usage *usage_free(Usage *u)
{
        UsageLook *l, *next;

        if (!u)
                return NULL;
        DL_FOREACH_SAFE (u->waiting, l, next)
                usage_look_release(l);
        if (u->job) {
                u->running->usage = NULL;
                job_cancel(u->job);
        } else if (u->running) {
                usage_observation_free(u->running);
        }
        slice_free(u->slice);
        free(u);
        return NULL;
}
