/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.cdmd1.Pool at /org/cdmd1/pool/NAME and org.cdmd1.Node at /org/cdmd1/node/N. Properties do not read
 * files of cgroups: they return the usage that was observed last (usage.h). */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus/bus-internal.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/machine-facts.h"
#include "daemon/tenant/snapshot.h"
#include "daemon/tenant/usage.h"
#include "policy/cdm-names.h"

#define GETTER(name)                                                                                        \
        static int get_##name(sd_bus *bus, const char *path, const char *interface, const char *property,   \
                              sd_bus_message *reply, void *userdata, sd_bus_error *error)

/* A pool or node is looked up by its path for each property, because a reload replaces all of them. */
static const Pool *pool_of(const Bus *b, const char *path)
{
        _cleanup_free_ char *name = NULL;

        if (sd_bus_path_decode(path, CDM_PATH_POOL, &name) <= 0)
                return NULL;
        return pool_set_find(b->book->pools, name);
}

static const Node *node_of(const Bus *b, const char *path)
{
        char again[BUS_PATH_MAX];
        int node;

        if (sscanf(path, CDM_PATH_NODE "/%d", &node) != 1)
                return NULL;
        snprintf(again, sizeof(again), CDM_PATH_NODE "/%d", node);
        return strcmp(again, path) == 0 ? topology_find(b->book->topology, node) : NULL;
}

static int pool_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                     sd_bus_error *error)
{
        if (!pool_of(userdata, path))
                return 0;
        *ret = userdata;
        return 1;
}

static int node_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                     sd_bus_error *error)
{
        if (!node_of(userdata, path))
                return 0;
        *ret = userdata;
        return 1;
}

static int pool_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                          sd_bus_error *error)
{
        Bus *b = userdata;
        _cleanup_(bus_paths_free) char **paths = calloc(b->book->pools->n_pools + 1, sizeof(char *));

        if (!paths)
                return -ENOMEM;
        for (size_t i = 0; i < b->book->pools->n_pools; i++) {
                int r = sd_bus_path_encode(CDM_PATH_POOL, b->book->pools->pools[i].name, &paths[i]);
                if (r < 0)
                        return r;
        }
        *ret_nodes = TAKE_PTR(paths);
        return 0;
}

static int node_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                          sd_bus_error *error)
{
        Bus *b = userdata;
        _cleanup_(bus_paths_free) char **paths = calloc(b->book->topology->n_nodes + 1, sizeof(char *));

        if (!paths)
                return -ENOMEM;
        for (size_t i = 0; i < b->book->topology->n_nodes; i++)
                if (asprintf(&paths[i], CDM_PATH_NODE "/%d", b->book->topology->nodes[i].id) < 0) {
                        paths[i] = NULL;
                        return -ENOMEM;
                }
        *ret_nodes = TAKE_PTR(paths);
        return 0;
}

GETTER(pool_name)
{
        return sd_bus_message_append(reply, "s", pool_of(userdata, path)->name);
}

GETTER(pool_description)
{
        const Pool *p = pool_of(userdata, path);

        return sd_bus_message_append(reply, "s", p->description ? p->description : "");
}

GETTER(pool_nodes)
{
        return bus_append_nodes(reply, &pool_of(userdata, path)->nodes);
}

GETTER(pool_size)
{
        return sd_bus_message_append(reply, "t", pool_of(userdata, path)->size_bytes);
}

/* The sum over the pool's nodes. */
static uint64_t pool_sum(Bus *b, const char *path, uint64_t (*bytes)(Bus *b, int node))
{
        uint64_t sum = 0;

        NODESET_FOREACH (node, &pool_of(b, path)->nodes)
                sum += bytes(b, node);
        return sum;
}

static uint64_t used_bytes(Bus *b, int node)
{
        return usage_show_node(b->book->usage, node).used_bytes;
}

static uint64_t reserved_bytes(Bus *b, int node)
{
        return ledger_node_reserved(b->book->ledger, node);
}

GETTER(pool_reserved)
{
        return sd_bus_message_append(reply, "t", pool_sum(userdata, path, reserved_bytes));
}

GETTER(pool_available)
{
        Bus *b = userdata;
        const Pool *p = pool_of(b, path);
        Snapshot s = snapshot_take_to_show(b->book, p);

        return sd_bus_message_append(reply, "t", snapshot_pool_available(&s, p));
}

GETTER(pool_used)
{
        return sd_bus_message_append(reply, "t", pool_sum(userdata, path, used_bytes));
}

GETTER(pool_hold)
{
        return sd_bus_message_append(reply, "b", pool_of(userdata, path)->hold);
}

GETTER(pool_fence)
{
        const Bus *b = userdata;

        return sd_bus_message_append(reply, "s", machine_fence_state(b->context.facts, pool_of(b, path)));
}

GETTER(node_number)
{
        return sd_bus_message_append(reply, "u", (uint32_t)node_of(userdata, path)->id);
}

GETTER(node_pool)
{
        Bus *b = userdata;
        const Pool *p = pool_set_find_node(b->book->pools, node_of(b, path)->id);

        return sd_bus_message_append(reply, "s", p ? p->name : "");
}

GETTER(node_size)
{
        return sd_bus_message_append(reply, "t", node_of(userdata, path)->size_bytes);
}

GETTER(node_free)
{
        Bus *b = userdata;
        const Node *n = node_of(b, path);
        uint64_t used = used_bytes(b, n->id);

        return sd_bus_message_append(reply, "t", n->size_bytes > used ? n->size_bytes - used : 0);
}

GETTER(node_used)
{
        Bus *b = userdata;

        return sd_bus_message_append(reply, "t", used_bytes(b, node_of(b, path)->id));
}

GETTER(node_reserved)
{
        Bus *b = userdata;

        return sd_bus_message_append(reply, "t",
                                     ledger_node_reserved(b->book->ledger, node_of(b, path)->id));
}

GETTER(node_unattributed)
{
        Bus *b = userdata;

        return sd_bus_message_append(
                reply, "t", usage_show_node(b->book->usage, node_of(b, path)->id).unattributed_bytes);
}

GETTER(node_online)
{
        return sd_bus_message_append(reply, "b", node_of(userdata, path)->online);
}

GETTER(node_drained)
{
        Bus *b = userdata;

        return sd_bus_message_append(reply, "b", nodeset_contains(&b->book->drained, node_of(b, path)->id));
}

GETTER(node_device)
{
        const Node *n = node_of(userdata, path);

        return sd_bus_message_append(reply, "s", n->device ? n->device : "");
}

GETTER(node_bandwidth)
{
        return sd_bus_message_append(reply, "t", node_of(userdata, path)->read_bandwidth_mbps);
}

GETTER(node_latency)
{
        return sd_bus_message_append(reply, "t", node_of(userdata, path)->read_latency_ns);
}

GETTER(node_initiators)
{
        return bus_append_nodes(reply, &node_of(userdata, path)->initiators);
}

GETTER(node_tier)
{
        return sd_bus_message_append(reply, "i", node_of(userdata, path)->tier);
}

GETTER(node_evidence)
{
        Bus *b = userdata;
        char text[POOL_EVIDENCE_STR_MAX];

        return sd_bus_message_append(
                reply, "s", pool_evidence(b->book->pools, b->book->topology, node_of(b, path)->id, text));
}

const sd_bus_vtable bus_pool_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Name", "s", get_pool_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Description", "s", get_pool_description, 0, 0),
        SD_BUS_PROPERTY("Nodes", "au", get_pool_nodes, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Size", "t", get_pool_size, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Reserved", "t", get_pool_reserved, 0, 0),
        SD_BUS_PROPERTY("Available", "t", get_pool_available, 0, 0),
        SD_BUS_PROPERTY("Used", "t", get_pool_used, 0, 0),
        SD_BUS_PROPERTY("Hold", "b", get_pool_hold, 0, 0),
        SD_BUS_PROPERTY("FenceState", "s", get_pool_fence, 0, 0),
        SD_BUS_VTABLE_END,
};

const sd_bus_vtable bus_node_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Node", "u", get_node_number, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Pool", "s", get_node_pool, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Size", "t", get_node_size, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Free", "t", get_node_free, 0, 0),
        SD_BUS_PROPERTY("Used", "t", get_node_used, 0, 0),
        SD_BUS_PROPERTY("Reserved", "t", get_node_reserved, 0, 0),
        SD_BUS_PROPERTY("Unattributed", "t", get_node_unattributed, 0, 0),
        SD_BUS_PROPERTY("Online", "b", get_node_online, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Drained", "b", get_node_drained, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Device", "s", get_node_device, 0, 0),
        SD_BUS_PROPERTY("ReadBandwidth", "t", get_node_bandwidth, 0, 0),
        SD_BUS_PROPERTY("ReadLatency", "t", get_node_latency, 0, 0),
        SD_BUS_PROPERTY("Initiators", "au", get_node_initiators, 0, 0),
        SD_BUS_PROPERTY("Tier", "i", get_node_tier, 0, 0),
        SD_BUS_PROPERTY("Evidence", "s", get_node_evidence, 0, 0),
        SD_BUS_VTABLE_END,
};

/* --- lists of all pools and nodes, after an observation ------------------------------------------------ */

static int append_properties(Bus *b, sd_bus_message *reply, const char *path, const char *interface,
                             const sd_bus_vtable *vtable)
{
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        for (const sd_bus_vtable *v = vtable; r >= 0 && v->type != _SD_BUS_VTABLE_END; v++) {
                if (v->type != _SD_BUS_VTABLE_PROPERTY)
                        continue;
                const char *name = v->x.property.member;
                r = sd_bus_message_open_container(reply, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(reply, "s", name);
                if (r >= 0)
                        r = sd_bus_message_open_container(reply, 'v', v->x.property.signature);
                if (r >= 0)
                        r = v->x.property.get(b->book->core->bus, path, interface, name, reply, b, NULL);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_pools(Bus *b, sd_bus_message *reply)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < b->book->pools->n_pools; i++) {
                _cleanup_free_ char *path = NULL;

                r = sd_bus_path_encode(CDM_PATH_POOL, b->book->pools->pools[i].name, &path);
                if (r >= 0)
                        r = append_properties(b, reply, path, CDM_INTERFACE_POOL, bus_pool_vtable);
        }
        return r;
}

static int append_nodes(Bus *b, sd_bus_message *reply)
{
        char path[BUS_PATH_MAX];
        int r = 0;

        for (size_t i = 0; r >= 0 && i < b->book->topology->n_nodes; i++) {
                snprintf(path, sizeof(path), CDM_PATH_NODE "/%d", b->book->topology->nodes[i].id);
                r = append_properties(b, reply, path, CDM_INTERFACE_NODE, bus_node_vtable);
        }
        return r;
}

static void list_reply(BusCall *call, int (*append)(Bus *b, sd_bus_message *reply))
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        int r = sd_bus_message_new_method_return(bus_call_message(call), &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        if (r >= 0)
                r = append(bus_call_bus(call), reply);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        bus_call_send(call, reply, r);
}

static void list_pools_on_look(int error, const UsageTarget *target, void *userdata)
{
        if (error < 0)
                bus_call_refuse_errno(userdata, error);
        else
                list_reply(userdata, append_pools);
}

static void list_nodes_on_look(int error, const UsageTarget *target, void *userdata)
{
        if (error < 0)
                bus_call_refuse_errno(userdata, error);
        else
                list_reply(userdata, append_nodes);
}

/* Nothing to do: the call was already freed with the Bus. */
static void list_on_stop(void *userdata)
{
}

static int list_start(Bus *b, sd_bus_message *message, usage_done_t done)
{
        UsageLook *look;
        BusCall *call;

        int r = bus_call_new(b->calls, message, &call);
        if (r < 0)
                return r;
        r = snapshot_look(b->book, NULL, done, call, &look);
        if (r < 0) {
                bus_call_free(call);
                return r;
        }
        usage_look_leave(look, list_on_stop);
        return 1;
}

int bus_list_pools(Bus *b, sd_bus_message *call, sd_bus_error *error)
{
        return list_start(b, call, list_pools_on_look);
}

int bus_list_nodes(Bus *b, sd_bus_message *call, sd_bus_error *error)
{
        return list_start(b, call, list_nodes_on_look);
}

int bus_pool_install(Bus *b)
{
        int r = sd_bus_add_fallback_vtable(b->bus, NULL, CDM_PATH_POOL, CDM_INTERFACE_POOL, bus_pool_vtable,
                                           pool_find, b);

        if (r >= 0)
                r = sd_bus_add_node_enumerator(b->bus, NULL, CDM_PATH_POOL, pool_enumerate, b);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(b->bus, NULL, CDM_PATH_NODE, CDM_INTERFACE_NODE,
                                               bus_node_vtable, node_find, b);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(b->bus, NULL, CDM_PATH_NODE, node_enumerate, b);
        return r;
}

static void node_path(int node, char path[static BUS_PATH_MAX])
{
        snprintf(path, BUS_PATH_MAX, CDM_PATH_NODE "/%d", node);
}

static void tell_node_changed(Bus *b, int node, const char *property)
{
        char path[BUS_PATH_MAX];

        node_path(node, path);
        if (node_of(b, path))
                (void)sd_bus_emit_properties_changed(b->bus, path, CDM_INTERFACE_NODE, property, NULL);
}

static const char *pool_name_of(const PoolSet *pools, int node)
{
        const Pool *p = pool_set_find_node(pools, node);

        return p ? p->name : "";
}

static void tell_node(Bus *b, const Node *now, const Node *before, const PoolSet *pools_before)
{
        char path[BUS_PATH_MAX];

        node_path(now->id, path);
        if (!before) {
                (void)sd_bus_emit_interfaces_added(b->bus, path, CDM_INTERFACE_NODE, NULL);
                return;
        }
        if (now->size_bytes != before->size_bytes)
                tell_node_changed(b, now->id, "Size");
        if (now->online != before->online)
                tell_node_changed(b, now->id, "Online");
        if (strcmp(pool_name_of(b->book->pools, now->id), pool_name_of(pools_before, now->id)) != 0)
                tell_node_changed(b, now->id, "Pool");
}

static void tell_pool(Bus *b, const Pool *now, const Pool *before)
{
        _cleanup_free_ char *path = NULL;

        if (sd_bus_path_encode(CDM_PATH_POOL, now->name, &path) < 0)
                return;
        if (!before)
                (void)sd_bus_emit_interfaces_added(b->bus, path, CDM_INTERFACE_POOL, NULL);
        else if (!nodeset_equal(&now->nodes, &before->nodes) || now->size_bytes != before->size_bytes)
                (void)sd_bus_emit_properties_changed(b->bus, path, CDM_INTERFACE_POOL, "Nodes", "Size",
                                                     NULL);
}

/* Sends the signals for all differences from the previous topology and pools. */
static void tell_nodes(Bus *b, const Topology *topology_before, const PoolSet *pools_before)
{

        for (size_t i = 0; i < b->book->topology->n_nodes; i++) {
                const Node *n = &b->book->topology->nodes[i];

                tell_node(b, n, topology_find(topology_before, n->id), pools_before);
        }
        for (size_t i = 0; i < topology_before->n_nodes; i++) {
                char path[BUS_PATH_MAX];

                node_path(topology_before->nodes[i].id, path);
                if (!topology_find(b->book->topology, topology_before->nodes[i].id))
                        (void)sd_bus_emit_interfaces_removed(b->bus, path, CDM_INTERFACE_NODE, NULL);
        }
        for (size_t i = 0; i < b->book->pools->n_pools; i++)
                tell_pool(b, &b->book->pools->pools[i],
                          pool_set_find(pools_before, b->book->pools->pools[i].name));
        for (size_t i = 0; i < pools_before->n_pools; i++) {
                _cleanup_free_ char *path = NULL;

                if (!pool_set_find(b->book->pools, pools_before->pools[i].name) &&
                    sd_bus_path_encode(CDM_PATH_POOL, pools_before->pools[i].name, &path) >= 0)
                        (void)sd_bus_emit_interfaces_removed(b->bus, path, CDM_INTERFACE_POOL, NULL);
        }
}

void bus_pool_on_notice(Bus *b, const Notice *n)
{
        if (n->kind == NOTICE_NODE_DRAINED)
                tell_node_changed(b, n->node, "Drained");
        else
                tell_nodes(b, n->topology_before, n->pools_before);
}
