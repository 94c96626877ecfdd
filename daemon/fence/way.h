/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The ancestors of a tenant that is not a unit: cgroups that carry a fence, and their siblings. */

#include <stdbool.h>

#include "daemon/fence/foreign.h"
#include "daemon/fence/subtenant.h"
#include "policy/nodeset.h"

/* Opens the ancestors for these nodes, or closes them except for these nodes. id: inode of the tenant; 0:
 * any. Blocks. ret: the unit above that was changed, if any. ret_message: what failed, if the error alone
 * does not tell; owned by the caller. */
int way_change(Foreign *f, const char *cgroup, uint64_t id, bool open, const NodeSet *nodes,
               SubtenantUnit *ret, char **ret_message);
/* Promises these nodes to the tenant without writing to the kernel. below_unit: it was granted as a child of a
 * unit, whether or not Subtree= still says so. Does not block. */
int way_hold(Foreign *f, const char *cgroup, uint64_t id, bool below_unit, const NodeSet *nodes);
