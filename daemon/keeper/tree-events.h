/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Watches the cgroup tree while there is a fence. */

#include <stdbool.h>

typedef struct Book Book;
typedef struct Drift Drift;
typedef struct Fence Fence;
typedef struct Foreign Foreign;
typedef struct OwnerAsks OwnerAsks;
typedef struct UnitChecks UnitChecks;
typedef struct VouchSet VouchSet;
typedef struct Warnings Warnings;

typedef struct TreeEvents TreeEvents;

typedef struct TreeEventsContext {
        Book *book;
        Drift *drift;
        Fence *fence;
        Foreign *foreign;
        OwnerAsks *owner_asks;
        UnitChecks *unit_checks;
        VouchSet *vouches;
        Warnings *warnings;
} TreeEventsContext;

int tree_events_new(const TreeEventsContext *context, TreeEvents **ret);
TreeEvents *tree_events_free(TreeEvents *t);
void tree_events_watch(TreeEvents *t, bool wanted);
