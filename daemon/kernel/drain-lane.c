/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* /proc/PID/pagemap shows the holes of a mapping. The pages are moved in chunks. Between two chunks the process
 * runs freely, the lane checks for cancellation, and the bandwidth limit is applied. (migrate_pages(2) would
 * isolate all pages of a process in one call, with its address space locked.)
 *
 * The lane pauses between two chunks. Its whole state is in DrainLane. Thousands of moves may be paused, so no
 * file stays open during a pause.
 *
 * A page, a mapping or a process that vanishes meanwhile needs no draining. */

#include "daemon/kernel/drain-lane.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/kernel/drain-chunk.h"
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
        bool has_part;
        DrainPart part;
        uint64_t other_bytes; /* of the chunk, from earlier parts */
};

int drain_lane_new(DrainShared *shared, DrainLane **ret)
{
        DrainLane *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        *l = (DrainLane){ .shared = shared, .part.pagemap = -EBADF };
        *ret = l;
        return 0;
}

DrainLane *drain_lane_free(DrainLane *l)
{
        if (!l)
                return NULL;
        drain_part_close(&l->part);
        drain_chunk_free(l->chunk);
        free(l);
        return NULL;
}

/* --- CHUNKS ------------------------------------------------------------------------------------------- */

/* The upper bound of a chunk. With Bandwidth= it is the bytes of one second: the load is even, and a
 * cancelled drain ends soon. With several lanes it is half of a lane's share of the remaining bytes, so that
 * all lanes end at about the same time. It is never less than two huge pages: the kernel moves a whole huge
 * page when one of its pages is requested, and with smaller chunks the additional bytes would not be
 * counted. */
static uint64_t lane_chunk_bytes_max(DrainShared *s)
{
        uint64_t max = CHUNK_BYTES_MAX;

        if (s->bandwidth > 0 && s->bandwidth < max)
                max = s->bandwidth;
        if (s->n_lanes > 1) {
                pthread_mutex_lock(&s->lock);
                uint64_t fair = s->left_bytes / s->n_lanes / 2;
                pthread_mutex_unlock(&s->lock);
                max = fair < max ? fair : max;
        }
        return max < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : max;
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

/* Called after each chunk: delays the next chunk according to Bandwidth=. With a job, a long delay pauses
 * the job, which frees the thread; otherwise the thread sleeps. Also pauses if another lane has paused, or
 * if other jobs wait for the thread. */
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

/* True if the move has reached limit_bytes. Only a move with a single lane has a limit. */
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
        /* At most other_bytes of them belong to earlier parts, so at least the rest belongs to this part. */
        if (l->has_part && tried_bytes > l->other_bytes)
                drain_queue_done(s->queue, &l->part, tried_bytes - l->other_bytes);
        l->other_bytes = 0;
        return r < 0 ? r : lane_keep_bandwidth(s, tried_bytes, started_usec);
}

/* --- PARTS -------------------------------------------------------------------------------------------- */

/* True if the small pages from `entries` on fill an aligned range. */
static bool lane_is_range(const DrainLane *l, const uint64_t *entries, uint64_t n, uint64_t address)
{
        const uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE), pages = HUGE_PAGE_BYTES / small;

        if (!l->shared->has_huge || l->part.page_bytes != small || address % HUGE_PAGE_BYTES != 0 ||
            n < pages)
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
               (end % HUGE_PAGE_BYTES == 0 &&
                drain_chunk_bytes(l->chunk) >= lane_chunk_bytes_max(l->shared));
}

/* Handles one window of the pagemap, starting at at_address. After a pause it continues with the next page. */
static int lane_move_window(DrainLane *l, const uint64_t *entries, uint64_t n)
{
        const uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE), window = l->part.at_address;
        const uint64_t step = l->part.page_bytes / small;
        uint64_t i = (step - window / small % step) % step, next;
        int r = 0;

        /* A page of hugetlb may be larger than the window: then only one window contains its first entry. */
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
        l->part.at_address = window + (r == 0 ? n : i) * small;
        return r;
}

/* The entries to read: a window, which ends where a huge page ends. */
static uint64_t lane_window(const DrainPart *p)
{
        const uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
        uint64_t end = p->at_address + PAGEMAP_WINDOW * small;

        if (end >= p->end)
                return (p->end - p->at_address) / small;
        return (end / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES - p->at_address) / small;
}

/* Moves or collects all present pages of the part, window by window of the pagemap. */
static int lane_move_part(DrainLane *l)
{
        const uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
        uint64_t entries[PAGEMAP_WINDOW];
        DrainPart *p = &l->part;
        int r = 0;

        if (p->pagemap < 0)
                r = drain_queue_reopen(l->shared->queue, p);
        while (r == 0 && p->at_address < p->end && !lane_is_at_limit(l->shared)) {
                ssize_t got = pread(p->pagemap, entries, lane_window(p) * sizeof(entries[0]),
                                    (off_t)(p->at_address / small * sizeof(entries[0])));
                if (got <= 0)
                        break; /* the process or this part of its address space is gone */
                r = lane_move_window(l, entries, (uint64_t)got / sizeof(entries[0]));
                if (r == 0 && job_is_cancelled(l->shared->job))
                        r = -ECANCELED;
        }
        return r;
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

/* A process may be gone, or must not be touched (a kernel thread): the move continues with the others. Returns 0,
 * JOB_PAUSED or -ECANCELED. */
static int lane_unless_ended(DrainShared *s, int r)
{
        if (r == JOB_PAUSED || r == -ECANCELED)
                return r;
        lane_keep_error(s, r);
        return 0;
}

static void lane_end_part(DrainLane *l)
{
        drain_part_close(&l->part);
        l->has_part = false;
}

/* Takes the next part from the queue. Pages of earlier parts stay in the chunk if the new part has the same
 * process and page size; otherwise the chunk is moved first. If no part is left, the chunk is moved and
 * has_part is false. */
static int lane_take_part(DrainLane *l)
{
        DrainShared *s = l->shared;
        int r = lane_is_at_limit(s) ? 0 : drain_queue_take(s->queue, &l->part);

        if (r < 0)
                return r;
        l->has_part = r > 0;
        l->other_bytes = drain_chunk_bytes(l->chunk);
        if (l->has_part && drain_chunk_accepts(l->chunk, l->part.pid, l->part.page_bytes))
                return 0;
        return lane_unless_ended(s, lane_move_chunk(l));
}

static int lane_run(DrainLane *l)
{
        for (;;) {
                int r = l->has_part ? 0 : lane_take_part(l);
                if (r != 0 || !l->has_part)
                        return r;
                drain_chunk_begin(l->chunk, l->part.pid, l->part.page_bytes, l->part.is_all);
                r = lane_unless_ended(l->shared, lane_move_part(l));
                if (r != 0)
                        return r;
                lane_end_part(l);
        }
}

int drain_lane_run(DrainLane *l)
{
        int r = drain_chunk_new(&l->shared->from, l->shared->targets, &l->chunk);
        if (r < 0)
                return r;
        l->other_bytes = 0;
        r = lane_run(l);
        drain_part_close(&l->part);
        l->chunk = drain_chunk_free(l->chunk);
        return r;
}
