/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Chooses the nodes to which drained pages go: the nearest one that has room. */

#include <stddef.h>
#include <stdint.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct DrainTargets DrainTargets;

/* Sorts the nodes of `to` by their distance from the first node of `from`. -EINVAL: a set is empty, or the
 * sets have a node in common. */
int drain_targets_new(const NodeSet *from, const NodeSet *to, DrainTargets **ret);
DrainTargets *drain_targets_free(DrainTargets *t);
DEFINE_CLEANUP(DrainTargets, drain_targets_free);

/* Reads again how much room the targets have. */
void drain_targets_read_room(DrainTargets *t);

/* Sets node[i] to the target of each of n pages, and takes their bytes off the room of these targets. If no
 * target has room, the nearest one is chosen: the kernel reclaims there, or the move fails. */
void drain_targets_take(DrainTargets *t, size_t n, uint64_t page_bytes, int *node);
