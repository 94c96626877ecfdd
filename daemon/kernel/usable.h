/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Checks whether the processes of a cgroup can use the nodes of the cgroup. */

#include "policy/nodeset.h"

/* A cgroup that denies nodes to its processes. */
typedef struct UsableNarrow {
        char *path; /* relative to the checked cgroup: "/container"; NULL: none */
        NodeSet nodes;
} UsableNarrow;

/* 0: a process in or below the cgroup fd may allocate on all of `nodes`, or there is no process. -EPERM: no
 * process may; *ret is the topmost populated cgroup that lacks nodes, and its path is owned by the caller.
 * In a subtree with thousands of cgroups only a part is visited, and the result is 0. Reads files: for the
 * worker. */
int usable_check(int fd, const NodeSet *nodes, UsableNarrow *ret);
