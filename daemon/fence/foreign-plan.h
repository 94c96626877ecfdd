/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What cgroups that systemd does not own shall have: values in, values out. daemon/fence/foreign.c has the
 * model, reads the cgroups, and writes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/nodeset.h"

/* CDM nodes that are promised to a cgroup and all below it. */
typedef struct ForeignHold {
        char *path;
        NodeSet nodes;
} ForeignHold;

typedef struct ForeignGroup {
        char *path;
        uint64_t id;     /* inode of its directory */
        ssize_t parent;  /* its parent's place in the array, before its own; -1: it is a top one */
        bool has_cpuset; /* else it has what its parent has */
        NodeSet mems, effective;
        bool marked; /* cdmd has written here */
        NodeSet was; /* what was there before */
        NodeSet set; /* the ordinary nodes that cdmd wrote */

        /* filled in by foreign_decide() */
        NodeSet target; /* what mems shall be; the same as mems: nothing is to be done */
        NodeSet before; /* what mems was before cdmd, when it writes target now */
        NodeSet open;   /* CDM nodes that it has now and that nobody promised it */
} ForeignGroup;

/* What is promised to a cgroup: by itself, by one above it, whose set it inherits, or to one below it, which
 * has to find it here. */
NodeSet foreign_promised(const char *path, const ForeignHold *holds, size_t n_holds);

void foreign_decide(ForeignGroup *groups, size_t n, const ForeignHold *holds, size_t n_holds,
                    const NodeSet *ordinary, const NodeSet *cdm);
