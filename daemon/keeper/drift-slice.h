/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Checks which nodes slices allow, and which slices enable the cpuset controller. */

#include <stdbool.h>

#include "daemon/fence/fence-names.h"
#include "daemon/keeper/fights.h"

typedef struct Book Book;
typedef struct Fence Fence;

typedef struct SliceLooks SliceLooks;

/* look_at_all: called if only a check of all control groups can tell what is open. */
int slice_looks_new(Book *book, Fence *fence, Fights *fights, void (*look_at_all)(void *userdata),
                    void *userdata, SliceLooks **ret);
SliceLooks *slice_looks_free(SliceLooks *s);
/* Checks a slice after an event for it. */
void slice_looks_add(SliceLooks *s, const char *path);
/* Checks the slices above a leaf that has CDM nodes which are not in its own set. Closes the leaf through
 * the set of such a slice, or through its own set. */
void slice_looks_above(SliceLooks *s, const char *leaf);
/* off: the cgroup.subtree_control files, found by a check of all control groups, that do not enable the
 * cpuset controller, each with the nodes that are open as a result. True: the caller must close the fence,
 * which enables the controller. */
bool slice_looks_off(SliceLooks *s, const FenceNames *off);
