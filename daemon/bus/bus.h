/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* cdmd on the bus: org.cdmd1 with its objects, one bus-*.c file each, and org.freedesktop.LogControl1. Every
 * method reads its arguments, refuses invalid ones, authorizes the caller, and passes the call to the
 * responsible part of the daemon. Only these files reply to calls and emit signals; notices (notify.h)
 * trigger the signals. */

#include <systemd/sd-bus.h>

#include "policy/macro.h"

typedef struct AdmitContext AdmitContext;
typedef struct Book Book;
typedef struct BufferSet BufferSet;
typedef struct Bus Bus;
typedef struct Drift Drift;
typedef struct Fence Fence;
typedef struct HolderSet HolderSet;
typedef struct Leases Leases;
typedef struct MachineFacts MachineFacts;
typedef struct MigrationSet MigrationSet;
typedef struct NodeDrains NodeDrains;
typedef struct Record Record;
typedef struct Releases Releases;
typedef struct Reloads Reloads;
typedef struct RequestSet RequestSet;
typedef struct ResizeSet ResizeSet;
typedef struct StaticSet StaticSet;
typedef struct Warnings Warnings;

/* The parts of the daemon that method calls use. */
typedef struct BusContext {
        Book *book;
        const AdmitContext *admit;
        BufferSet *buffers;
        Drift *drift;
        MachineFacts *facts;
        Fence *fence;
        HolderSet *holders;
        Leases *leases;
        MigrationSet *migrations;
        NodeDrains *node_drains;
        Record *record;
        Releases *releases;
        Reloads *reloads;
        RequestSet *requests;
        ResizeSet *resizes;
        StaticSet *statics;
        Warnings *warnings;
} BusContext;

/* Puts all objects on the bus. bus_request_name() must be called afterwards. */
int bus_new(const BusContext *context, Bus **ret);
/* Pending calls get no answer. Must be called before assembly_free(), and no event may be dispatched in
 * between. */
Bus *bus_free(Bus *b);
DEFINE_CLEANUP(Bus, bus_free);
int bus_request_name(sd_bus *bus);
