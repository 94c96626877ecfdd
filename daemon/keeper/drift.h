/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Drift: the kernel's state is no longer what cdmd decided. Requests for a check are merged, so callers may
 * request checks at any rate. */

#include <stdbool.h>

#include "daemon/fence/fence.h"
#include "daemon/keeper/fights.h"
#include "daemon/kernel/cgroup-watch.h"
#include "policy/macro.h"

typedef struct Book Book;
typedef struct ChangeContext ChangeContext;
typedef struct Degrades Degrades;
typedef struct Drift Drift;
typedef struct Foreign Foreign;
typedef struct Reloads Reloads;
typedef struct Warnings Warnings;

typedef struct DriftContext {
        Book *book;
        const ChangeContext *changes;
        Degrades *degrades;
        Fence *fence;
        Foreign *foreign;
        Reloads *reloads;
        Warnings *warnings;
} DriftContext;

int drift_new(const DriftContext *context, Drift **ret);
Drift *drift_free(Drift *d);
DEFINE_CLEANUP(Drift, drift_free);

/* Checks every leaf and the drop-ins, once the fence is not busy. */
void drift_look(Drift *d);
/* Must be called when systemd begins or ends a daemon-reload. state: "reloading" or "reloaded". */
void drift_systemd(Drift *d, const char *state);
/* Checks a cgroup after an event for it, such as a write (perhaps by cdmd itself) to its cpuset.mems. check:
 * also calls fence_check(), but after the check for drift, so that the cause of a drift is known. */
void drift_leaf(Drift *d, const char *path, bool check);
/* Checks a slice after an event for it. */
void drift_slice(Drift *d, const char *path);
/* Must be called when a change of the fence has completed; runs the checks that were requested meanwhile. */
void drift_settled(Drift *d);
/* wanted: whether the cgroup tree must be watched. watch: the watch, which may be incomplete; NULL: the tree
 * cannot be watched. */
void drift_watched(Drift *d, bool wanted, const Watch *watch);
const DriftContext *drift_context(const Drift *d);
/* The objects that are fought over. */
Fights *drift_fights(Drift *d);

/* In drift-repair.c. Called after fence_check() has closed, or failed to close, a cgroup. userdata: the
 * Drift. */
void drift_on_fence_repaired(const FenceRepair *repair, void *userdata);
