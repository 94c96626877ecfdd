/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which mappings of a cgroup's processes have pages on given nodes, and which of them were used lately. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/nodeset.h"

/* A process whose pages are moved. pagemap: of the memory that it had when it was looked at; when that is
 * gone it reads as empty, also when another process has the number by then. */
typedef struct DrainProcess {
        pid_t pid;
        int pagemap;
} DrainProcess;

/* One mapping with pages to move. */
typedef struct DrainMap {
        size_t process;
        uint64_t start, end; /* addresses; end 0: it has been unmapped since */
        uint64_t page_bytes; /* hugetlb has its own */
        uint64_t pages;      /* on the nodes */
        unsigned used; /* per cent of it that was used since drain_maps_forget_use(), or since it was made */
} DrainMap;

typedef struct DrainMaps {
        DrainProcess *processes;
        size_t n_processes;
        DrainMap *items;
        size_t n_items, n_allocated;
} DrainMaps;

void drain_maps_clear(DrainMaps *m);

/* For a pause: the maps stay, the files do not. */
void drain_maps_close(DrainMaps *m);
/* Of the process that has the number now. The descriptor, or a negative errno. */
int drain_maps_reopen(DrainProcess *p);

/* Adds those of a process; by_use: `used` is filled in as well. 0 for one that is gone, or that cannot be
 * read.
 */
int drain_maps_add(DrainMaps *m, pid_t pid, const NodeSet *nodes, bool by_use);
/* The least used first. */
void drain_maps_sort(DrainMaps *m);

/* From now on `used` counts anew for the process (/proc/PID/clear_refs, documented in
 * Documentation/filesystems/proc.rst: it clears the accessed bits of its pages). */
void drain_maps_forget_use(pid_t pid);
