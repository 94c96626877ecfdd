/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the fence looks at: every leaf as the kernel has it, read on a worker, and what of it is open. Values
 * only; the ledger is asked on the event loop. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/fence/fence-way.h"
#include "daemon/loop/worker.h"
#include "policy/config.h"
#include "policy/ledger.h"
#include "policy/macro.h"
#include "policy/nodeset.h"
#include "policy/pool.h"

typedef struct FenceLeaf {
        char *path;
        char *unit;      /* NULL: systemd does not own it */
        char *unit_path; /* the unit's own cgroup: path, or one above it; NULL like unit */
        char *slice;     /* the slice that the unit is in; NULL like unit */
        uint64_t id;     /* inode */
        bool doubtful;   /* it has the name of a unit, but perhaps only that */
        bool is_empty;   /* a slice in which nothing is, which is in a scan until its owner is known */
        bool has_cpuset; /* the controller is enabled there; else `effective` is its ancestor's */
        /* The uppermost cgroup.subtree_control above the unit's cgroup that does not enable the controller;
         * NULL: all do, or systemd does not own it. */
        char *off;
        NodeSet mems, effective;
        bool judged_closed; /* by the ledger of that moment, and this reading */
        NodeSet held;       /* CDM nodes on which it has pages */
        NodeSet promised; /* CDM nodes that a reservation below it opens as well; without a unit also one above */
        uint64_t bytes; /* its bytes there */
        FenceWay way;   /* where CDM nodes are open to it that its own set does not have */
} FenceLeaf;

typedef struct FenceScan {
        FenceLeaf *leaves;
        size_t n_leaves;
} FenceScan;

void fence_scan_clear(FenceScan *s);
/* Likewise for the event loop, on a thread: that takes long where there are many. */
void fence_scan_clear_later(FenceScan *s, Worker *worker);

/* Reads every leaf; blocks as long as there are many. doubtful_slices: also slices in which nothing is, whose
 * owner is not known. */
int fence_scan_read(const NodeSet *cdm, bool doubtful_slices, FenceScan *ret);

/* Reads one cgroup. -ENOENT: it is gone. The caller frees it with fence_leaf_clear(), also on failure. */
int fence_leaf_read(const char *path, const NodeSet *cdm, FenceLeaf *ret);
void fence_leaf_clear(FenceLeaf *leaf);
/* Is what fence_leaf_name() found a slice, which the fence leaves open? */
bool fence_leaf_is_slice(const FenceLeaf *leaf);
/* One in which nothing is, and as far as is known systemd's: no leaf of the fence. */
bool fence_leaf_is_empty_slice(const FenceLeaf *leaf);

/* Takes unit, slice and the unit's cgroup out of a leaf's path: the first component that is no slice is the
 * unit. (The names are used to ask PID 1 and to report, never to decide who may have what.) All are NULL
 * when it does not look like a unit's. */
int fence_leaf_name(FenceLeaf *leaf);
/* Fills in the unit and its cgroup for any path; unit_path is the path where there is no unit. Cgroups below a
 * unit's are its own affair, it confines them. The caller frees it with fence_leaf_clear(). */
int fence_leaf_of_path(const char *path, FenceLeaf *ret);

/* CDM nodes that reservations open to the leaf. */
NodeSet fence_leaf_reserved(const FenceLeaf *leaf, const Ledger *ledger);
/* Of the nodes cdm those that a tenant, or a leaf, has a promise of: they are reserved, or a reservation that
 * drains (or whose node is shut) still holds bytes there, and whoever ended it closes them. */
NodeSet fence_tenant_promised(const char *tenant, const NodeSet *cdm, const Ledger *ledger);
NodeSet fence_leaf_promised(const FenceLeaf *leaf, const NodeSet *cdm, const Ledger *ledger);
/* Does the configuration (or being cdmd) lift the fence for the unit? */
bool fence_unit_is_exempt(const char *unit, const Config *config);
/* The CDM nodes that are open to the leaf without a promise; empty for exempt units. */
NodeSet fence_leaf_open(const FenceLeaf *leaf, const Config *config, const PoolSet *pools,
                        const Ledger *ledger);
/* The ordinary nodes that the configuration leaves to the unit (NULL: to none in particular): those that
 * Pin= names, or all. config may be NULL. */
NodeSet fence_unit_ordinary(const char *unit, const Config *config, const PoolSet *pools);
/* Of these nodes those that the cgroups above the leaf allow, if any are. */
NodeSet fence_leaf_allowed(const FenceLeaf *leaf, const NodeSet *ordinary);
/* What a leaf may have: of `ordinary` what it had (all, where that is nothing) and what is reserved. */
NodeSet fence_target(const NodeSet *had, const NodeSet *reserved, const NodeSet *ordinary);
