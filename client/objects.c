/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/objects.h"
#include "policy/cdm-names.h"

/* Where a property goes in a struct. type: of D-Bus; "au" becomes a NodeSet, "a(ut)" shares. */
typedef struct Property {
        const char *name, *type;
        size_t offset;
} Property;

static const Property reservation_properties[] = {
        { "Id", "u", offsetof(ReservationInfo, id) },
        { "Pool", "s", offsetof(ReservationInfo, pool) },
        { "Size", "t", offsetof(ReservationInfo, size) },
        { "State", "s", offsetof(ReservationInfo, state) },
        { "Strength", "s", offsetof(ReservationInfo, strength) },
        { "Unit", "s", offsetof(ReservationInfo, unit) },
        { "ControlGroup", "s", offsetof(ReservationInfo, cgroup) },
        { "Uid", "u", offsetof(ReservationInfo, uid) },
        { "Requester", "u", offsetof(ReservationInfo, requester) },
        { "Priority", "i", offsetof(ReservationInfo, priority) },
        { "Nodes", "a(ut)", offsetof(ReservationInfo, shares) },
        { "Used", "t", offsetof(ReservationInfo, used) },
        { "Policy", "s", offsetof(ReservationInfo, policy) },
        { "Expires", "t", offsetof(ReservationInfo, expires_usec) },
        { "Labels", "a{ss}", 0 },
        {},
};

static const Property pool_properties[] = {
        { "Name", "s", offsetof(PoolInfo, name) },
        { "Description", "s", offsetof(PoolInfo, description) },
        { "Nodes", "au", offsetof(PoolInfo, nodes) },
        { "Size", "t", offsetof(PoolInfo, size) },
        { "Reserved", "t", offsetof(PoolInfo, reserved) },
        { "Available", "t", offsetof(PoolInfo, available) },
        { "Used", "t", offsetof(PoolInfo, used) },
        { "Hold", "b", offsetof(PoolInfo, hold) },
        { "FenceState", "s", offsetof(PoolInfo, fence) },
        {},
};

static const Property node_properties[] = {
        { "Node", "u", offsetof(NodeInfo, node) },
        { "Pool", "s", offsetof(NodeInfo, pool) },
        { "Size", "t", offsetof(NodeInfo, size) },
        { "Free", "t", offsetof(NodeInfo, free) },
        { "Used", "t", offsetof(NodeInfo, used) },
        { "Reserved", "t", offsetof(NodeInfo, reserved) },
        { "Unattributed", "t", offsetof(NodeInfo, unattributed) },
        { "Online", "b", offsetof(NodeInfo, online) },
        { "Drained", "b", offsetof(NodeInfo, drained) },
        { "Device", "s", offsetof(NodeInfo, device) },
        { "ReadBandwidth", "t", offsetof(NodeInfo, read_bandwidth_mbps) },
        { "ReadLatency", "t", offsetof(NodeInfo, read_latency_ns) },
        { "Initiators", "au", offsetof(NodeInfo, initiators) },
        { "Tier", "i", offsetof(NodeInfo, tier) },
        { "Evidence", "s", offsetof(NodeInfo, evidence) },
        {},
};

void reservation_info_clear(ReservationInfo *info)
{
        free(info->pool);
        free(info->state);
        free(info->strength);
        free(info->unit);
        free(info->cgroup);
        free(info->policy);
        free(info->shares);
        labels_clear(&info->labels);
        *info = (ReservationInfo){ 0 };
}

Objects *objects_free(Objects *o)
{
        if (!o)
                return NULL;
        for (size_t i = 0; i < o->n_reservations; i++)
                reservation_info_clear(&o->reservations[i]);
        for (size_t i = 0; i < o->n_pools; i++) {
                free(o->pools[i].name);
                free(o->pools[i].description);
                free(o->pools[i].fence);
        }
        for (size_t i = 0; i < o->n_nodes; i++) {
                free(o->nodes[i].pool);
                free(o->nodes[i].device);
                free(o->nodes[i].evidence);
        }
        free(o->reservations);
        free(o->pools);
        free(o->nodes);
        free(o);
        return NULL;
}

static int read_string(sd_bus_message *m, char **field)
{
        const char *s;

        int r = sd_bus_message_read(m, "s", &s);
        if (r < 0)
                return r;
        free(*field);
        *field = strdup(s);
        return *field ? 0 : -ENOMEM;
}

static int read_bool(sd_bus_message *m, bool *field)
{
        int v;

        int r = sd_bus_message_read(m, "b", &v);
        if (r >= 0)
                *field = v != 0;
        return r;
}

static int read_nodes(sd_bus_message *m, NodeSet *field)
{
        const uint32_t *nodes;
        size_t size;

        int r = sd_bus_message_read_array(m, 'u', (const void **)&nodes, &size);
        if (r < 0)
                return r;
        *field = NODESET_EMPTY;
        for (size_t i = 0; i < size / sizeof(*nodes); i++) {
                if (nodes[i] >= NODE_MAX)
                        return -ERANGE;
                nodeset_add(field, (int)nodes[i]);
        }
        return 0;
}

static int objects_read_shares(sd_bus_message *m, ReservationInfo *info)
{
        uint32_t node;
        uint64_t bytes;
        int r;

        info->n_shares = 0;
        if ((r = sd_bus_message_enter_container(m, 'a', "(ut)")) < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(ut)", &node, &bytes)) > 0) {
                Share *shares = reallocarray(info->shares, info->n_shares + 1, sizeof(*shares));

                if (!shares)
                        return -ENOMEM;
                info->shares = shares;
                if (node >= NODE_MAX)
                        return -ERANGE;
                shares[info->n_shares++] = (Share){ .node = (int)node, .bytes = bytes };
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int objects_read_labels(sd_bus_message *m, ReservationInfo *info)
{
        const char *key, *value;

        labels_clear(&info->labels);
        int r = sd_bus_message_enter_container(m, 'a', "{ss}");
        while (r >= 0 && (r = sd_bus_message_read(m, "{ss}", &key, &value)) > 0)
                r = labels_add(&info->labels, key, value);
        info->has_labels = r >= 0;
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int objects_read_value(sd_bus_message *m, const Property *p, void *object)
{
        void *field = (char *)object + p->offset;

        if (strcmp(p->type, "s") == 0)
                return read_string(m, field);
        if (strcmp(p->type, "b") == 0)
                return read_bool(m, field);
        if (strcmp(p->type, "au") == 0)
                return read_nodes(m, field);
        if (strcmp(p->type, "a(ut)") == 0)
                return objects_read_shares(m, object);
        if (strcmp(p->type, "a{ss}") == 0)
                return objects_read_labels(m, object);
        return sd_bus_message_read_basic(m, p->type[0], field);
}

/* Reads a{sv} into a struct. Unknown properties, of a newer daemon, are skipped. */
static int read_properties(sd_bus_message *m, const Property *table, void *object)
{
        const char *name;
        int r;

        if ((r = sd_bus_message_enter_container(m, 'a', "{sv}")) < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const Property *p = table;

                if ((r = sd_bus_message_read(m, "s", &name)) < 0)
                        return r;
                while (p->name && strcmp(p->name, name) != 0)
                        p++;
                if (!p->name) {
                        r = sd_bus_message_skip(m, "v");
                } else if ((r = sd_bus_message_enter_container(m, 'v', p->type)) >= 0) {
                        if ((r = objects_read_value(m, p, object)) >= 0)
                                r = sd_bus_message_exit_container(m);
                }
                if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* Appends a zeroed element to an array. NULL: out of memory. */
static void *objects_grow(void *array, size_t *n, size_t size)
{
        char *grown = *(char **)array;

        /* Grow in powers of two, so that thousands of elements cause few copies. */
        if ((*n & (*n - 1)) == 0) {
                grown = reallocarray(grown, *n > 0 ? *n * 2 : 1, size);
                if (!grown)
                        return NULL;
                *(char **)array = grown;
        }
        return memset(grown + (*n)++ * size, 0, size);
}

/* --- reservations, page by page ----------------------------------------------------------------------- */

static int read_page(sd_bus_message *m, Objects *o, uint32_t *ret_next)
{
        ReservationInfo *info;

        int r = sd_bus_message_enter_container(m, 'a', "(ua{sv})");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', "ua{sv}")) > 0) {
                if ((r = sd_bus_message_skip(m, "u")) < 0)
                        return r;
                info = objects_grow(&o->reservations, &o->n_reservations, sizeof(*o->reservations));
                if (!info)
                        return -ENOMEM;
                if ((r = read_properties(m, reservation_properties, info)) < 0 ||
                    (r = sd_bus_message_exit_container(m)) < 0)
                        return r;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : sd_bus_message_read(m, "u", ret_next);
}

static int append_filter(sd_bus_message *m, const ReservationFilter *f)
{
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", CDM_FILTER_USED, "b", 1);
        if (r >= 0 && f && f->pool)
                r = sd_bus_message_append(m, "{sv}", CDM_FILTER_POOL, "s", f->pool);
        if (r >= 0 && f && f->unit)
                r = sd_bus_message_append(m, "{sv}", CDM_FILTER_UNIT, "s", f->unit);
        if (r >= 0 && f && f->state)
                r = sd_bus_message_append(m, "{sv}", CDM_FILTER_STATE, "s", f->state);
        if (r >= 0 && f && f->by_uid)
                r = sd_bus_message_append(m, "{sv}", CDM_FILTER_UID, "u", f->uid);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int objects_read_reservations(sd_bus *bus, const ReservationFilter *filter, Objects *o)
{
        uint32_t next = 0;

        do {
                _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL, *reply = NULL;

                int r = sd_bus_message_new_method_call(bus, &m, CDM_BUS_NAME, CDM_PATH,
                                                       CDM_INTERFACE_MANAGER, "ListReservations");
                if (r >= 0)
                        r = sd_bus_message_append(m, "uu", next, CDM_PAGE_MAX);
                if (r >= 0)
                        r = append_filter(m, filter);
                if (r < 0)
                        return client_fail(NULL, r);
                int status = client_send(bus, m, &reply);
                if (status != 0)
                        return status;
                r = read_page(reply, o, &next);
                if (r < 0)
                        return client_garbled(r);
        } while (next != 0);
        return 0;
}

/* --- pools and nodes ---------------------------------------------------------------------------------- */

/* Reads aa{sv}. The daemon observes the nodes before it replies, so the numbers are current. */
static int read_pools(sd_bus_message *m, Objects *o)
{
        int r = sd_bus_message_enter_container(m, 'a', "a{sv}");

        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                PoolInfo *pool = objects_grow(&o->pools, &o->n_pools, sizeof(*o->pools));

                if (!pool)
                        return -ENOMEM;
                pool->known = true;
                r = read_properties(m, pool_properties, pool);
        }
        return r;
}

static int read_all_nodes(sd_bus_message *m, Objects *o)
{
        int r = sd_bus_message_enter_container(m, 'a', "a{sv}");

        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                NodeInfo *node = objects_grow(&o->nodes, &o->n_nodes, sizeof(*o->nodes));

                if (!node)
                        return -ENOMEM;
                node->known = true;
                r = read_properties(m, node_properties, node);
        }
        return r;
}

static int read_list(sd_bus *bus, const char *method, int (*read)(sd_bus_message *m, Objects *o), Objects *o)
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *reply = NULL;

        int status = client_call(bus, CDM_PATH, CDM_INTERFACE_MANAGER, method, &reply, "");
        if (status != 0)
                return status;
        int r = read(reply, o);
        return r < 0 ? client_garbled(r) : 0;
}

static int by_name(const void *a, const void *b)
{
        const PoolInfo *x = a, *y = b;

        return strcmp(x->name ? x->name : "", y->name ? y->name : "");
}

static int by_node(const void *a, const void *b)
{
        const NodeInfo *x = a, *y = b;

        return (x->node > y->node) - (x->node < y->node);
}

static void objects_sort(Objects *o)
{
        if (o->n_pools > 0)
                qsort(o->pools, o->n_pools, sizeof(*o->pools), by_name);
        if (o->n_nodes > 0)
                qsort(o->nodes, o->n_nodes, sizeof(*o->nodes), by_node);
}

int objects_read_pools_and_nodes(sd_bus *bus, Objects *o)
{
        int status = read_list(bus, "ListPools", read_pools, o);

        if (status == 0)
                status = read_list(bus, "ListNodes", read_all_nodes, o);
        objects_sort(o);
        return status;
}

/* --- one reservation ---------------------------------------------------------------------------------- */

int reservation_read(sd_bus *bus, const char *path, ReservationInfo *ret_info)
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *reply = NULL;

        *ret_info = (ReservationInfo){ 0 };
        int status = client_call(bus, path, "org.freedesktop.DBus.Properties", "GetAll", &reply, "s",
                                 CDM_INTERFACE_RESERVATION);
        if (status != 0)
                return status;
        int r = read_properties(reply, reservation_properties, ret_info);
        if (r < 0)
                reservation_info_clear(ret_info);
        return r < 0 ? client_garbled(r) : 0;
}

static int reservation_read_used(sd_bus *bus, const char *path, ReservationInfo *info)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = sd_bus_get_property_trivial(bus, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION, "Used",
                                            &error, 't', &info->used);
        return r < 0 ? client_fail(&error, r) : 0;
}

static int reservation_read_labels(sd_bus *bus, const char *path, ReservationInfo *info)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;

        int r = sd_bus_get_property(bus, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION, "Labels", &error, &m,
                                    "a{ss}");
        /* The daemon does not show labels to this caller, or is too old to have labels. */
        if (r < 0 && (sd_bus_error_has_name(&error, CDM_ERROR_DENIED) ||
                      sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_PROPERTY)))
                return 0;
        if (r < 0)
                return client_fail(&error, r);
        r = objects_read_labels(m, info);
        return r < 0 ? client_garbled(r) : 0;
}

int reservation_read_whole(sd_bus *bus, const char *path, ReservationInfo *ret_info)
{
        int status = reservation_read(bus, path, ret_info);

        if (status == 0)
                status = reservation_read_used(bus, path, ret_info);
        if (status == 0)
                status = reservation_read_labels(bus, path, ret_info);
        return status;
}

const PoolInfo *objects_find_pool(const Objects *o, const char *name)
{
        for (size_t i = 0; i < o->n_pools; i++)
                if (o->pools[i].name && strcmp(o->pools[i].name, name) == 0)
                        return &o->pools[i];
        return NULL;
}

const NodeInfo *objects_find_node(const Objects *o, uint32_t node)
{
        for (size_t i = 0; i < o->n_nodes; i++)
                if (o->nodes[i].node == node)
                        return &o->nodes[i];
        return NULL;
}
