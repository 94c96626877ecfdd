/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/tenant/usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/hold.h"
#include "daemon/kernel/near.h"
#include "daemon/machine/topology-read.h"

#define FEW_TENANTS 8
#define FRESH_USEC  (UINT64_C(1000) * 1000)
/* So many are called in one turn of the event loop. */
#define SERVE_MAX 32

/* One node, as observed. */
typedef struct Sight {
        bool known;                      /* ever */
        bool failed;                     /* the last time: offline, or gone */
        uint64_t used_bytes, held_bytes; /* used: without held */
        uint64_t all_bytes;              /* A, without held */
        uint64_t huge_bytes;             /* of buffers */
        uint64_t read_usec;              /* when the observation began; CLOCK_MONOTONIC */
        uint64_t all_tenants_usec;       /* when one began that read all tenants */
} Sight;

/* One tenant, for the job to read. */
typedef struct Reading {
        char *tenant, *cgroup;
        NodeSet nodes;
        NumaBytes *bytes; /* result */
        size_t n_bytes;
        UT_hash_handle hh;
} Reading;

/* What the job reads and finds; the loop leaves it alone while the job runs. */
typedef struct UsageObservation {
        Usage *usage; /* NULL: nobody wants it any more */
        char *root;
        NodeSet nodes, all_tenants;
        uint64_t began_usec;
        uint32_t mark;
        Sight sights[NODE_MAX];
        Reading *readings;
        UsageLook *looks;
} UsageObservation;

struct UsageLook {
        Usage *usage;  /* NULL: freed, and left to the end of the observation */
        bool observed; /* it is in an observation */
        NodeSet nodes, with_cpu;
        char *cgroup;
        UsageTarget target;
        usage_done_t done;
        void (*dropped)(void *userdata); /* NULL: the owner frees it */
        void *userdata;
        UsageLook *prev, *next;
};

struct Usage {
        UsageContext context;
        Sight sights[NODE_MAX];
        Sight shown[NODE_MAX]; /* read for display, once per turn of the event loop */
        uint64_t shown_usec[NODE_MAX];
        UsageLook *waiting;        /* for the next observation */
        UsageObservation *running; /* until all its looks were served */
        Job *job;
        int result;
        sd_event_source *serve;
        uint64_t n_observations;
        NodeUse use[NODE_MAX]; /* the last answer */
};

static uint64_t usage_now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t usage_min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static uint64_t usage_subtract(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

static void usage_look_release(UsageLook *l)
{
        if (l->dropped)
                l->dropped(l->userdata);
        free(l->cgroup);
        free(l);
}

static void usage_observation_free(UsageObservation *o)
{
        Reading *r, *next_reading;
        UsageLook *l, *next;

        HASH_ITER (hh, o->readings, r, next_reading) {
                HASH_DEL(o->readings, r);
                free(r->tenant);
                free(r->cgroup);
                free(r->bytes);
                free(r);
        }
        DL_FOREACH_SAFE (o->looks, l, next) {
                DL_DELETE(o->looks, l);
                usage_look_release(l);
        }
        free(o->root);
        free(o);
}

/* --- on the worker -------------------------------------------------------------------------------------- */

/* The bytes that cdmd holds can change meanwhile. The smaller of two held values counts, and the larger of
 * two readings. */
static void usage_observe_node(const char *root, int node, Sight *s)
{
        uint64_t size, free_bytes, held = hold_node_bytes(node), used;

        s->failed = topology_read_meminfo(root, node, &size, &free_bytes) < 0;
        if (s->failed)
                return;
        s->held_bytes = usage_min_u64(held, hold_node_bytes(node));
        used = usage_subtract(usage_subtract(size, free_bytes), s->held_bytes);
        if (used > s->used_bytes)
                s->used_bytes = used;
}

static void usage_observe_nodes(UsageObservation *o)
{
        NODESET_FOREACH (node, &o->nodes)
                usage_observe_node(o->root, node, &o->sights[node]);
}

static int usage_read_numa_stat(const char *cgroup, const NodeSet *nodes, NumaBytes **ret, size_t *ret_n)
{
        uint64_t id;

        int fd = cgroup_open(cgroup, &id);
        if (fd < 0)
                return fd;
        int r = cgroup_read_numa(fd, nodes, ret, ret_n);
        close(fd);
        return r;
}

static void usage_observe_all_cgroups(UsageObservation *o)
{
        _cleanup_free_ NumaBytes *bytes = NULL;
        size_t n = 0;

        if (usage_read_numa_stat("/", &o->nodes, &bytes, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                Sight *s = &o->sights[bytes[i].node];

                s->all_bytes = usage_subtract(numa_bytes_sum(&bytes[i]), s->held_bytes);
        }
}

static void usage_observe_target(const UsageObservation *o, UsageLook *l)
{
        uint64_t id;

        int fd = cgroup_open(l->cgroup, &id);
        if (fd < 0)
                return;
        l->target.near = near_of_cgroup(o->root, &l->with_cpu, fd);
        if (cgroup_read_mems(fd, &l->target.mems) < 0)
                l->target.mems = NODESET_EMPTY;
        close(fd);
}

/* `used` is read before and after T, so that it has what a tenant allocates or frees in between. */
static int usage_run(Job *job, void *userdata)
{
        UsageObservation *o = userdata;

        usage_observe_nodes(o);
        for (Reading *r = o->readings; r && !job_is_cancelled(job); r = r->hh.next)
                if (r->cgroup && usage_read_numa_stat(r->cgroup, &r->nodes, &r->bytes, &r->n_bytes) < 0)
                        r->n_bytes = 0;
        usage_observe_all_cgroups(o);
        usage_observe_nodes(o);
        for (UsageLook *l = o->looks; l && !job_is_cancelled(job); l = l->next)
                if (l->cgroup)
                        usage_observe_target(o, l);
        return job_is_cancelled(job) ? -ECANCELED : 0;
}

/* --- what is to be read --------------------------------------------------------------------------------- */

typedef struct UsageCollect {
        Usage *usage;
        UsageObservation *observation;
        int node;
} UsageCollect;

static int usage_first_cgroup(Reservation *r, void *userdata)
{
        *(const char **)userdata = r->target->cgroup;
        return 1;
}

static int usage_collect_tenant(const char *tenant, uint64_t bytes, void *userdata)
{
        UsageCollect *c = userdata;
        const char *cgroup = NULL;
        Reading *r;

        HASH_FIND_STR(c->observation->readings, tenant, r);
        if (r) {
                nodeset_add(&r->nodes, c->node);
                return 0;
        }
        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        ledger_foreach_of_tenant(c->usage->context.ledger, tenant, usage_first_cgroup, &cgroup);
        *r = (Reading){ .tenant = strdup(tenant),
                        .cgroup = cgroup ? strdup(cgroup) : NULL,
                        .nodes = nodeset_of(c->node) };
        if (!r->tenant || (cgroup && !r->cgroup)) {
                free(r->tenant);
                free(r->cgroup);
                free(r);
                return -ENOMEM;
        }
        HASH_ADD_KEYPTR(hh, c->observation->readings, r->tenant, strlen(r->tenant), r);
        return 0;
}

static int usage_collect_node(Usage *u, UsageObservation *o, int node)
{
        UsageCollect c = { u, o, node };
        Ledger *l = u->context.ledger;
        const Sight *s = &u->sights[node];

        if (ledger_node_tenants(l, node) > FEW_TENANTS && s->all_tenants_usec &&
            o->began_usec - s->all_tenants_usec < FRESH_USEC)
                return ledger_foreach_new_tenant_of_node(l, node, usage_collect_tenant, &c);
        nodeset_add(&o->all_tenants, node);
        return ledger_foreach_tenant_of_node(l, node, usage_collect_tenant, &c);
}

static int observation_new(Usage *u, UsageObservation **ret)
{
        UsageObservation *o = calloc(1, sizeof(*o));
        const UsageBuffers *b = u->context.buffers;
        UsageLook *l;
        int r = 0;

        if (!o)
                return -ENOMEM;
        o->root = strdup(u->context.root);
        if (!o->root) {
                usage_observation_free(o);
                return -ENOMEM;
        }
        o->usage = u;
        o->began_usec = usage_now();
        if (b)
                o->mark = b->mark(b->set);
        DL_FOREACH (u->waiting, l)
                o->nodes = nodeset_union(&o->nodes, &l->nodes);
        NODESET_FOREACH (node, &o->nodes)
                r = r < 0 ? r : usage_collect_node(u, o, node);
        if (r < 0) {
                usage_observation_free(o);
                return r;
        }
        o->looks = u->waiting;
        u->waiting = NULL;
        DL_FOREACH (o->looks, l)
                l->observed = true;
        *ret = o;
        return 0;
}

/* --- what was read -------------------------------------------------------------------------------------- */

/* Exact buffers that were there all the while. */
static void usage_add_buffer(const char *tenant, int node, uint64_t bytes, bool huge, void *userdata)
{
        UsageObservation *o = userdata;
        Reading *r;

        if (huge && nodeset_contains(&o->nodes, node))
                o->sights[node].huge_bytes += bytes;
        HASH_FIND_STR(o->readings, tenant, r);
        if (!r || !nodeset_contains(&r->nodes, node))
                return;
        for (size_t i = 0; i < r->n_bytes; i++)
                if (r->bytes[i].node == node) {
                        r->bytes[i].other += bytes;
                        return;
                }
        NumaBytes *b = reallocarray(r->bytes, r->n_bytes + 1, sizeof(*b));
        if (!b)
                return;
        r->bytes = b;
        r->bytes[r->n_bytes++] = (NumaBytes){ .node = node, .other = bytes };
}

static void usage_take_over(Usage *u, UsageObservation *o)
{
        const UsageBuffers *b = u->context.buffers;

        if (b)
                b->foreach(b->set, o->mark, usage_add_buffer, o);
        for (Reading *r = o->readings; r; r = r->hh.next) {
                NODESET_FOREACH (node, &r->nodes) {
                        uint64_t bytes = 0;

                        for (size_t i = 0; i < r->n_bytes; i++)
                                if (r->bytes[i].node == node)
                                        bytes += numa_bytes_sum(&r->bytes[i]);
                        ledger_observe(u->context.ledger, r->tenant, node, bytes);
                }
        }
        NODESET_FOREACH (node, &o->nodes) {
                Sight *s = &o->sights[node];

                s->known = true;
                s->read_usec = o->began_usec;
                s->all_tenants_usec = nodeset_contains(&o->all_tenants, node)
                                              ? o->began_usec
                                              : u->sights[node].all_tenants_usec;
                u->sights[node] = *s;
        }
}

/* --- looks ---------------------------------------------------------------------------------------------- */

static int usage_start(Usage *u);

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

/* In slices, so that a burst of requests does not block the event loop. */
static int usage_on_serve(sd_event_source *source, void *userdata)
{
        Usage *u = userdata;
        UsageObservation *o = u->running;

        for (unsigned i = 0; i < SERVE_MAX && o->looks; i++)
                usage_serve_one(&o->looks, u->result);
        if (o->looks) {
                (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
                return 0;
        }
        usage_observation_free(o);
        u->running = NULL;
        int r = u->waiting ? usage_start(u) : 0;
        while (r < 0 && u->waiting)
                usage_serve_one(&u->waiting, r);
        return 0;
}

static void usage_on_done(int result, void *userdata)
{
        UsageObservation *o = userdata;
        Usage *u = o->usage;

        if (!u) {
                usage_observation_free(o);
                return;
        }
        u->job = NULL;
        u->result = result;
        u->n_observations++;
        if (result >= 0)
                usage_take_over(u, o);
        (void)sd_event_source_set_enabled(u->serve, SD_EVENT_ONESHOT);
}

static int usage_start(Usage *u)
{
        int r = observation_new(u, &u->running);

        if (r < 0)
                return r;
        r = worker_submit(u->context.worker, usage_run, usage_on_done, NULL, u->running, &u->job);
        if (r < 0) {
                UsageLook *l;

                /* The looks are called, or their owners free them. */
                DL_FOREACH (u->running->looks, l)
                        l->observed = false;
                u->waiting = u->running->looks;
                u->running->looks = NULL;
                usage_observation_free(u->running);
                u->running = NULL;
        }
        return r;
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

static uint64_t usage_explained_by_one(const Usage *u, int node, const Sight *s)
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

static NodeUse usage_judge_sight(const Usage *u, int node, const Sight *s)
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

/* One answer has several properties that follow from the same file. */
static Sight usage_read_to_show(Usage *u, int node)
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
        Sight s = usage_read_to_show(u, node);
        NodeSet set = nodeset_of(node);

        if (!u->running && (!s.known || usage_now() - s.read_usec > FRESH_USEC))
                (void)usage_look(u, &set, NULL, NULL, NULL, NULL, NULL);
        /* Before the first look no tenant explains anything. */
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
        int r = sd_event_add_defer(context->event, &u->serve, usage_on_serve, u);
        if (r >= 0)
                r = sd_event_source_set_enabled(u->serve, SD_EVENT_OFF);
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
        sd_event_source_disable_unref(u->serve);
        free(u);
        return NULL;
}
