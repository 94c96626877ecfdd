/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The leaves of the fence, read from the kernel by a worker, and the nodes that are open to them. Leaves are
 * plain values; functions that use the ledger run on the event loop. */

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
        char *unit;      /* NULL: a foreign cgroup, not owned by systemd */
        char *unit_path; /* the cgroup of the unit: path or an ancestor; NULL like unit */
        char *slice;     /* the slice of the unit; NULL like unit */
        uint64_t id;     /* inode */
        bool doubtful;   /* has the name of a unit, but systemd may not own it */
        bool is_empty;   /* an empty slice, which is in a scan until its owner is known */
        bool has_cpuset; /* the cgroup that the fence writes (unit_path, else path) has the controller */
        /* The uppermost cgroup.subtree_control above the unit's cgroup that does not enable the controller.
         * NULL: all ancestors enable it, or the leaf is a foreign cgroup. */
        char *off;
        NodeSet mems;       /* the set of the cgroup that the fence writes */
        NodeSet effective;  /* of the leaf; without the controller, of its nearest ancestor with it */
        bool judged_closed; /* nothing was open when this reading was judged */
        NodeSet held;       /* CDM nodes on which the leaf has pages */
        NodeSet promised;   /* CDM nodes opened by reservations below it; without a unit also above it */
        uint64_t bytes;     /* size of these pages */
        FenceWay way;       /* read if CDM nodes are open that `mems` does not contain */
} FenceLeaf;

typedef struct FenceScan {
        FenceLeaf *leaves;
        size_t n_leaves;
} FenceScan;

void fence_scan_clear(FenceScan *s);
/* The same for the event loop, on a worker: freeing many leaves takes long. */
void fence_scan_clear_later(FenceScan *s, Worker *worker);

/* Reads every leaf. Blocks for a long time if there are many. doubtful_slices: includes empty slices whose
 * owner is unknown. */
int fence_scan_read(const NodeSet *cdm, bool doubtful_slices, FenceScan *ret);

/* Reads one cgroup. -ENOENT: it is gone. The caller clears *ret with fence_leaf_clear(), also on failure. */
int fence_leaf_read(const char *path, const NodeSet *cdm, FenceLeaf *ret);
void fence_leaf_clear(FenceLeaf *leaf);
/* True if fence_leaf_name() found a slice. The fence leaves slices open. */
bool fence_leaf_is_slice(const FenceLeaf *leaf);
/* True for an empty slice that, as far as is known, belongs to systemd: it is not a leaf of the fence. */
bool fence_leaf_is_empty_slice(const FenceLeaf *leaf);

/* Derives the unit, its slice and its cgroup from the path of a leaf: the first component that is not a
 * slice is the unit. (The names are only used to ask PID 1 and to report, never to decide about access.) All
 * three are NULL if that component is not the name of a unit. */
int fence_leaf_name(FenceLeaf *leaf);
/* Fills in the unit and its cgroup for any path. Without a unit, unit_path is the path. Cgroups below the
 * cgroup of a unit are not looked at, because the unit confines them. The caller clears *ret with
 * fence_leaf_clear(). */
int fence_leaf_of_path(const char *path, FenceLeaf *ret);

/* The CDM nodes that reservations open to the leaf. */
NodeSet fence_leaf_reserved(const FenceLeaf *leaf, const Ledger *ledger);
/* The nodes of `cdm` that are promised to a tenant or a leaf. A node is promised if it is reserved, or if a
 * reservation that drains (or whose node is shut) still holds bytes there: the release closes the node. */
NodeSet fence_tenant_promised(const char *tenant, const NodeSet *cdm, const Ledger *ledger);
NodeSet fence_leaf_promised(const FenceLeaf *leaf, const NodeSet *cdm, const Ledger *ledger);
/* The nodes of `cdm` that are promised to a unit or to tenants below it (Subtree=). */
NodeSet fence_unit_promised(const char *unit, const NodeSet *cdm, const Ledger *ledger);
/* Those that the unit must have at this moment: of the nodes that a release will close, only those of `had`. */
NodeSet fence_unit_reserved(const char *unit, const NodeSet *had, const NodeSet *cdm, const Ledger *ledger);
/* True if the list of Exempt= (NULL: an empty one) has the unit, or the unit is cdmd's own. */
bool fence_unit_is_exempt(const char *unit, char *const *exempt);
/* The CDM nodes that are open to the leaf without a promise; empty for exempt units. */
NodeSet fence_leaf_open(const FenceLeaf *leaf, const Config *config, const PoolSet *pools,
                        const Ledger *ledger);
/* The ordinary nodes that the configuration allows to the unit (NULL: to no particular unit): the nodes of
 * Pin=, or all ordinary nodes. config may be NULL. */
NodeSet fence_unit_ordinary(const char *unit, const Config *config, const PoolSet *pools);
/* The nodes of `ordinary` that the ancestors of the leaf allow; all of them if the ancestors allow none. */
NodeSet fence_leaf_allowed(const FenceLeaf *leaf, const NodeSet *ordinary);
/* The set that a leaf may have: had ∩ ordinary (`ordinary` if that is empty), plus the reserved nodes. */
NodeSet fence_target(const NodeSet *had, const NodeSet *reserved, const NodeSet *ordinary);
