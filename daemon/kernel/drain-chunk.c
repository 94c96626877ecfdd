/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/drain-chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/kernel/pages.h"

/* Each call of move_pages(2) first has all processors empty their lists of pages (lru_cache_disable() in
 * mm/migrate.c), which takes as long as moving a hundred pages (measured under emulation). */
#define PAGES_MAX  16384
#define RANGES_MAX 32

struct DrainChunk {
        NodeSet from;
        DrainTargets *targets;
        pid_t pid;
        uint64_t page_bytes;
        bool all_on_source;
        size_t n, n_ranges;
        void *page[PAGES_MAX];
        int node[PAGES_MAX];
        int status[PAGES_MAX];
        char *range[RANGES_MAX];
};

int drain_chunk_new(const NodeSet *from, DrainTargets *targets, DrainChunk **ret)
{
        DrainChunk *c = malloc(sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->from = *from;
        c->targets = targets;
        c->n = c->n_ranges = 0;
        *ret = c;
        return 0;
}

DrainChunk *drain_chunk_free(DrainChunk *c)
{
        free(c);
        return NULL;
}

static bool chunk_is_empty(const DrainChunk *c)
{
        return c->n == 0 && c->n_ranges == 0;
}

bool drain_chunk_accepts(const DrainChunk *c, pid_t pid, uint64_t page_bytes)
{
        return chunk_is_empty(c) || (c->pid == pid && c->page_bytes == page_bytes);
}

void drain_chunk_begin(DrainChunk *c, pid_t pid, uint64_t page_bytes, bool all_on_source)
{
        c->all_on_source = all_on_source && (chunk_is_empty(c) || c->all_on_source);
        c->pid = pid;
        c->page_bytes = page_bytes;
}

void drain_chunk_add_page(DrainChunk *c, uint64_t address)
{
        c->page[c->n++] = (void *)(uintptr_t)address;
}

void drain_chunk_add_range(DrainChunk *c, uint64_t address)
{
        c->range[c->n_ranges++] = (char *)(uintptr_t)address;
}

bool drain_chunk_is_full(const DrainChunk *c)
{
        return c->n == PAGES_MAX || c->n_ranges == RANGES_MAX;
}

uint64_t drain_chunk_bytes(const DrainChunk *c)
{
        return c->n * c->page_bytes + c->n_ranges * HUGE_PAGE_BYTES;
}

static bool chunk_is_on_source(const DrainChunk *c, int node)
{
        return node >= 0 && node < NODE_MAX && nodeset_contains(&c->from, node);
}

/* Negative: no page is there any more, or the zero page, which pagemap shows as present but numa_maps does not
 * count, and which never moves. */
static bool chunk_is_off_source(const DrainChunk *c, int node)
{
        return node >= 0 && !chunk_is_on_source(c, node);
}

/* Zero pages do not count against the budget, so if it may be too small, the kernel is asked where pages are. */
static bool chunk_takes_all(const DrainChunk *c, size_t n, uint64_t budget)
{
        return c->all_on_source && n <= budget;
}

/* Calls move_pages(2) for page[0] to page[n - 1]. *ret_all: all of them are on their targets. Other results
 * than the errors returned here mean that some pages stayed; they do not reliably tell which ones (tail pages
 * of a huge page report errors although they were moved with their head). */
static int chunk_call_move(DrainChunk *c, size_t n, bool *ret_all)
{
        long answer = pages_move(c->pid, n, c->page, c->node, c->status);
        bool all = answer == 0;

        if (answer == -ESRCH || answer == -EPERM || answer == -EACCES || answer == -EINVAL ||
            answer == -ENODEV)
                return (int)answer;
        for (size_t i = 0; all && i < n; i++)
                all = c->status[i] == c->node[i];
        *ret_all = all;
        return 0;
}

/* --- PAGES -------------------------------------------------------------------------------------------- */

/* Keeps the pages that are on `from`, as many as budget. */
static int chunk_select_pages(DrainChunk *c, uint64_t budget)
{
        size_t kept = 0;

        if (chunk_takes_all(c, c->n, budget))
                return 0;
        int r = pages_locate(c->pid, c->n, c->page, c->status);
        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n && kept < budget; i++)
                if (chunk_is_on_source(c, c->status[i]))
                        c->page[kept++] = c->page[i];
        c->n = kept;
        return 0;
}

static int chunk_move_pages(DrainChunk *c, uint64_t limit_bytes, DrainCount *count)
{
        uint64_t moved = 0, stayed = 0;
        bool all;

        int r = chunk_select_pages(c, (limit_bytes - count->moved_bytes) / c->page_bytes);
        if (r < 0 || c->n == 0)
                return r;
        drain_targets_take(c->targets, c->n, c->page_bytes, c->node);
        r = chunk_call_move(c, c->n, &all);
        if (r == 0 && !all)
                r = pages_locate(c->pid, c->n, c->page, c->status);
        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n; i++) {
                moved += chunk_is_off_source(c, c->status[i]);
                stayed += chunk_is_on_source(c, c->status[i]);
        }
        count->moved_bytes += moved * c->page_bytes;
        count->stayed_bytes += stayed * c->page_bytes;
        return 0;
}

/* --- RANGES ------------------------------------------------------------------------------------------- */

static char *range_last_page(const DrainChunk *c, const char *range)
{
        return (char *)range + HUGE_PAGE_BYTES - c->page_bytes;
}

/* Puts the ranges that may be huge pages on `from`, as many as budget, at the beginning of range[]. */
static int chunk_select_ranges(DrainChunk *c, uint64_t budget, size_t *ret_n)
{
        const bool takes_all = chunk_takes_all(c, c->n_ranges, budget);
        size_t n = 0;

        for (size_t i = 0; !takes_all && i < c->n_ranges; i++) {
                c->page[2 * i] = c->range[i];
                c->page[2 * i + 1] = range_last_page(c, c->range[i]);
        }
        int r = takes_all ? 0 : pages_locate(c->pid, 2 * c->n_ranges, c->page, c->status);
        if (r < 0)
                return r;
        for (size_t i = 0; n < budget && i < c->n_ranges; i++) {
                char *range = c->range[i];

                if (!takes_all && !(chunk_is_on_source(c, c->status[2 * i]) &&
                                    chunk_is_on_source(c, c->status[2 * i + 1])))
                        continue;
                c->range[i] = c->range[n];
                c->range[n++] = range;
        }
        *ret_n = n;
        return 0;
}

/* Moves the first page of the first n ranges, and drops the ranges whose last page has moved as well. A range
 * without a last page has pages that are not on `from`. */
static int chunk_move_huge(DrainChunk *c, size_t n, DrainCount *count)
{
        size_t kept = 0;
        bool all;

        for (size_t i = 0; i < n; i++)
                c->page[i] = c->range[i];
        drain_targets_take(c->targets, n, HUGE_PAGE_BYTES, c->node);
        int r = chunk_call_move(c, n, &all);
        for (size_t i = 0; i < n; i++)
                c->page[i] = range_last_page(c, c->range[i]);
        if (r == 0)
                r = pages_locate(c->pid, n, c->page, c->status);
        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n_ranges; i++) {
                c->all_on_source = c->all_on_source && (i >= n || c->status[i] >= 0);
                if (i < n && chunk_is_off_source(c, c->status[i]))
                        count->moved_bytes += HUGE_PAGE_BYTES;
                else
                        c->range[kept++] = c->range[i];
        }
        c->n_ranges = kept;
        return 0;
}

static int chunk_move_ranges(DrainChunk *c, uint64_t limit_bytes, DrainCount *count)
{
        size_t n;

        int r = chunk_select_ranges(c, (limit_bytes - count->moved_bytes) / HUGE_PAGE_BYTES, &n);
        if (r == 0 && n > 0)
                r = chunk_move_huge(c, n, count);
        for (size_t i = 0; r == 0 && i < c->n_ranges && count->moved_bytes < limit_bytes; i++) {
                c->n = HUGE_PAGE_BYTES / c->page_bytes;
                for (size_t k = 0; k < c->n; k++)
                        c->page[k] = c->range[i] + k * c->page_bytes;
                r = chunk_move_pages(c, limit_bytes, count);
        }
        return r;
}

int drain_chunk_move(DrainChunk *c, uint64_t limit_bytes, DrainCount *ret)
{
        int r = 0;

        *ret = (DrainCount){ 0 };
        if (c->n > 0)
                r = chunk_move_pages(c, limit_bytes, ret);
        if (r == 0 && c->n_ranges > 0 && ret->moved_bytes < limit_bytes)
                r = chunk_move_ranges(c, limit_bytes, ret);
        c->n = c->n_ranges = 0;
        return r;
}
