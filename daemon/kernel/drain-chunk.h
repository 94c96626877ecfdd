/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pages of one process that are collected, and then moved with few system calls.
 *
 * move_pages(2) wants the address of each page. If the address is within a transparent huge page, the kernel
 * moves the whole huge page, so one address is enough for 512 pages. Nothing tells in advance whether an
 * aligned range of present pages is a huge page. So only its first page is moved: if the last page has moved
 * with it, the range was a huge page; otherwise the range consists of small pages, which are then moved one
 * by one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/kernel/drain-targets.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

#define HUGE_PAGE_BYTES (2ULL << 20) /* the smallest common size */

typedef struct DrainChunk DrainChunk;

/* The result of moving a chunk. */
typedef struct DrainCount {
        uint64_t moved_bytes;
        uint64_t stayed_bytes; /* on `from`: pinned, or no room */
} DrainCount;

/* targets is borrowed. */
int drain_chunk_new(const NodeSet *from, DrainTargets *targets, DrainChunk **ret);
DrainChunk *drain_chunk_free(DrainChunk *c);
DEFINE_CLEANUP(DrainChunk, drain_chunk_free);

/* True if pages of this process and size can be added; otherwise the chunk must be moved first. An empty chunk
 * accepts any. */
bool drain_chunk_accepts(const DrainChunk *c, pid_t pid, uint64_t page_bytes);

/* The pages that are added next belong to this process and have this size (hugetlb has its own). all_on_source:
 * no page of their mapping is outside `from`, so the kernel need not be asked where they are. */
void drain_chunk_begin(DrainChunk *c, pid_t pid, uint64_t page_bytes, bool all_on_source);

/* Add one page, or an aligned range of HUGE_PAGE_BYTES in which all pages are present. The range may be one
 * huge page or consist of small pages. */
void drain_chunk_add_page(DrainChunk *c, uint64_t address);
void drain_chunk_add_range(DrainChunk *c, uint64_t address);

/* True if nothing more can be added. */
bool drain_chunk_is_full(const DrainChunk *c);
uint64_t drain_chunk_bytes(const DrainChunk *c);

/* Moves those pages of the chunk that are on `from`, at most limit_bytes, and empties the chunk, also if it
 * fails. Blocks. -ESRCH: the process is gone. */
int drain_chunk_move(DrainChunk *c, uint64_t limit_bytes, DrainCount *ret);
