/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All parts of the daemon. */

#include "daemon/caller/identity.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/usage.h"

typedef struct BelowUnits BelowUnits;
typedef struct BufferSet BufferSet;
typedef struct Drift Drift;
typedef struct Fence Fence;
typedef struct FollowSet FollowSet;
typedef struct Foreign Foreign;
typedef struct Grant Grant;
typedef struct HoldSet HoldSet;
typedef struct HolderSet HolderSet;
typedef struct Leases Leases;
typedef struct MachineFacts MachineFacts;
typedef struct MigrationSet MigrationSet;
typedef struct Neighbours Neighbours;
typedef struct NodeDrains NodeDrains;
typedef struct NodeWatch NodeWatch;
typedef struct Overrun Overrun;
typedef struct OwnerAsks OwnerAsks;
typedef struct QueueServer QueueServer;
typedef struct Record Record;
typedef struct Reloads Reloads;
typedef struct RequestSet RequestSet;
typedef struct ResizeSet ResizeSet;
typedef struct Start Start;
typedef struct StaticSet StaticSet;
typedef struct TreeEvents TreeEvents;
typedef struct UnitChecks UnitChecks;
typedef struct VouchSet VouchSet;
typedef struct Waiters Waiters;
typedef struct Warnings Warnings;

struct Assembly {
        Core core;
        Book book;
        IdentityContext identity_context;
        UsageBuffers usage_buffers;
        Fence *fence;
        Foreign *foreign;
        BufferSet *buffers;
        Drift *drift;
        FollowSet *follows;
        Grant *grants;
        HolderSet *holders;
        HoldSet *holds;
        Leases *leases;
        MachineFacts *facts;
        MigrationSet *migrations;
        Neighbours *neighbours;
        NodeDrains *node_drains;
        NodeWatch *node_watch;
        Overrun *overrun;
        OwnerAsks *owner_asks;
        QueueServer *queue_server;
        Record *record;
        Reloads *reloads;
        RequestSet *requests;
        ResizeSet *resizes;
        Start *start;
        StaticSet *statics;
        TreeEvents *tree_events;
        UnitChecks *unit_checks;
        VouchSet *vouches;
        Waiters *waiters;
        Warnings *warnings;
        int (*release)(Entry *e); /* release_start(), for what it uses itself */
        BelowUnits *below_units;
};
