/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The tables of reservations, pools and nodes: for people, and as JSON with the keys of the contract. */

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "client/objects.h"

static const Column reservation_columns[] = {
        { "ID", "id", .right = true },        { "POOL", "pool", .cut = true },
        { "SIZE", "size", .right = true },    { "STATE", "state" },
        { "STRENGTH", "strength" },           { "UNIT", "unit", .cut = true },
        { NULL, "cgroup", .cut = true },      { NULL, "uid", .right = true },
        { "USER", NULL, .cut = true },        { "PRIO", "priority", .right = true },
        { "NODES", "nodes", .cut = true },    { "USED", "used", .right = true },
        { "POLICY", "policy", .cut = true },  { "EXPIRES", "expires" },
        { NULL, "requester", .right = true }, { NULL, "labels", .cut = true },
};

static const Column pool_columns[] = {
        { "NAME", "name" },
        { "NODES", "nodes" },
        { "SIZE", "size", true },
        { "RESERVED", "reserved", true },
        { "AVAILABLE", "available", true },
        { "USED", "used", true },
        { "HOLD", "hold" },
        { "DESCRIPTION", NULL, .cut = true },
};

static const Column node_columns[] = {
        { "NODE", "node", true },
        { "POOL", "pool" },
        { "SIZE", "size", true },
        { "FREE", "free", true },
        { "USED", "used", true },
        { "RESERVED", "reserved", true },
        { "UNATTRIBUTED", "unattributed", .right = true, .hide_zero = true },
        { NULL, "online" },
        { "STATE", NULL },
        { "DEVICE", "device", .cut = true },
        { "MB/S", "read_bandwidth_mbps", true },
        { "NS", "read_latency_ns", true },
        { "CPUS", "initiators" },
        { "TIER", "tier", true },
        { "EVIDENCE", "evidence", .cut = true },
};

static void add_user(Table *t, uint32_t uid)
{
        const struct passwd *pw = getpwuid(uid);

        if (pw)
                table_string(t, pw->pw_name);
        else
                table_unsigned(t, uid);
}

static const char *state_color(const char *state)
{
        if (!state || strcmp(state, "active") == 0)
                return NULL;
        return strcmp(state, "degraded") == 0 ? "red" : "yellow";
}

int objects_table_reservations(const ReservationInfo *infos, size_t n, Table **ret)
{
        Table *t;

        int r = table_new(reservation_columns, ARRAY_SIZE(reservation_columns), &t);
        if (r < 0)
                return r;

        for (size_t i = 0; i < n; i++) {
                const ReservationInfo *x = &infos[i];

                table_row(t);
                table_unsigned(t, x->id);
                table_string(t, x->pool);
                table_bytes(t, x->size);
                table_string(t, x->state);
                table_color(t, state_color(x->state));
                table_string_or_null(t, x->strength);
                table_string_or_null(t, x->unit);
                table_string_or_null(t, x->cgroup);
                table_unsigned(t, x->uid);
                add_user(t, x->uid);
                table_signed(t, x->priority);
                table_shares(t, x->shares, x->n_shares);
                table_bytes(t, x->used);
                table_string_or_null(t, x->policy);
                table_time(t, x->expires_usec);
                table_unsigned(t, x->requester);
                if (x->has_labels)
                        table_labels(t, &x->labels);
                else
                        table_null(t);
        }
        *ret = t;
        return 0;
}

static void add_known_bytes(Table *t, bool known, uint64_t bytes)
{
        if (known)
                table_bytes(t, bytes);
        else
                table_null(t);
}

int objects_table_pools(const Objects *o, Table **ret)
{
        Table *t;

        int r = table_new(pool_columns, ARRAY_SIZE(pool_columns), &t);
        if (r < 0)
                return r;

        for (size_t i = 0; i < o->n_pools; i++) {
                const PoolInfo *x = &o->pools[i];

                table_row(t);
                table_string(t, x->name);
                table_nodes(t, &x->nodes);
                table_bytes(t, x->size);
                add_known_bytes(t, x->known, x->reserved);
                add_known_bytes(t, x->known, x->available);
                table_bytes(t, x->used);
                table_bool(t, x->hold);
                table_string_or_null(t, x->description);
        }
        *ret = t;
        return 0;
}

/* Adds a number for which 0 means unknown. */
static void add_measure(Table *t, uint64_t v)
{
        if (v > 0)
                table_unsigned(t, v);
        else
                table_null(t);
}

bool node_info_is_empty(const NodeInfo *n)
{
        return !n->online && n->size == 0 && !n->drained && !(n->pool && *n->pool);
}

int objects_table_nodes(const Objects *o, bool hide_empty, Table **ret)
{
        Table *t;

        int r = table_new(node_columns, ARRAY_SIZE(node_columns), &t);
        if (r < 0)
                return r;

        for (size_t i = 0; i < o->n_nodes; i++) {
                const NodeInfo *x = &o->nodes[i];

                if (hide_empty && node_info_is_empty(x))
                        continue;
                table_row(t);
                table_unsigned(t, x->node);
                table_string_or_null(t, x->pool);
                table_bytes(t, x->size);
                table_bytes(t, x->free);
                table_bytes(t, x->used);
                add_known_bytes(t, x->known, x->reserved);
                add_known_bytes(t, x->known, x->unattributed);
                table_bool(t, x->online);
                table_string(t, x->drained ? "drained" : x->online ? "online" : "offline");
                table_color(t, x->drained || !x->online ? "yellow" : NULL);
                table_string_or_null(t, x->device);
                add_measure(t, x->read_bandwidth_mbps);
                add_measure(t, x->read_latency_ns);
                table_nodes(t, &x->initiators);
                if (x->tier >= 0)
                        table_signed(t, x->tier);
                else
                        table_null(t);
                table_string_or_null(t, x->evidence);
        }
        *ret = t;
        return 0;
}
