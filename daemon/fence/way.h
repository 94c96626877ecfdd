/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The way to a tenant that is no unit: the cgroups above it that carry a fence, and those beside them. */

#include <stdbool.h>

#include "daemon/fence/foreign.h"
#include "daemon/fence/subtenant.h"
#include "policy/nodeset.h"

/* Opens it for these nodes, or closes it but for them. id: its inode, 0: any. Blocks. ret: the unit above that was changed, if there
 * is one. ret_message: what failed, where there is more to say than the error; owned by the caller. */
int way_change(Foreign *f, const char *cgroup, uint64_t id, bool open, const NodeSet *nodes,
               SubtenantUnit *ret, char **ret_message);
/* These nodes are promised to the tenant, without a word to the kernel. Does not block. */
int way_hold(Foreign *f, const char *cgroup, uint64_t id, const NodeSet *nodes);
