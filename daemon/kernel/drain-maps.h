/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds the mappings of a cgroup's processes that have pages on given nodes, and those that were used
 * recently. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/nodeset.h"

/* A process whose pages are moved. pagemap refers to the address space at the time of the open. When that
 * address space is gone, pagemap reads as empty, even if another process has the PID by then. */
typedef struct DrainProcess {
        pid_t pid;
        int pagemap;
} DrainProcess;

/* One mapping with pages to move. */
typedef struct DrainMap {
        size_t process;
        uint64_t start, end; /* addresses; end 0: unmapped meanwhile, or not to be moved */
        uint64_t page_bytes; /* hugetlb has its own size */
        uint64_t pages;      /* pages on the nodes */
        bool is_all;         /* it has no page on other nodes */
        uint64_t done_bytes; /* handled by a move */
        unsigned used;       /* per cent of it used since drain_maps_forget_use(), or since its creation */
} DrainMap;

typedef struct DrainMaps {
        DrainProcess *processes;
        size_t n_processes;
        DrainMap *items;
        size_t n_items, n_allocated;
} DrainMaps;

void drain_maps_clear(DrainMaps *m);

/* Closes the files for a pause; the maps stay. */
void drain_maps_close(DrainMaps *m);
/* Opens the pagemap of the process that has the PID now. Returns the descriptor or a negative errno. */
int drain_maps_reopen(DrainProcess *p);

/* Adds the mappings of a process; by_use: also fills in `used`. Returns 0 for a process that is gone or
 * cannot be read. */
int drain_maps_add(DrainMaps *m, pid_t pid, const NodeSet *nodes, bool by_use);
/* Sorts the least used mappings first. */
void drain_maps_sort(DrainMaps *m);

/* Resets `used` of the process by clearing the accessed bits of its pages (/proc/PID/clear_refs, see
 * Documentation/filesystems/proc.rst). */
void drain_maps_forget_use(pid_t pid);
