/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One observation: collects the tenants, reads them on the worker, and copies the results. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/kernel/hold.h"
#include "daemon/kernel/near.h"
#include "daemon/loop/clock.h"
#include "daemon/machine/topology-read.h"
#include "daemon/tenant/usage-internal.h"

#define FEW_TENANTS 8
/* Upper bound of the tenants that are collected or copied in one slice. */
#define TENANTS_MAX 256

uint64_t usage_min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

uint64_t usage_subtract(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

void usage_look_release(UsageLook *l)
{
        if (l->dropped)
                l->dropped(l->userdata);
        free(l->cgroup);
        free(l);
}

static void usage_reading_free(UsageObservation *o, UsageReading *r)
{
        HASH_DEL(o->readings, r);
        free(r->tenant);
        free(r->cgroup);
        free(r->bytes);
        free(r);
}

void usage_observation_free(UsageObservation *o)
{
        UsageLook *l, *next;

        while (o->readings)
                usage_reading_free(o, o->readings);
        DL_FOREACH_SAFE (o->looks, l, next) {
                DL_DELETE(o->looks, l);
                usage_look_release(l);
        }
        free(o->root);
        free(o);
}

/* --- on the worker -------------------------------------------------------------------------------------- */

/* The bytes that cdmd holds can change during the reading, so the smaller of two held values counts, and the
 * larger of two readings. */
void usage_observe_node(const char *root, int node, UsageSight *s)
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

static void usage_observe_all_cgroups(UsageObservation *o)
{
        _cleanup_free_ NumaBytes *bytes = NULL;
        size_t n = 0;

        if (cgroup_read_numa_at("/", &o->nodes, &bytes, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                UsageSight *s = &o->sights[bytes[i].node];

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

/* If there are tenants, the used bytes of each node are read before and after them, and the larger value
 * counts. So bytes that a tenant allocates or frees in between are included. */
int usage_run(Job *job, void *userdata)
{
        UsageObservation *o = userdata;

        usage_observe_nodes(o);
        for (UsageReading *r = o->readings; r && !job_is_cancelled(job); r = r->hh.next)
                if (r->cgroup && cgroup_read_numa_at(r->cgroup, &r->nodes, &r->bytes, &r->n_bytes) < 0)
                        r->n_bytes = 0;
        usage_observe_all_cgroups(o);
        if (o->readings)
                usage_observe_nodes(o);
        for (UsageLook *l = o->looks; l && !job_is_cancelled(job); l = l->next)
                if (l->cgroup)
                        usage_observe_target(o, l);
        return job_is_cancelled(job) ? -ECANCELED : 0;
}

/* --- collecting ----------------------------------------------------------------------------------------- */

static int usage_collect_tenant(const char *tenant, uint64_t bytes, void *userdata)
{
        UsageObservation *o = userdata;
        UsageReading *r;

        HASH_FIND_STR(o->readings, tenant, r);
        if (r) {
                nodeset_add(&r->nodes, o->collecting);
                return 0;
        }
        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        const Reservation *first = ledger_first_of_tenant(o->usage->context.ledger, tenant);
        const char *cgroup = first ? first->target->cgroup : NULL;
        *r = (UsageReading){ .tenant = strdup(tenant),
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
        const UsageSight *s = &u->sights[node];

        return ledger_node_tenants(u->context.ledger, node) <= FEW_TENANTS || !s->all_tenants_usec ||
               o->began_usec - s->all_tenants_usec >= USAGE_FRESH_USEC;
}

/* Begins with the first node that is not below `from`. */
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
int usage_collect(Usage *u, UsageObservation *o)
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

int usage_observation_new(Usage *u, UsageObservation **ret)
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
        o->began_usec = clock_monotonic_usec();
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

/* --- results -------------------------------------------------------------------------------------------- */

/* Adds an exact buffer that existed during the whole observation. */
static void usage_add_buffer(const char *tenant, int node, uint64_t bytes, bool huge, void *userdata)
{
        UsageObservation *o = userdata;
        UsageReading *r;

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

/* Between the slices, some tenants explain bytes of the new reading and others bytes of the previous one, so
 * the larger of both numbers of used bytes counts. */
void usage_take_begin(Usage *u, UsageObservation *o)
{
        const UsageBuffers *b = u->context.buffers;

        if (b)
                b->foreach(b->set, o->mark, usage_add_buffer, o);
        NODESET_FOREACH (node, &o->nodes)
                if (o->sights[node].used_bytes > u->sights[node].used_bytes)
                        u->sights[node].used_bytes = o->sights[node].used_bytes;
}

static void usage_take_reading(Usage *u, const UsageReading *r)
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

/* 1: there is more to copy. */
int usage_take(Usage *u, UsageObservation *o)
{
        for (unsigned i = 0; o->readings; i++) {
                if (i == TENANTS_MAX)
                        return 1;
                usage_take_reading(u, o->readings);
                usage_reading_free(o, o->readings);
        }
        usage_take_sights(u, o);
        return 0;
}
