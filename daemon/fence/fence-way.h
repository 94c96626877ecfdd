/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The nodes that the ancestors of a cgroup leave to it. For use on a worker. */

#include <stdbool.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct FenceWay {
        NodeSet room; /* ordinary nodes that the ancestors allow */
        /* The uppermost cgroup whose set contains none of the ordinary nodes that its ancestors allow; NULL:
         * none. */
        char *cgroup;
        NodeSet mems;   /* the set of that cgroup */
        NodeSet target; /* mems plus room */
} FenceWay;

void fence_way_clear(FenceWay *w);

/* Reads the cgroups from the root down to path; itself: including path. -ENOENT: one of them is gone, or the
 * root has no cpuset.mems.effective. The caller clears *ret with fence_way_clear(). */
int fence_way_read(const char *path, bool itself, const NodeSet *cdm, FenceWay *ret);
