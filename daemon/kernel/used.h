/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The bytes that the cgroups of reservations use on their nodes now, from memory.numa_stat. Blocks: for a
 * worker. */

#include <stddef.h>
#include <stdint.h>

#include "daemon/loop/worker.h"
#include "policy/nodeset.h"

typedef struct Used {
        char *cgroup; /* NULL: unknown, which counts as 0 bytes */
        NodeSet nodes;
        uint64_t bytes; /* the result; 0 if the cgroup is gone */
} Used;

/* -ECANCELED: the job was cancelled. */
int used_read(Used *array, size_t n, Job *job);
