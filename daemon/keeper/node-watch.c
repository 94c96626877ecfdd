/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Handles nodes that come and go.
 *
 *   uevent → read sysfs on a worker → resolve the pools of the configuration in force again → adopt the
 *   result like a reload → update the fence if the set of ordinary nodes or of CDM nodes has changed
 *
 * degrade.c updates the state of the reservations.
 *
 * If the memory of a node goes offline, an `auto` pool loses the node, and a pool with a list of nodes keeps
 * it. This does not affect reservations, which remember their nodes by number. The fence stays in force if
 * nodes may come later (pool_set_needs_fence).
 *
 * Memory goes offline without a question to cdmd. The kernel moves the pages to any other node, also to a
 * CDM node, and a unit that was confined to this node alone falls back to its parent's set, which is open.
 * The fence runs again afterwards, and then finds and closes both. */

#include "daemon/keeper/node-watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/keeper/node-drain.h"
#include "daemon/keeper/reload.h"
#include "daemon/loop/log.h"
#include "daemon/loop/worker.h"
#include "daemon/machine/hotplug.h"
#include "daemon/machine/topology-read.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/unit-check.h"
#include "policy/size.h"

typedef struct NodeReading NodeReading;

struct NodeWatch {
        Book *book;
        NodeDrains *node_drains;
        Reloads *reloads;
        UnitChecks *unit_checks;
        Hotplug *hotplug;
        bool stale; /* the nodes must be read (again) */
        NodeReading *reading;
};

struct NodeReading {
        NodeWatch *watch; /* NULL: already freed */
        char *root;
        Topology *topology; /* the worker writes it until the job has completed */
        Job *job;
};

static NodeReading *node_reading_free(NodeReading *r)
{
        topology_free(r->topology);
        free(r->root);
        free(r);
        return NULL;
}

static bool node_watch_is_same(const Node *a, const Node *b)
{
        return a->id == b->id && a->online == b->online && a->has_cpu == b->has_cpu &&
               a->size_bytes == b->size_bytes && a->tier == b->tier && a->dax == b->dax &&
               a->removable == b->removable && a->kernel_zone == b->kernel_zone &&
               a->read_bandwidth_mbps == b->read_bandwidth_mbps &&
               a->read_latency_ns == b->read_latency_ns &&
               strcmp(a->device ? a->device : "", b->device ? b->device : "") == 0;
}

static bool node_watch_is_same_topology(const Topology *a, const Topology *b)
{
        if (a->n_nodes != b->n_nodes)
                return false;
        for (size_t i = 0; i < a->n_nodes; i++)
                if (!node_watch_is_same(&a->nodes[i], &b->nodes[i]))
                        return false;
        return true;
}

static void node_watch_tell_online(Book *book, const Node *n)
{
        const Pool *p = pool_set_find_node(book->pools, n->id);
        char list[NODESET_STR_MAX], size[SIZE_STR_MAX];
        NodeSet node = nodeset_of(n->id);
        Event e = { .kind = EVENT_NODE_ONLINE,
                    .has = EVENT_HAS_SIZE,
                    .nodes = nodeset_format(&node, list),
                    .pool = p ? p->name : NULL,
                    .size_bytes = n->size_bytes };

        if (p)
                event_emit(book->core->notify, &e, "node %d has %s of memory now and belongs to pool %s",
                           n->id, size_format(n->size_bytes, size), p->name);
        else
                event_emit(book->core->notify, &e, "node %d has %s of memory now, which everybody may use",
                           n->id, size_format(n->size_bytes, size));
}

static void node_watch_tell_offline(Book *book, int node, const char *pool)
{
        char list[NODESET_STR_MAX];
        NodeSet set = nodeset_of(node);
        Event e = { .kind = EVENT_NODE_OFFLINE, .nodes = nodeset_format(&set, list), .pool = pool };

        event_emit(book->core->notify, &e, "the memory of node %d is offline", node);
}

static void node_watch_tell(Book *book, const NodeSet *before, const PoolSet *pools_before)
{
        NodeSet now = topology_memory_nodes(book->topology), came = nodeset_subtract(&now, before),
                went = nodeset_subtract(before, &now);

        NODESET_FOREACH (node, &came)
                node_watch_tell_online(book, topology_find(book->topology, node));
        NODESET_FOREACH (node, &went) {
                const Pool *p = pool_set_find_node(pools_before, node);

                node_watch_tell_offline(book, node, p ? p->name : NULL);
        }
}

static bool node_watch_needs_fence(const PoolSet *a, const PoolSet *b)
{
        return !nodeset_equal(&a->ordinary, &b->ordinary) || !nodeset_equal(&a->cdm, &b->cdm) ||
               pool_set_needs_fence(a) != pool_set_needs_fence(b);
}

static int node_watch_take_over(NodeWatch *w, Topology *topology)
{
        Book *book = w->book;
        _cleanup_(topology_free_p) Topology *t = topology;
        _cleanup_(pool_set_free_p) PoolSet *pools = NULL;
        _cleanup_free_ char *error = NULL;
        NodeSet before = topology_memory_nodes(book->topology);

        /* The start may have refused a part of the configuration in force. */
        int r = pool_set_resolve_at_start(t, (const PoolConfig *const *)book->config->pools,
                                          book->config->n_pools, &book->pools->cdm, &pools, &error);
        if (r < 0) {
                log_error("the machine's nodes changed, and the pools do not fit them: %s; the pools stay "
                          "as they were; change Nodes= in /etc/cdm/pools.d, then run `cdmctl reload`",
                          error ? error : strerror(-r));
                return 0;
        }
        NodeSet now = topology_memory_nodes(t);
        bool fence = node_watch_needs_fence(book->pools, pools) || !nodeset_equal(&before, &now);
        Adoption a = { .topology = TAKE_PTR(t), .pools = TAKE_PTR(pools) };
        r = reloads_adopt(w->reloads, &a);
        if (r >= 0) {
                node_watch_tell(book, &before, a.pools);
                node_drains_judge(w->node_drains);
        }
        adoption_clear(&a);
        if (r >= 0 && pool_set_needs_fence(book->pools))
                (void)unit_checks_watch(w->unit_checks);
        if (r >= 0 && fence)
                reloads_fence(w->reloads);
        return r;
}

static int node_reading_run(Job *job _unused_, void *userdata)
{
        NodeReading *r = userdata;

        return topology_read(r->root, &r->topology);
}

static void node_reading_on_done(int result, void *userdata)
{
        NodeReading *r = userdata;
        NodeWatch *w = r->watch;
        Topology *t = r->topology;

        r->topology = NULL;
        node_reading_free(r);
        if (!w) {
                topology_free(t);
                return;
        }
        w->reading = NULL;
        /* The reading may be older than a reload in between, and a busy fence still uses the current
         * nodes. */
        if (w->stale || w->book->fence_busy)
                w->stale = true;
        else if (result >= 0 && !node_watch_is_same_topology(w->book->topology, t))
                result = node_watch_take_over(w, TAKE_PTR(t));
        topology_free(t);
        if (result < 0)
                log_error("the machine's nodes cannot be read: %s; `cdmctl reload` tries again",
                          strerror(-result));
        node_watch_serve(w);
}

void node_watch_serve(NodeWatch *w)
{
        if (!w->stale || !w->book->serving || w->book->fence_busy || w->reading)
                return;
        NodeReading *r = calloc(1, sizeof(*r));
        int k = -ENOMEM;

        w->stale = false;
        if (r && (r->root = strdup(w->book->core->root)))
                k = worker_submit(w->book->core->reader, node_reading_run, node_reading_on_done, NULL, r,
                                  &r->job);
        if (k < 0) {
                log_error("the machine's nodes cannot be read: %s; `cdmctl reload` tries again",
                          strerror(-k));
                if (r)
                        node_reading_free(r);
                return;
        }
        r->watch = w;
        w->reading = r;
}

static void node_watch_on_hotplug(void *userdata)
{
        NodeWatch *w = userdata;

        reloads_nodes_changed(w->reloads);
        w->stale = true;
        node_watch_serve(w);
}

int node_watch_start(NodeWatch *w)
{
        return hotplug_new(w->book->core->event, node_watch_on_hotplug, w, &w->hotplug);
}

void node_watch_outdate(NodeWatch *w)
{
        w->stale = w->stale || w->reading;
}

int node_watch_new(Book *book, NodeDrains *node_drains, Reloads *reloads, UnitChecks *unit_checks,
                   NodeWatch **ret)
{
        NodeWatch *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        *w = (NodeWatch){
                .book = book, .node_drains = node_drains, .reloads = reloads, .unit_checks = unit_checks
        };
        *ret = w;
        return 0;
}

NodeWatch *node_watch_free(NodeWatch *w)
{
        if (!w)
                return NULL;
        if (w->reading)
                w->reading->watch = NULL; /* the job's callback frees the reading */
        hotplug_free(w->hotplug);
        free(w);
        return NULL;
}
