/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's objects as values, and their tables. With --offline the same structs are filled in from sysfs
 * and the configuration. Then `known` is false, and values that only the daemon knows are null. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "client/table.h"
#include "policy/ledger.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct ReservationInfo {
        uint32_t id;
        char *pool, *state, *strength, *unit, *cgroup, *policy;
        uint64_t size, used, expires_usec;
        uint32_t uid, requester;
        int32_t priority;
        Share *shares;
        size_t n_shares;
        Labels labels;
        bool has_labels; /* false: the daemon does not show them to this caller */
} ReservationInfo;

typedef struct PoolInfo {
        char *name, *description, *fence;
        NodeSet nodes;
        uint64_t size, reserved, available, used;
        bool hold;
        bool known;
} PoolInfo;

typedef struct NodeInfo {
        uint32_t node;
        char *pool, *device, *evidence;
        uint64_t size, free, used, reserved, unattributed;
        uint64_t read_bandwidth_mbps, read_latency_ns; /* 0: unknown */
        NodeSet initiators;
        int32_t tier; /* -1: unknown */
        bool online, drained;
        bool known;
} NodeInfo;

typedef struct Objects {
        ReservationInfo *reservations; /* by id */
        size_t n_reservations;
        PoolInfo *pools; /* by name */
        size_t n_pools;
        NodeInfo *nodes; /* by number */
        size_t n_nodes;
} Objects;

Objects *objects_free(Objects *o);
DEFINE_CLEANUP(Objects, objects_free);

/* Chooses the reservations that meet all conditions that are set. */
typedef struct ReservationFilter {
        const char *pool, *unit, *state; /* NULL: any */
        bool by_uid;
        uint32_t uid;
} ReservationFilter;

/* Read reservations (filter NULL: all) with their use, page by page, or pools and nodes. 0 or an exit
 * status. */
int objects_read_reservations(sd_bus *bus, const ReservationFilter *filter, Objects *o);
int objects_read_pools_and_nodes(sd_bus *bus, Objects *o);
/* Reads one reservation, without its use. *ret_info must be cleared with reservation_info_clear(). */
int reservation_read(sd_bus *bus, const char *path, ReservationInfo *ret_info);
/* Likewise with its use, and with its labels if the caller may see them. */
int reservation_read_whole(sd_bus *bus, const char *path, ReservationInfo *ret_info);
void reservation_info_clear(ReservationInfo *info);

const PoolInfo *objects_find_pool(const Objects *o, const char *name);
const NodeInfo *objects_find_node(const Objects *o, uint32_t node);

/* Make tables with exactly the JSON keys of the contract. -ENOMEM. */
int objects_table_reservations(const ReservationInfo *infos, size_t n, Table **ret);
int objects_table_pools(const Objects *o, Table **ret);
/* hide_empty: leaves out nodes for which node_info_is_empty() is true. */
int objects_table_nodes(const Objects *o, bool hide_empty, Table **ret);
bool node_info_is_empty(const NodeInfo *n);
