/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The bytes that the cgroups of reservations use on their nodes now, from memory.numa_stat. Blocks: for a
 * worker. */

#include <stddef.h>
#include <stdint.h>

#include "daemon/loop/worker.h"
#include "policy/nodeset.h"

typedef struct Used {
        char *cgroup; /* NULL: not known, which uses nothing */
        NodeSet nodes;
        uint64_t bytes; /* the answer; 0 when the cgroup is gone */
} Used;

/* -ECANCELED when the job was cancelled. */
int used_read(Used *array, size_t n, Job *job);
