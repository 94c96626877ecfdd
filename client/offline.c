/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/offline.h"
#include "client/wait.h"
#include "daemon/machine/name-lookup.h"
#include "daemon/machine/topology-device.h"
#include "daemon/machine/topology-read.h"
#include "policy/cdm-names.h"
#include "policy/conf-read.h"
#include "policy/ledger.h"

static int out_of_memory(void)
{
        return fail(CDM_EXIT_FAILED, "out of memory");
}

Offline *offline_free(Offline *o)
{
        if (!o)
                return NULL;
        if (o->pools)
                pool_set_free(o->pools);
        if (o->config)
                config_free(o->config);
        if (o->topology)
                topology_free(o->topology);
        free(o);
        return NULL;
}

static int load_config(const char *root, Config **ret)
{
        ConfMessages messages = { 0 };

        int r = config_load(root, ret, &messages);
        if (r >= 0)
                r = config_resolve_names(*ret, name_find, (void *)root, &messages);
        for (size_t i = 0; i < messages.n_messages; i++) {
                _cleanup_free_ char *text = conf_message_format(&messages.messages[i]);

                note("%s", text ? text : "out of memory");
        }
        conf_messages_clear(&messages);

        if (r == -EBADMSG)
                return fail(CDM_EXIT_FAILED, "the configuration has errors; cdmd would refuse it");
        if (r < 0)
                return fail(CDM_EXIT_FAILED, "cannot read the configuration: %s", strerror(-r));
        return 0;
}

static int resolve_pools(Offline *o)
{
        _cleanup_free_ char *error = NULL;

        int r = pool_set_resolve(o->topology, (const PoolConfig *const *)o->config->pools,
                                 o->config->n_pools, &o->pools, &error);
        if (r < 0)
                return fail(CDM_EXIT_FAILED, "%s", error ? error : strerror(-r));
        return 0;
}

int offline_new(const char *root, Offline **ret)
{
        _cleanup_(offline_free_p) Offline *o = calloc(1, sizeof(*o));
        _cleanup_free_ char *unreadable = NULL;

        if (!o)
                return out_of_memory();

        int r = topology_read_explained(root, &o->topology, &unreadable);
        if (r < 0)
                return fail(CDM_EXIT_FAILED, "cannot read the machine's nodes: %s",
                            unreadable ? unreadable : strerror(-r));
        if (o->topology->unread)
                note("%s", o->topology->unread);

        int status = load_config(root, &o->config);
        if (status == 0)
                status = resolve_pools(o);
        if (status != 0)
                return status;
        *ret = TAKE_PTR(o);
        return 0;
}

static uint64_t offline_used_bytes(const Node *n)
{
        return n->size_bytes > n->free_bytes ? n->size_bytes - n->free_bytes : 0;
}

static int fill_pools(const Offline *off, Objects *o)
{
        o->pools = calloc(off->pools->n_pools + 1, sizeof(*o->pools));
        if (!o->pools)
                return -ENOMEM;

        for (size_t i = 0; i < off->pools->n_pools; i++) {
                const Pool *pool = &off->pools->pools[i];
                PoolInfo *x = &o->pools[o->n_pools++];

                *x = (PoolInfo){ .nodes = pool->nodes, .size = pool->size_bytes, .hold = pool->hold };
                x->name = strdup(pool->name);
                x->description = strdup(pool->description ? pool->description : "");
                if (!x->name || !x->description)
                        return -ENOMEM;

                NODESET_FOREACH (node, &pool->nodes) {
                        const Node *n = topology_find(off->topology, node);

                        if (n)
                                x->used += offline_used_bytes(n);
                }
        }
        return 0;
}

static int fill_nodes(const Offline *off, Objects *o)
{
        o->nodes = calloc(off->topology->n_nodes + 1, sizeof(*o->nodes));
        if (!o->nodes)
                return -ENOMEM;

        for (size_t i = 0; i < off->topology->n_nodes; i++) {
                const Node *n = &off->topology->nodes[i];
                const Pool *pool = pool_set_find_node(off->pools, n->id);
                char evidence[POOL_EVIDENCE_STR_MAX];

                NodeInfo *x = &o->nodes[o->n_nodes++];
                *x = (NodeInfo){
                        .node = (uint32_t)n->id,
                        .size = n->size_bytes,
                        .free = n->free_bytes,
                        .used = offline_used_bytes(n),
                        .read_bandwidth_mbps = n->read_bandwidth_mbps,
                        .read_latency_ns = n->read_latency_ns,
                        .initiators = n->initiators,
                        .tier = n->tier,
                        .online = n->online,
                        .pool = strdup(pool ? pool->name : ""),
                        .device = strdup(n->device ? n->device : ""),
                        .evidence = strdup(pool_evidence(off->pools, off->topology, n->id, evidence)),
                };
                if (!x->pool || !x->device || !x->evidence)
                        return -ENOMEM;
        }
        return 0;
}

int offline_objects(const Offline *off, Objects **ret)
{
        _cleanup_(objects_free_p) Objects *o = calloc(1, sizeof(*o));

        if (!o || fill_pools(off, o) < 0 || fill_nodes(off, o) < 0)
                return out_of_memory();
        *ret = TAKE_PTR(o);
        return 0;
}

int offline_or_bus_objects(const Args *args, Objects **ret)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(objects_free_p) Objects *objects = NULL;
        _cleanup_(offline_free_p) Offline *o = NULL;
        int status;

        if (args->offline) {
                status = offline_new(args->root, &o);
                return status != 0 ? status : offline_objects(o, ret);
        }
        objects = calloc(1, sizeof(*objects));
        if (!objects)
                return out_of_memory();
        status = client_open(&bus);
        if (status == 0)
                status = objects_read_pools_and_nodes(bus, objects);
        if (status == 0)
                *ret = TAKE_PTR(objects);
        return status;
}

/* Counts all used bytes of the pools' nodes as foreign. Only the daemon knows which of them belong to a
 * reservation, and memory that is used cannot be granted without moving pages. */
static size_t fill_use(const Offline *o, NodeUse *use)
{
        size_t n = 0;

        for (size_t i = 0; i < o->topology->n_nodes; i++) {
                const Node *node = &o->topology->nodes[i];

                if (nodeset_contains(&o->pools->cdm, node->id))
                        use[n++] = (NodeUse){ .node = node->id,
                                              .foreign_bytes = offline_used_bytes(node),
                                              .closed = !node->online };
        }
        return n;
}

static int find_near(const Offline *o, const char *root, const char *pci, NodeSet *ret)
{
        int r = topology_read_near(root, o->topology, pci, ret);

        if (r == -EINVAL)
                return usage_error("--near=%s is no PCI address such as 0000:65:00.0 or 65:00.0", pci);
        if (r < 0)
                return fail(CDM_EXIT_FAILED,
                            "there is no PCI device %s here; lspci -D shows those there are", pci);
        return 0;
}

static int fill_request(const Offline *o, const Args *args, const char *pool, const Size *size, Request *req)
{
        const Pool *p = pool_set_find(o->pools, pool);

        *req = (Request){
                .pool = pool,
                .size_bytes = size_resolve(size, p ? p->size_bytes : 0),
                .lease_usec = args->lease_usec,
                .has_priority = args_given(args, OPTION_PRIORITY),
                .priority = args->priority,
                .queue = args_given(args, OPTION_QUEUE),
                .exclusive = args_given(args, OPTION_EXCLUSIVE),
                .nodes = args->node_set,
        };
        return args->near ? find_near(o, args->root, args->near, &req->near) : 0;
}

int offline_decide(const Offline *o, const Args *args, const char *pool, const Size *size, Decision **ret)
{
        _cleanup_(subject_free_p) Subject *subject = NULL;
        _cleanup_(ledger_free_p) Ledger *ledger = NULL;
        _cleanup_free_ NodeUse *use = calloc(o->topology->n_nodes + 1, sizeof(*use));
        Request request;

        int status = fill_request(o, args, pool, size, &request);
        if (status == 0)
                status = offline_subject(args, &subject);
        if (status != 0)
                return status;
        if (!use || ledger_new(&ledger) < 0)
                return out_of_memory();

        request.subject = subject;
        Snapshot snapshot = {
                .topology = o->topology,
                .pools = o->pools,
                .config = o->config,
                .ledger = ledger,
                .use = use,
                .n_use = fill_use(o, use),
                .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE),
                .now_usec = clock_usec(CLOCK_REALTIME),
        };
        return decide(&snapshot, &request, ret) < 0 ? out_of_memory() : 0;
}
