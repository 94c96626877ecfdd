/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* /proc/PID/numa_maps lists the mappings with pages on a node to be drained, /proc/PID/maps gives their
 * length, and /proc/PID/pagemap shows their holes. The pages are moved in chunks. Between two chunks the
 * process runs freely, the lane checks for cancellation, and the bandwidth limit is applied.
 * (migrate_pages(2) would isolate all pages of a process in one call, with its address space locked.)
 *
 * The lane pauses between two chunks. Its whole state is in DrainLane. Thousands of moves may be paused, so no
 * file stays open during a pause. A process is continued only if it is still in the cgroup, because its PID may
 * have been reused.
 *
 * A page, a mapping or a process that vanishes meanwhile needs no draining. */

#include "daemon/kernel/drain-lane.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/kernel/drain-chunk.h"
#include "daemon/kernel/drain-maps.h"
#include "daemon/loop/clock.h"

#define CHUNK_BYTES_MAX (64ULL << 20)
#define CHUNK_BYTES_MIN (4ULL << 20)
#define PAGEMAP_WINDOW  4096 /* entries per read */
#define PAGEMAP_PRESENT (1ULL << 63)
#define SLICE_USEC      100000 /* after this time the thread is yielded to waiting jobs */
#define NAP_USEC        2000   /* too short for a timer */

struct DrainLane {
        DrainShared *shared;
        DrainChunk *chunk; /* only during a run */
        DrainMaps maps;
        bool has_maps; /* maps is filled in for the process, or for all processes */
        size_t at_map;
        uint64_t at_address;  /* in the mapping; 0: at its start */
        uint64_t done_bytes;  /* of the process: handled, wherever the pages are now */
        uint64_t done_before; /* done_bytes when all chunks before this mapping are done */
        bool by_range;        /* pages of the mapping are added as ranges where that is possible */
};

int drain_lane_new(DrainShared *shared, DrainLane **ret)
{
        DrainLane *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->shared = shared;
        *ret = l;
        return 0;
}

DrainLane *drain_lane_free(DrainLane *l)
{
        if (!l)
                return NULL;
        drain_maps_clear(&l->maps);
        drain_chunk_free(l->chunk);
        free(l);
        return NULL;
}

/* --- CHUNKS ------------------------------------------------------------------------------------------- */

/* With Bandwidth= a chunk is limited to one second of bandwidth, so that pauses are short: a cancelled drain
 * ends soon, and the load is even. A chunk is at least two huge pages: the kernel moves a whole huge page
 * when one of its pages is requested, and smaller chunks would not count the rest. */
static uint64_t chunk_bytes_max(const DrainShared *s)
{
        if (s->bandwidth == 0 || s->bandwidth > CHUNK_BYTES_MAX)
                return CHUNK_BYTES_MAX;
        return s->bandwidth < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : s->bandwidth;
}

/* All lanes pause when one of them does. */
static int lane_pause(DrainShared *s, uint64_t until_usec)
{
        pthread_mutex_lock(&s->lock);
        s->pause_until_usec = until_usec;
        pthread_mutex_unlock(&s->lock);
        atomic_store(&s->stop, true);
        return JOB_PAUSED;
}

/* Called after each chunk. Without a job it sleeps, because there is no thread to yield. */
static int lane_keep_bandwidth(DrainShared *s, uint64_t bytes, uint64_t started_usec)
{
        uint64_t due_usec = started_usec, at_usec = clock_monotonic_usec();

        if (job_is_cancelled(s->job))
                return -ECANCELED;
        if (s->bandwidth > 0)
                due_usec += (uint64_t)((double)bytes * 1e6 / (double)s->bandwidth);
        if (s->job && due_usec > at_usec + NAP_USEC)
                return lane_pause(s, due_usec);
        if (due_usec > at_usec)
                usleep((useconds_t)(due_usec - at_usec));
        if (atomic_load(&s->stop))
                return JOB_PAUSED;
        if (s->job && at_usec > s->started_usec + SLICE_USEC && job_others_wait(s->job))
                return lane_pause(s, 0);
        return 0;
}

static uint64_t lane_count(DrainShared *s, const DrainCount *count)
{
        pthread_mutex_lock(&s->lock);
        s->moved_bytes += count->moved_bytes;
        s->failed_bytes += count->stayed_bytes;
        s->left_bytes -= s->left_bytes < count->moved_bytes ? s->left_bytes : count->moved_bytes;
        job_progress(s->job, s->left_bytes);
        pthread_mutex_unlock(&s->lock);
        return count->moved_bytes + count->stayed_bytes;
}

/* True if the move has reached its limit, which only the only lane has. */
static bool lane_is_at_limit(const DrainShared *s)
{
        return s->limit_bytes != UINT64_MAX && s->moved_bytes >= s->limit_bytes;
}

/* -ESRCH: the process is gone. JOB_PAUSED: the pages were moved before the pause. */
static int lane_move_chunk(DrainLane *l)
{
        DrainShared *s = l->shared;
        uint64_t started_usec = clock_monotonic_usec(), limit_bytes = s->limit_bytes, tried_bytes;
        DrainCount count;

        if (drain_chunk_bytes(l->chunk) == 0)
                return 0;
        if (limit_bytes != UINT64_MAX)
                limit_bytes -= s->moved_bytes < limit_bytes ? s->moved_bytes : limit_bytes;
        int r = drain_chunk_move(l->chunk, limit_bytes, &count);
        tried_bytes = lane_count(s, &count);
        l->done_bytes += tried_bytes;
        return r < 0 ? r : lane_keep_bandwidth(s, tried_bytes, started_usec);
}

/* --- MAPPINGS ----------------------------------------------------------------------------------------- */

/* True if the small pages from `entries` on fill an aligned range. */
static bool lane_is_range(const DrainLane *l, const uint64_t *entries, uint64_t n, uint64_t address)
{
        const uint64_t pages = HUGE_PAGE_BYTES / (uint64_t)sysconf(_SC_PAGESIZE);

        if (!l->by_range || address % HUGE_PAGE_BYTES != 0 || n < pages)
                return false;
        for (uint64_t i = 0; i < pages; i++)
                if (!(entries[i] & PAGEMAP_PRESENT))
                        return false;
        return true;
}

/* A chunk ends at the end of a huge page, because the kernel moves a huge page as a whole. */
static bool lane_chunk_is_complete(const DrainLane *l, uint64_t end)
{
        return drain_chunk_is_full(l->chunk) ||
               (end % HUGE_PAGE_BYTES == 0 && drain_chunk_bytes(l->chunk) >= chunk_bytes_max(l->shared));
}

/* Handles one window of a mapping's pagemap, starting at at_address. After a pause it continues with the
 * next page. */
static int lane_move_window(DrainLane *l, const DrainMap *map, const uint64_t *entries, uint64_t n)
{
        const uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE), window = l->at_address;
        const uint64_t step = map->page_bytes / small;
        uint64_t i = (step - (window - map->start) / small % step) % step, next;
        int r = 0;

        /* A huge page of hugetlb may be larger than the window: then only one window contains its first entry. */
        for (; r == 0 && i < n; i = next) {
                uint64_t address = window + i * small;

                next = i + step;
                if (!(entries[i] & PAGEMAP_PRESENT))
                        continue;
                if (lane_is_range(l, entries + i, n - i, address)) {
                        drain_chunk_add_range(l->chunk, address);
                        next = i + HUGE_PAGE_BYTES / small;
                } else {
                        drain_chunk_add_page(l->chunk, address);
                }
                if (lane_chunk_is_complete(l, window + next * small))
                        r = lane_move_chunk(l);
        }
        l->at_address = window + (r == 0 ? n : i) * small;
        return r;
}

/* The entries to read: a window, which ends where a huge page ends. */
static uint64_t lane_window(const DrainLane *l, const DrainMap *map)
{
        const uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
        uint64_t end = l->at_address + PAGEMAP_WINDOW * small;

        if (end >= map->end)
                return (map->end - l->at_address) / small;
        return (end / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES - l->at_address) / small;
}

static void lane_begin_mapping(DrainLane *l, const DrainMap *map)
{
        const DrainShared *s = l->shared;

        if (l->at_address == 0) {
                l->at_address = map->start;
                l->done_before = l->done_bytes + drain_chunk_bytes(l->chunk);
        }
        l->by_range = s->has_huge && map->page_bytes == (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Moves or collects all present pages of a mapping, window by window of its pagemap. */
static int lane_move_mapping(DrainLane *l, const DrainMap *map, pid_t pid, int pagemap)
{
        const uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
        uint64_t entries[PAGEMAP_WINDOW];
        int r = 0;

        if (!drain_chunk_accepts(l->chunk, pid, map->page_bytes))
                r = lane_move_chunk(l);
        if (r != 0)
                return r;
        lane_begin_mapping(l, map);
        drain_chunk_begin(l->chunk, pid, map->page_bytes, map->is_all);
        while (r == 0 && l->at_address < map->end) {
                if (lane_is_at_limit(l->shared) ||
                    l->done_bytes >= l->done_before + map->pages * map->page_bytes)
                        break;
                ssize_t got = pread(pagemap, entries, lane_window(l, map) * sizeof(entries[0]),
                                    (off_t)(l->at_address / small * sizeof(entries[0])));
                if (got <= 0)
                        break; /* the process or this part of its address space is gone */
                r = lane_move_window(l, map, entries, (uint64_t)got / sizeof(entries[0]));
                if (r == 0 && job_is_cancelled(l->shared->job))
                        r = -ECANCELED;
        }
        return r;
}

/* False if the process has left the cgroup during a pause: another process may have its PID. */
static bool lane_is_member(const DrainShared *s, pid_t pid)
{
        bool found = !s->was_paused;

        for (size_t i = 0; i < s->n_members && !found; i++)
                found = s->members[i] == pid;
        return found;
}

static int lane_open_pagemap(const DrainLane *l, DrainProcess *p)
{
        if (p->pagemap >= 0)
                return p->pagemap;
        return lane_is_member(l->shared, p->pid) ? drain_maps_reopen(p) : -ESRCH;
}

/* Keeps the first error of the pass. These ones concern a process or a mapping that has changed meanwhile. */
static void lane_keep_error(DrainShared *s, int r)
{
        if (r >= 0 || r == -ESRCH || r == -EINVAL || r == -EFAULT || r == -ENOMEM)
                return;
        pthread_mutex_lock(&s->lock);
        if (s->first_error == 0)
                s->first_error = r;
        pthread_mutex_unlock(&s->lock);
}

/* A process may be gone, or must not be touched (a kernel thread): the move continues with the others. */
static int lane_move_maps(DrainLane *l)
{
        int r = 0;

        for (; l->at_map < l->maps.n_items && !lane_is_at_limit(l->shared); l->at_map++) {
                const DrainMap *map = &l->maps.items[l->at_map];
                DrainProcess *p = &l->maps.processes[map->process];
                int pagemap = lane_open_pagemap(l, p);

                r = pagemap >= 0 ? lane_move_mapping(l, map, p->pid, pagemap) : -ESRCH;
                if (r == -ECANCELED || r == JOB_PAUSED)
                        return r;
                l->at_address = 0;
                lane_keep_error(l->shared, r);
        }
        r = lane_move_chunk(l);
        if (r == -ECANCELED || r == JOB_PAUSED)
                return r;
        lane_keep_error(l->shared, r);
        return 0;
}

/* --- PROCESSES ---------------------------------------------------------------------------------------- */

static bool lane_take_pid(DrainShared *s, pid_t *ret)
{
        pthread_mutex_lock(&s->lock);
        bool taken = s->next_pid < s->n_pids;

        if (taken)
                *ret = s->pids[s->next_pid++];
        pthread_mutex_unlock(&s->lock);
        return taken;
}

/* Process by process: this needs little memory, and the list of mappings is recent. To move in the order of use
 * the mappings of all processes are needed first. Returns 0 if nothing is left to take. */
static int lane_take_maps(DrainLane *l)
{
        DrainShared *s = l->shared;
        int r = 0;
        pid_t pid;

        while (r >= 0 && lane_take_pid(s, &pid)) {
                if (lane_is_member(s, pid))
                        r = drain_maps_add(&l->maps, pid, &s->from, s->cold_first);
                l->has_maps = true;
                if (!s->cold_first)
                        break;
        }
        if (r >= 0 && s->cold_first)
                drain_maps_sort(&l->maps);
        return r < 0 ? r : l->has_maps;
}

static void lane_forget_maps(DrainLane *l)
{
        for (size_t i = 0; l->shared->cold_first && i < l->maps.n_processes; i++)
                drain_maps_forget_use(l->maps.processes[i].pid);
        drain_maps_clear(&l->maps);
        l->has_maps = false;
        l->at_map = 0;
        l->at_address = 0;
        l->done_bytes = 0;
}

static int lane_run(DrainLane *l)
{
        int r = 0;

        while (r == 0 && !lane_is_at_limit(l->shared)) {
                r = l->has_maps ? 1 : lane_take_maps(l);
                if (r <= 0)
                        return r;
                r = lane_move_maps(l);
                if (r == 0)
                        lane_forget_maps(l);
        }
        return r;
}

int drain_lane_run(DrainLane *l)
{
        int r = drain_chunk_new(&l->shared->from, l->shared->targets, &l->chunk);
        if (r < 0)
                return r;
        r = lane_run(l);
        drain_maps_close(&l->maps);
        l->chunk = drain_chunk_free(l->chunk);
        return r;
}
