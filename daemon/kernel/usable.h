/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether the processes of a cgroup can use what the cgroup may. */

#include "policy/nodeset.h"

/* A cgroup that keeps processes off nodes. */
typedef struct UsableNarrow {
        char *path; /* below the cgroup that was asked for: "/container"; NULL: none */
        NodeSet nodes;
} UsableNarrow;

/* 0: a process in or below the cgroup of fd may allocate on all of nodes, or there is no process. -EPERM: none
 * may; *ret is the topmost cgroup with processes that is in the way, its path is the caller's. Of a subtree with
 * thousands of cgroups only a part is looked at, which answers 0. Reads files: for the worker. */
int usable_check(int fd, const NodeSet *nodes, UsableNarrow *ret);
