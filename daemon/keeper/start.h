/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starts cdmd, and recovers the state of an earlier process. */

typedef struct Book Book;
typedef struct BufferSet BufferSet;
typedef struct Drift Drift;
typedef struct Foreign Foreign;
typedef struct HoldSet HoldSet;
typedef struct Leases Leases;
typedef struct MachineFacts MachineFacts;
typedef struct NodeDrains NodeDrains;
typedef struct NodeWatch NodeWatch;
typedef struct Overrun Overrun;
typedef struct Releases Releases;
typedef struct Reloads Reloads;
typedef struct RequestSet RequestSet;
typedef struct Start Start;
typedef struct StaticSet StaticSet;
typedef struct UnitChecks UnitChecks;
typedef struct VouchSet VouchSet;
typedef struct Waiters Waiters;
typedef struct Warnings Warnings;

typedef struct StartContext {
        Book *book;
        BufferSet *buffers;
        Drift *drift;
        MachineFacts *facts;
        Foreign *foreign;
        HoldSet *holds;
        Leases *leases;
        NodeDrains *node_drains;
        NodeWatch *node_watch;
        Overrun *overrun;
        Releases *releases;
        Reloads *reloads;
        RequestSet *requests;
        StaticSet *statics;
        UnitChecks *unit_checks;
        VouchSet *vouches;
        Waiters *waiters;
        Warnings *warnings;
} StartContext;

int start_new(const StartContext *context, Start **ret);
Start *start_free(Start *s);
int start_run(Start *s);
