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
#include "daemon/loop/slice.h"
#include "daemon/machine/topology-read.h"

#define FEW_TENANTS 8
#define FRESH_USEC  (UINT64_C(1000) * 1000)
/* So many looks are called, and so many tenants collected or taken over, in one turn of the event loop. */
#define SERVE_MAX   32
#define TENANTS_MAX 256

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

typedef enum UsagePhase {
        USAGE_COLLECT, /* which tenants are to be read */
        USAGE_READ,    /* by the job */
        USAGE_TAKE,    /* what was read, into the ledger */
        USAGE_SERVE,   /* those who wait */
} UsagePhase;

/* What the job reads and finds; the loop leaves it alone while the job runs. */
typedef struct UsageObservation {
        Usage *usage; /* NULL: nobody wants it any more */
        UsagePhase phase;
        int collecting; /* the tenants of this node */
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
        Slice *slice; /* the phases of `running`, but for USAGE_READ */
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

static void reading_free(UsageObservation *o, Reading *r)
{
        HASH_DEL(o->readings, r);
        free(r->tenant);
        free(r->cgroup);
        free(r->bytes);
        free(r);
}

static void usage_observation_free(UsageObservation *o)
{
        UsageLook *l, *next;

        while (o->readings)
                reading_free(o, o->readings);
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

static int usage_first_cgroup(Reservation *r, void *userdata)
{
        *(const char **)userdata = r->target->cgroup;
        return 1;
}

static int usage_collect_tenant(const char *tenant, uint64_t bytes, void *userdata)
{
        UsageObservation *o = userdata;
        const char *cgroup = NULL;
        Reading *r;

        HASH_FIND_STR(o->readings, tenant, r);
        if (r) {
                nodeset_add(&r->nodes, o->collecting);
                return 0;
        }
        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        ledger_foreach_of_tenant(o->usage->context.ledger, tenant, usage_first_cgroup, &cgroup);
        *r = (Reading){ .tenant = strdup(tenant),
                        .cgroup = cgroup ? strdup(cgroup) : NULL,
                        .nodes = nodeset_of(o->collecting) };
        if (!r->tenant || (cgroup && !r->cgroup)) {
                free(r->tenant);
                free(r->cgroup);
                free(r);
                return -ENOMEM;
        }
        HASH_ADD_KEYPTR(hh, o->readings, r->tenant, strlen(r->tenant), r);
        return 0;
}

static bool usage_all_are_due(const Usage *u, const UsageObservation *o, int node)
{
        const Sight *s = &u->sights[node];

        return ledger_node_tenants(u->context.ledger, node) <= FEW_TENANTS || !s->all_tenants_usec ||
               o->began_usec - s->all_tenants_usec >= FRESH_USEC;
}

/* Begins with the first node from `from` on. */
static void usage_collect_from(Usage *u, UsageObservation *o, int from)
{
        while (from < NODE_MAX && !nodeset_contains(&o->nodes, from))
                from++;
        o->collecting = from;
        if (from == NODE_MAX)
                return;
        if (usage_all_are_due(u, o, from))
                nodeset_add(&o->all_tenants, from);
        ledger_walk_begin(u->context.ledger, from);
}

/* 1: there is more to collect. */
static int usage_collect(Usage *u, UsageObservation *o)
{
        while (o->collecting < NODE_MAX) {
                bool all = nodeset_contains(&o->all_tenants, o->collecting);
                int r = ledger_walk_tenants_of_node(u->context.ledger, o->collecting, all, TENANTS_MAX,
                                                    usage_collect_tenant, o);
                if (r != 0)
                        return r;
                usage_collect_from(u, o, o->collecting + 1);
        }
        return 0;
}

static int observation_new(Usage *u, UsageObservation **ret)
{
        UsageObservation *o = calloc(1, sizeof(*o));
        const UsageBuffers *b = u->context.buffers;
        UsageLook *l;

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
        DL_FOREACH (u->waiting, l) {
                o->nodes = nodeset_union(&o->nodes, &l->nodes);
                l->observed = true;
        }
        o->looks = u->waiting;
        u->waiting = NULL;
        usage_collect_from(u, o, 0);
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

/* Between the slices some tenants explain what was read now and others what was read before, so the larger of
 * both numbers of used bytes counts. */
static void usage_take_begin(Usage *u, UsageObservation *o)
{
        const UsageBuffers *b = u->context.buffers;

        if (b)
                b->foreach(b->set, o->mark, usage_add_buffer, o);
        NODESET_FOREACH (node, &o->nodes)
                if (o->sights[node].used_bytes > u->sights[node].used_bytes)
                        u->sights[node].used_bytes = o->sights[node].used_bytes;
}

static void usage_take_reading(Usage *u, const Reading *r)
{
        NODESET_FOREACH (node, &r->nodes) {
                uint64_t bytes = 0;

                for (size_t i = 0; i < r->n_bytes; i++)
                        if (r->bytes[i].node == node)
                                bytes += numa_bytes_sum(&r->bytes[i]);
                ledger_observe(u->context.ledger, r->tenant, node, bytes);
        }
}

static void usage_take_sights(Usage *u, const UsageObservation *o)
{
        NODESET_FOREACH (node, &o->nodes) {
                uint64_t all_tenants_usec = nodeset_contains(&o->all_tenants, node)
                                                    ? o->began_usec
                                                    : u->sights[node].all_tenants_usec;

                u->sights[node] = o->sights[node];
                u->sights[node].known = true;
                u->sights[node].read_usec = o->began_usec;
                u->sights[node].all_tenants_usec = all_tenants_usec;
        }
}

/* 1: there is more to take over. */
static int usage_take(Usage *u, UsageObservation *o)
{
        for (unsigned i = 0; o->readings; i++) {
                if (i == TENANTS_MAX)
                        return 1;
                usage_take_reading(u, o->readings);
                reading_free(o, o->readings);
        }
        usage_take_sights(u, o);
        return 0;
}

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

/* The looks are called from a turn of their own. */
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
        int r = observation_new(u, &u->running);

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
