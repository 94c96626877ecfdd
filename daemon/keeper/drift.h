/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernel's state is no longer what cdmd decided. Looks are merged: they may be asked for as often as there
 * is a reason to. */

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

/* Anything may have changed: every leaf and the drop-ins are looked at, once the fence is not busy. */
void drift_look(Drift *d);
/* What systemd says around a daemon-reload ("reloading", "reloaded"). */
void drift_systemd(Drift *d, const char *state);
/* A cgroup of which something was heard, such as that somebody, perhaps cdmd itself, wrote its cpuset.mems.
 * It is read soon. check: fence_check() is called as well, afterwards, so that the cause of a drift is known.
 */
void drift_leaf(Drift *d, const char *path, bool check);
/* A slice of which something was heard. */
void drift_slice(Drift *d, const char *path);
/* The fence is as it shall be: what was noticed while that was worked on is looked at now. */
void drift_settled(Drift *d);
/* The cgroup tree is to be watched (or not), by this one; NULL: it cannot be. Not all of it may be watched. */
void drift_watched(Drift *d, bool wanted, const Watch *watch);
const DriftContext *drift_context(const Drift *d);
/* What is fought over. */
Fights *drift_fights(Drift *d);

/* drift-repair.c. fence_check() has closed something. userdata: the Drift. */
void drift_on_fence_repaired(const FenceRepair *repair, void *userdata);
