/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Infrastructure that all parts of the daemon share: event loop, bus, threads, turns, disk. It is created
 * before the first part and freed after the last one. */

#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Authorizer Authorizer;
typedef struct EventLimit EventLimit;
typedef struct Gate Gate;
typedef struct IdentityContext IdentityContext;
typedef struct Names Names;
typedef struct Notify Notify;
typedef struct Peers Peers;
typedef struct SenderCache SenderCache;
typedef struct Store Store;
typedef struct TurnQueue TurnQueue;
typedef struct UnitJobs UnitJobs;
typedef struct Worker Worker;

typedef struct Core {
        char *root; /* "" for the machine */
        sd_event *event;
        sd_bus *bus;
        Worker *worker, *mover, *filler, *reader; /* see assembly.c */
        Notify *notify;
        EventLimit *event_limit; /* for events that callers can cause at any rate */
        TurnQueue *turns;
        Gate *gate; /* to PID 1 */
        UnitJobs *jobs;
        Names *names;
        SenderCache *senders;
        Peers *peers;
        Authorizer *authorizer;
        const IdentityContext *identity_context;
        Store *store;
        uint64_t page_bytes;
} Core;
