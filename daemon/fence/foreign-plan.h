/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Computes the desired sets of foreign cgroups, which systemd does not own. Pure functions on values.
 * daemon/fence/foreign.c explains the model, reads the cgroups, and writes the sets. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/nodeset.h"

/* CDM nodes that are promised to a cgroup and its descendants. */
typedef struct ForeignHold {
        char *path;
        NodeSet nodes;
} ForeignHold;

typedef struct ForeignGroup {
        char *path;
        uint64_t id;     /* inode of its directory */
        ssize_t parent;  /* index of the parent, smaller than its own; -1: a top cgroup */
        bool has_cpuset; /* false: it has the nodes of its parent */
        NodeSet mems, effective;
        bool marked; /* cdmd has written mems */
        NodeSet was; /* mems before that write */
        NodeSet set; /* the ordinary nodes that cdmd wrote */

        /* filled in by foreign_decide() */
        NodeSet target; /* the desired mems; equal to mems if nothing needs to change */
        NodeSet before; /* the set to record as `was` when target is written */
        NodeSet open;   /* CDM nodes that the cgroup has without a promise */
} ForeignGroup;

/* The nodes promised to a cgroup: to the cgroup itself, to an ancestor, whose set it inherits, or to a
 * descendant, whose ancestors must allow them. */
NodeSet foreign_promised(const char *path, const ForeignHold *holds, size_t n_holds);

void foreign_decide(ForeignGroup *groups, size_t n, const ForeignHold *holds, size_t n_holds,
                    const NodeSet *ordinary, const NodeSet *cdm);
