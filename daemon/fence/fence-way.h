/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the cgroups above one leave to it. For a worker. */

#include <stdbool.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct FenceWay {
        NodeSet room; /* ordinary nodes that those above allow */
        /* The uppermost cgroup whose set has none of the ordinary nodes that those above it allow; NULL: there
         * is none. */
        char *cgroup;
        NodeSet mems;   /* its set */
        NodeSet target; /* that, and these nodes */
} FenceWay;

void fence_way_clear(FenceWay *w);

/* From the root down to path; with path itself if wanted. -ENOENT: one of them is gone, or the root does not
 * say what it has. The caller frees it with fence_way_clear(). */
int fence_way_read(const char *path, bool itself, const NodeSet *cdm, FenceWay *ret);
