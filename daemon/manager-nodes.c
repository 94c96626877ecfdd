/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Nodes that come and go.
 *
 *   uevents → sysfs is read on a worker → the pools of the configuration in force are resolved anew → taken
 *   over as a reload would → the fence follows where the set of ordinary or of CDM nodes is another one
 *
 * A node without memory is shut: the ledger opens it to nobody. Its reservations keep their terms and become
 * `degraded`, their cgroups are narrowed off it, and when its memory is back (perhaps less of it) they are
 * widened and verified before they are `active` again. A node that an admin drains is shut just so.
 *
 * An `auto` pool loses a node with its memory, a pool with a list of nodes keeps it. Reservations remember
 * their nodes by number, so neither matters to them. The fence stays where nodes may come
 * (pool_set_needs_fence).
 *
 * Nobody is asked before memory goes offline: the kernel moves its pages to whatever node it likes, also to
 * CDM nodes; and a unit that was confined to that node alone falls back to its parent's set, which is open.
 * The fence, which then runs again, finds and closes both. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/bus.h"
#include "daemon/log.h"
#include "daemon/manager-buffer.h"
#include "daemon/manager.h"
#include "daemon/topology-read.h"
#include "policy/size.h"

struct NodeReading {
        Manager *manager; /* NULL: it is gone */
        char *root;
        Topology *topology; /* written by the worker until it is done */
        Job *job;
};

/* --- what the nodes mean for reservations ------------------------------------------------------------- */

void manager_shut_nodes(Manager *m)
{
        NodeSet memory = topology_memory_nodes(m->topology), shut = m->drained;

        for (int node = 0; node < NODE_MAX; node++)
                if (!nodeset_contains(&memory, node))
                        nodeset_add(&shut, node);
        ledger_shut(m->ledger, &shut);
}

/* Nodes that do not give what was promised of them: shut, or with less memory than before. */
static NodeSet lost_nodes(Manager *m, const Reservation *r)
{
        NodeSet nodes = reservation_nodes(r), shut = ledger_shut_nodes(m->ledger),
                lost = nodeset_intersect(&nodes, &shut);

        NODESET_FOREACH (node, &nodes) {
                const Node *n = topology_find(m->topology, node);

                if (!n || n->size_bytes < ledger_node_reserved(m->ledger, node))
                        nodeset_add(&lost, node);
        }
        return lost;
}

static void set_state(Entry *e, ReservationState state)
{
        manager_set_state(e, state);
        int r = manager_store(e);
        if (r < 0)
                log_error("Cannot store the state of reservation %" PRIu32 ": %s.", e->id, strerror(-r));
}

static void degrade(Entry *e, const NodeSet *lost)
{
        char nodes[NODESET_STR_MAX], list[NODESET_STR_MAX], policy[512], reason[NODESET_STR_MAX + 64];
        Manager *m = e->manager;
        Event ev = manager_event(e, EVENT_DEGRADED, nodes, policy);

        nodeset_format(lost, list);
        snprintf(reason, sizeof(reason), "node %s %s", list,
                 nodeset_is_subset(lost, &m->drained) ? "is drained" : "has lost memory");
        ev.reason = reason;
        set_state(e, RESERVATION_DEGRADED);
        event_emit(m->bus, &ev, "Reservation %" PRIu32 " of %s is degraded: %s.", e->id,
                   ledger_tenant_key(e->r->target), reason);
}

static void restore(Entry *e)
{
        char nodes[NODESET_STR_MAX], policy[512];
        Event ev = manager_event(e, EVENT_RESTORED, nodes, policy);

        set_state(e, RESERVATION_ACTIVE);
        event_emit(e->manager->bus, &ev, "Reservation %" PRIu32 " of %s is whole again, on node %s.", e->id,
                   ledger_tenant_key(e->r->target), nodes);
}

typedef struct Restoration {
        Manager *manager;
        size_t n;
        uint32_t *ids;
} Restoration;

static int collect_degraded(Reservation *r, void *userdata)
{
        Restoration *c = userdata;
        Entry *e = manager_find(c->manager, r->id);

        if (e && e->phase == STORE_GRANTED && r->state == RESERVATION_DEGRADED)
                c->ids[c->n++] = r->id;
        return 0;
}

static bool is_due(Manager *m, const char *tenant);

/* The tenant's cgroup has been seen to be as the ledger said when the change began. Where the ledger has
 * changed since, another change waits, and that one tells. */
static void on_followed(const ApplyResult *result, const char *tenant, void *userdata)
{
        Restoration c = { .manager = userdata };
        Event ev = { .kind = EVENT_FAILED, .unit = tenant, .reason = result->message };

        if (result->error < 0) {
                event_emit(c.manager->bus, &ev,
                           "The nodes of %s could not be set as reserved: %s. `cdmctl reload` tries again.",
                           tenant, result->message ? result->message : strerror(-result->error));
                return;
        }
        if (is_due(c.manager, tenant))
                return;
        c.ids = malloc(sizeof(uint32_t) * (ledger_tenant_count(c.manager->ledger, tenant) + 1));
        if (!c.ids)
                return;
        ledger_foreach_of_tenant(c.manager->ledger, tenant, collect_degraded, &c);
        for (size_t i = 0; i < c.n; i++) {
                Entry *e = manager_find(c.manager, c.ids[i]);
                NodeSet lost = lost_nodes(c.manager, e->r);

                if (nodeset_is_empty(&lost) && !e->degraded)
                        restore(e);
        }
        free(c.ids);
        buffers_look(c.manager->buffers); /* theirs go back as well */
}

void manager_judge(Entry *e, bool follow)
{
        ReservationState before = e->r->state;

        if (e->phase != STORE_GRANTED || (before != RESERVATION_ACTIVE && before != RESERVATION_DEGRADED))
                return;
        NodeSet lost = lost_nodes(e->manager, e->r);
        bool whole = nodeset_is_empty(&lost);
        if (before == RESERVATION_ACTIVE && whole)
                return;
        if (before == RESERVATION_ACTIVE)
                degrade(e, &lost);
        else if (!whole)
                return;
        if (follow)
                manager_follow(e->manager, ledger_tenant_key(e->r->target), NULL, on_followed, e->manager);
}

void manager_judge_all(Manager *m, bool follow)
{
        Entry *e, *next;

        HASH_ITER (hh, m->entries, e, next)
                manager_judge(e, follow);
}

/* --- a tenant's cgroup follows the ledger ------------------------------------------------------------- */

struct Follow {
        Manager *manager;
        char *tenant;
        NodeSet leaving;
        Turn *turn;
        Change *change;
        follow_done_t done;
        void *userdata;
        bool due; /* one without `leaving` that waits for its turn: it does what a second one would */
        Follow *prev, *next;
        UT_hash_handle hh; /* of those that are due, by tenant */
};

static void not_due(Follow *f)
{
        if (f->due)
                HASH_DEL(f->manager->follows_due, f);
        f->due = false;
}

static void follow_free(Follow *f)
{
        not_due(f);
        DL_DELETE(f->manager->follows, f);
        change_free(f->change);
        turn_free(f->turn);
        free(f->tenant);
        free(f);
}

void manager_follows_free(Manager *m)
{
        while (m->follows)
                follow_free(m->follows);
}

static void on_changed(const ApplyResult *result, bool changed _unused_, void *userdata)
{
        static const ApplyResult gone = { .error = 0 };
        Follow *f = userdata;
        bool is_gone = result->error == -ENOENT || result->error == -ESTALE;

        /* It ended, or it restarted and has another cgroup; PID 1 knows. */
        if (is_gone && f->tenant[0] != '/')
                (void)manager_check_unit(f->manager, f->tenant, true, NULL);
        f->done(is_gone ? &gone : result, f->tenant, f->userdata);
        follow_free(f);
}

static int with_cgroup(Reservation *r, void *userdata)
{
        if (!r->target->cgroup)
                return 0;
        *(Reservation **)userdata = r;
        return 1;
}

static void on_turn(Turn *t _unused_, void *userdata)
{
        Follow *f = userdata;
        ChangeTerms terms = { .leaving = f->leaving };
        ApplyResult result = { .error = 0 };
        Reservation *r = NULL;

        ledger_foreach_of_tenant(f->manager->ledger, f->tenant, with_cgroup, &r);
        if (r) {
                not_due(f);
                result.error = change_start(f->manager, r, &terms, on_changed, f, &f->change);
        }
        if (!r || result.error < 0)
                on_changed(&result, false, f);
}

static bool is_due(Manager *m, const char *tenant)
{
        Follow *f;

        HASH_FIND_STR(m->follows_due, tenant, f);
        return f;
}

void manager_follow(Manager *m, const char *tenant, const NodeSet *leaving, follow_done_t done,
                    void *userdata)
{
        ApplyResult result = { .error = -ENOMEM };

        if (!leaving && is_due(m, tenant))
                return;
        Follow *f = calloc(1, sizeof(*f));
        if (!f) {
                done(&result, tenant, userdata);
                return;
        }
        *f = (Follow){ .manager = m, .tenant = strdup(tenant), .done = done, .userdata = userdata };
        if (leaving)
                f->leaving = *leaving;
        DL_APPEND(m->follows, f);
        if (f->tenant && !leaving) {
                f->due = true;
                HASH_ADD_KEYPTR(hh, m->follows_due, f->tenant, strlen(f->tenant), f);
        }
        int r = f->tenant ? turn_take(m->turns, tenant, on_turn, f, &f->turn) : -ENOMEM;
        if (r < 0) {
                result.error = r;
                follow_free(f);
                done(&result, tenant, userdata);
        }
}

/* --- reading ------------------------------------------------------------------------------------------ */

static NodeReading *reading_free(NodeReading *r)
{
        topology_free(r->topology);
        free(r->root);
        free(r);
        return NULL;
}

/* What comes later finds nobody to tell. */
void manager_reading_abandon(Manager *m)
{
        if (m->reading)
                m->reading->manager = NULL;
        m->reading = NULL;
}

static bool same_node(const Node *a, const Node *b)
{
        return a->id == b->id && a->online == b->online && a->has_cpu == b->has_cpu &&
               a->size_bytes == b->size_bytes && a->tier == b->tier && a->dax == b->dax &&
               a->removable == b->removable && a->kernel_zone == b->kernel_zone &&
               a->read_bandwidth_mbps == b->read_bandwidth_mbps &&
               a->read_latency_ns == b->read_latency_ns &&
               strcmp(a->device ? a->device : "", b->device ? b->device : "") == 0;
}

static bool same_topology(const Topology *a, const Topology *b)
{
        if (a->n_nodes != b->n_nodes)
                return false;
        for (size_t i = 0; i < a->n_nodes; i++)
                if (!same_node(&a->nodes[i], &b->nodes[i]))
                        return false;
        return true;
}

static void tell_online(Manager *m, const Node *n)
{
        const Pool *p = pool_set_find_node(m->pools, n->id);
        char list[NODESET_STR_MAX], size[SIZE_STR_MAX];
        NodeSet node = nodeset_of(n->id);
        Event e = { .kind = EVENT_NODE_ONLINE,
                    .has = EVENT_HAS_SIZE,
                    .nodes = nodeset_format(&node, list),
                    .pool = p ? p->name : NULL,
                    .size_bytes = n->size_bytes };

        if (p)
                event_emit(m->bus, &e, "Node %d has %s of memory now and belongs to pool %s.", n->id,
                           size_format(n->size_bytes, size), p->name);
        else
                event_emit(m->bus, &e, "Node %d has %s of memory now, which everybody may use.", n->id,
                           size_format(n->size_bytes, size));
}

static void tell_offline(Manager *m, int node, const char *pool)
{
        char list[NODESET_STR_MAX];
        NodeSet set = nodeset_of(node);
        Event e = { .kind = EVENT_NODE_OFFLINE, .nodes = nodeset_format(&set, list), .pool = pool };

        event_emit(m->bus, &e, "The memory of node %d is offline.", node);
}

static void tell_nodes(Manager *m, const NodeSet *before, const PoolSet *pools_before)
{
        NodeSet now = topology_memory_nodes(m->topology), came = nodeset_subtract(&now, before),
                went = nodeset_subtract(before, &now);

        NODESET_FOREACH (node, &came)
                tell_online(m, topology_find(m->topology, node));
        NODESET_FOREACH (node, &went) {
                const Pool *p = pool_set_find_node(pools_before, node);

                tell_offline(m, node, p ? p->name : NULL);
        }
}

static bool needs_fence(const PoolSet *a, const PoolSet *b)
{
        return !nodeset_equal(&a->ordinary, &b->ordinary) || !nodeset_equal(&a->cdm, &b->cdm) ||
               pool_set_needs_fence(a) != pool_set_needs_fence(b);
}

static int take_over(Manager *m, Topology *topology)
{
        _cleanup_(topology_free_p) Topology *t = topology;
        _cleanup_(pool_set_free_p) PoolSet *pools = NULL;
        _cleanup_free_ char *error = NULL;
        NodeSet before = topology_memory_nodes(m->topology);

        /* The configuration in force may be one that was refused in part at start. */
        int r = pool_set_resolve_at_start(t, (const PoolConfig *const *)m->config->pools, m->config->n_pools,
                                          &m->pools->cdm, &pools, &error);
        if (r < 0) {
                log_error("The machine's nodes changed, and the pools do not fit them: %s. The pools stay "
                          "as they were.",
                          error ? error : strerror(-r));
                return 0;
        }
        NodeSet now = topology_memory_nodes(t);
        bool fence = needs_fence(m->pools, pools) || !nodeset_equal(&before, &now);
        Adoption a = { .topology = TAKE_PTR(t), .pools = TAKE_PTR(pools) };
        r = manager_adopt(m, &a);
        if (r >= 0) {
                tell_nodes(m, &before, a.pools);
                manager_judge_all(m, true);
        }
        adoption_clear(&a);
        if (r >= 0 && pool_set_needs_fence(m->pools))
                (void)manager_watch_units(m);
        if (r >= 0 && fence)
                manager_fence(m);
        return r;
}

static int run_reading(Job *job _unused_, void *userdata)
{
        NodeReading *r = userdata;

        return topology_read(r->root, &r->topology);
}

static void on_read(int result, void *userdata)
{
        NodeReading *r = userdata;
        Manager *m = r->manager;
        Topology *t = r->topology;

        r->topology = NULL;
        reading_free(r);
        if (!m) {
                topology_free(t);
                return;
        }
        m->reading = NULL;
        /* What was read may be older than a reload that came meanwhile, and the fence needs its nodes. */
        if (m->nodes_stale || m->fence_busy)
                m->nodes_stale = true;
        else if (result >= 0 && !same_topology(m->topology, t))
                result = take_over(m, TAKE_PTR(t));
        topology_free(t);
        if (result < 0)
                log_error("The machine's nodes cannot be read: %s. `cdmctl reload` tries again.",
                          strerror(-result));
        manager_nodes_serve(m);
}

void manager_nodes_serve(Manager *m)
{
        if (!m->nodes_stale || !m->serving || m->fence_busy || m->reading)
                return;
        NodeReading *r = calloc(1, sizeof(*r));
        int k = -ENOMEM;

        m->nodes_stale = false;
        if (r && (r->root = strdup(m->root)))
                k = worker_submit(m->reader, run_reading, on_read, NULL, r, &r->job);
        if (k < 0) {
                log_error("The machine's nodes cannot be read: %s. `cdmctl reload` tries again.",
                          strerror(-k));
                if (r)
                        reading_free(r);
                return;
        }
        r->manager = m;
        m->reading = r;
}

static void on_hotplug(void *userdata)
{
        Manager *m = userdata;

        m->nodes_stale = true;
        manager_nodes_serve(m);
}

int manager_watch_nodes(Manager *m)
{
        return hotplug_new(m->event, on_hotplug, m, &m->hotplug);
}
