/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The mappings of a cgroup's processes that have pages to be moved, cut into parts. The lanes of a move take
 * them one after the other, so that a single large process is moved by several processors as well. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct DrainQueue DrainQueue;

typedef struct DrainPart {
        pid_t pid;
        int pagemap;              /* owned by the part; -EBADF during a pause */
        uint64_t at_address, end; /* what is left of it */
        uint64_t page_bytes;      /* hugetlb has its own size */
        bool is_all;              /* the mapping has no page on other nodes */
        size_t map;               /* for drain_queue_done() */
        unsigned generation;
} DrainPart;

/* by_use: mappings that were not used recently come first. */
int drain_queue_new(const NodeSet *from, bool by_use, DrainQueue **ret);
DrainQueue *drain_queue_free(DrainQueue *q);
DEFINE_CLEANUP(DrainQueue, drain_queue_free);

/* Begins a pass with the processes that are in the cgroup now, and ends it. */
int drain_queue_begin(DrainQueue *q, int cgroup_fd);
void drain_queue_end(DrainQueue *q);

/* Called before and after a pause, while no lane runs. drain_queue_pause() closes all files.
 * drain_queue_resume() reads which processes are still in the cgroup: the PID of a process that has left may
 * belong to another process now. */
void drain_queue_pause(DrainQueue *q);
void drain_queue_resume(DrainQueue *q, int cgroup_fd);

/* Takes the next part; it has its own pagemap, which is closed by drain_part_close(). Returns 0 if none is
 * left, and 1 otherwise. Thread-safe, as are the functions below. */
int drain_queue_take(DrainQueue *q, DrainPart *ret);
void drain_part_close(DrainPart *p);

/* After a pause: opens the pagemap of the part again. -ESRCH: the process is gone. */
int drain_queue_reopen(DrainQueue *q, DrainPart *p);

/* Adds to the handled bytes of the part's mapping. When they reach the bytes that the mapping has on the
 * nodes, the rest of its address range is skipped. */
void drain_queue_done(DrainQueue *q, const DrainPart *p, uint64_t bytes);
