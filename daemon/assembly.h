/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All parts of the daemon. A part is a .c file with its own header, and its state is private to that file.
 * When a part is created, it is passed the other parts that it uses. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/bus/bus.h"
#include "daemon/caller/identity.h"
#include "daemon/keeper/admit.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/change.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/usage.h"
#include "policy/macro.h"

typedef struct Bases Bases;
typedef struct BelowUnits BelowUnits;
typedef struct BufferSet BufferSet;
typedef struct Degrades Degrades;
typedef struct Drift Drift;
typedef struct Fence Fence;
typedef struct FollowSet FollowSet;
typedef struct Foreign Foreign;
typedef struct GrantSet GrantSet;
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
typedef struct Releases Releases;
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

typedef struct Assembly {
        Core core;
        Book book;
        /* what several parts are handed */
        IdentityContext identity_context;
        UsageBuffers usage_buffers;
        ChangeContext changes;
        AdmitContext admit;

        Bases *bases;
        BelowUnits *below_units;
        BufferSet *buffers;
        Degrades *degrades;
        Drift *drift;
        MachineFacts *facts;
        Fence *fence;
        FollowSet *follows;
        Foreign *foreign;
        GrantSet *grants;
        HolderSet *holders;
        HoldSet *holds;
        Leases *leases;
        MigrationSet *migrations;
        Neighbours *neighbours;
        NodeDrains *node_drains;
        NodeWatch *node_watch;
        Overrun *overrun;
        OwnerAsks *owner_asks;
        QueueServer *queue_server;
        Record *record;
        Releases *releases;
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
} Assembly;

int assembly_new(const char *root, sd_event *event, sd_bus *bus, Assembly **ret);
/* For bus_new(). */
BusContext assembly_bus_context(Assembly *a);
/* The fence and all grants stay as they are. */
Assembly *assembly_free(Assembly *a);
DEFINE_CLEANUP(Assembly, assembly_free);
