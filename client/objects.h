/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's objects as values, and their tables. The same structs
 * are filled in from sysfs and configuration with --offline; then `known` is false, and what only the daemon
 * knows is null. */

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
        bool has_labels; /* else the daemon does not show them to whoever asks */
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

/* Which reservations: those that meet all that is set. */
typedef struct ReservationFilter {
        const char *pool, *unit, *state; /* NULL: any */
        bool by_uid;
        uint32_t uid;
} ReservationFilter;

/* These return 0 or an exit status. Reservations (filter NULL: all) with what they use, page by page; pools
 * and nodes. */
int objects_read_reservations(sd_bus *bus, const ReservationFilter *filter, Objects *o);
int objects_read_pools_and_nodes(sd_bus *bus, Objects *o);
/* One reservation alone, without what it uses; *ret_info is cleared by reservation_info_clear(). */
int reservation_read(sd_bus *bus, const char *path, ReservationInfo *ret_info);
/* With what it uses, and with its labels if the caller may see those. */
int reservation_read_whole(sd_bus *bus, const char *path, ReservationInfo *ret_info);
void reservation_info_clear(ReservationInfo *info);

const PoolInfo *objects_find_pool(const Objects *o, const char *name);
const NodeInfo *objects_find_node(const Objects *o, uint32_t node);

/* The tables, with exactly the JSON keys of the contract. -ENOMEM. */
int objects_table_reservations(const ReservationInfo *infos, size_t n, Table **ret);
int objects_table_pools(const Objects *o, Table **ret);
/* hide_empty: without nodes that have neither memory nor CPUs and are in no pool. */
int objects_table_nodes(const Objects *o, bool hide_empty, Table **ret);
bool node_info_is_empty(const NodeInfo *n);
