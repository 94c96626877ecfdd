/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/drain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/drain-maps.h"
#include "daemon/pages.h"

/* A pass goes over the cgroup's processes. /proc/PID/numa_maps says which mappings have pages on a node that
 * is to be emptied, /proc/PID/maps how far they reach, and /proc/PID/pagemap skips their holes. The pages
 * found are moved by chunks of CHUNK_PAGES: move_pages(2) is asked where each of them is and then to move
 * those on `from`. Between two chunks the process runs freely, we look whether somebody cancelled, and the
 * bandwidth is kept. (migrate_pages(2) would isolate all pages of a process at once, with its address space
 * locked.)
 *
 * Whatever vanishes meanwhile, a page, a mapping or a process, needs no draining any more. What comes in
 * meanwhile, by fork or by allocation, is caught by the next pass. */

#define CHUNK_PAGES       2048
#define PASSES_MAX        3
#define ENOUGH_BYTES      (64ULL << 20) /* the narrowing that follows moves that much quickly enough */
#define PAGEMAP_WINDOW    4096          /* entries read at once */
#define PAGEMAP_PRESENT   (1ULL << 63)
#define SPARE_BYTES       (16ULL << 20) /* left free on a target */
#define EVICT_CHUNK_BYTES (32ULL << 20)
#define EVICT_USELESS_MAX 2
#define SLEEP_SLICE_USEC  100000

typedef struct Target {
        int node;
        uint64_t room_bytes;
} Target;

typedef struct Mover {
        const NodeSet *from;
        const NodeSet *to;
        uint64_t bandwidth;
        uint64_t limit_bytes; /* moves no more than that */
        bool cold_first;      /* and begins with what was not used lately */
        Job *job;
        uint64_t left_bytes; /* for progress */
        uint64_t moved_bytes;
        uint64_t failed_bytes; /* of this pass */
        Target *targets;
        size_t n_targets;

        /* the chunk */
        pid_t pid;
        uint64_t page_bytes; /* of the mapping: hugetlb has its own */
        size_t n;
        void *page[CHUNK_PAGES];
        int node[CHUNK_PAGES];
        int status[CHUNK_PAGES];
} Mover;

static uint64_t now_usec(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Sleeps in slices, so that a cancelled job ends soon. */
static int keep_bandwidth(const Mover *m, uint64_t bytes, uint64_t started_usec)
{
        uint64_t due, now;

        if (job_is_cancelled(m->job))
                return -ECANCELED;
        if (m->bandwidth == 0)
                return 0;
        due = started_usec + (uint64_t)((double)bytes * 1e6 / (double)m->bandwidth);
        while ((now = now_usec()) < due) {
                uint64_t slice = due - now < SLEEP_SLICE_USEC ? due - now : SLEEP_SLICE_USEC;

                usleep((useconds_t)slice);
                if (job_is_cancelled(m->job))
                        return -ECANCELED;
        }
        return 0;
}

/* Nearest to the first of `from` first: on such machines that is the socket of the CPUs that use them. */
static void read_distances(int from, int *distance)
{
        char path[64];
        int n = 0, value;
        FILE *f;

        snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/distance", from);
        f = fopen(path, "re");
        if (!f)
                return;
        /* Column i belongs to the i-th online node; numbers may be sparse. */
        for (int node = 0; node < NODE_MAX && fscanf(f, "%d", &value) == 1; node++, n++) {
                for (;; node++) {
                        snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
                        if (node >= NODE_MAX || access(path, F_OK) == 0)
                                break;
                }
                if (node < NODE_MAX)
                        distance[node] = value;
        }
        fclose(f);
}

static uint64_t read_free_bytes(int node)
{
        char path[64], line[256];
        uint64_t kib = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
        f = fopen(path, "re");
        if (!f)
                return 0;
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "Node %*d MemFree: %" SCNu64, &kib) == 1)
                        break;
        fclose(f);
        return kib * 1024;
}

static void read_room(Mover *m)
{
        for (size_t i = 0; i < m->n_targets; i++) {
                uint64_t free_bytes = read_free_bytes(m->targets[i].node);

                m->targets[i].room_bytes = free_bytes > SPARE_BYTES ? free_bytes - SPARE_BYTES : 0;
        }
}

static int find_targets(Mover *m)
{
        int distance[NODE_MAX] = { 0 };
        size_t n = 0;

        m->n_targets = nodeset_count(m->to);
        if (m->n_targets == 0 || nodeset_is_empty(m->from) || nodeset_intersects(m->from, m->to))
                return -EINVAL;
        m->targets = calloc(m->n_targets, sizeof(*m->targets));
        if (!m->targets)
                return -ENOMEM;
        read_distances(nodeset_next(m->from, 0), distance);
        NODESET_FOREACH (node, m->to) {
                size_t i = n++;

                for (; i > 0 && distance[m->targets[i - 1].node] > distance[node]; i--)
                        m->targets[i] = m->targets[i - 1];
                m->targets[i] = (Target){ .node = node };
        }
        read_room(m);
        return 0;
}

/* The nearest with room. When none has, the nearest: the kernel then reclaims there, or refuses. */
static int pick_target(Mover *m)
{
        for (size_t i = 0; i < m->n_targets; i++) {
                if (m->targets[i].room_bytes < m->page_bytes)
                        continue;
                m->targets[i].room_bytes -= m->page_bytes;
                return m->targets[i].node;
        }
        return m->targets[0].node;
}

static bool on_source(const Mover *m, int node)
{
        return node >= 0 && node < NODE_MAX && nodeset_contains(m->from, node);
}

static int query_chunk(Mover *m)
{
        return pages_locate(m->pid, m->n, m->page, m->status);
}

/* Asks where the pages of the chunk are and keeps those on `from`. */
static int select_pages(Mover *m)
{
        uint64_t budget = (m->limit_bytes - m->moved_bytes) / m->page_bytes;
        size_t kept = 0;
        int r;

        r = query_chunk(m);
        if (r < 0)
                return r;
        for (size_t i = 0; i < m->n && kept < budget; i++)
                if (on_source(m, m->status[i]))
                        m->page[kept++] = m->page[i];
        m->n = kept;
        for (size_t i = 0; i < kept; i++)
                m->node[i] = pick_target(m);
        return 0;
}

/* Moves the selected pages and counts those that stayed. A positive answer, -ENOMEM or -EBUSY mean that some
 * did. Which ones, the status does not say reliably (tail pages of a huge page report errors although they
 * went with their head), so it is asked again unless all is well. */
static int move_selected(Mover *m, uint64_t *ret_stayed)
{
        long answer = pages_move(m->pid, m->n, m->page, m->node, m->status);
        bool all = answer == 0;
        uint64_t stayed = 0;
        int r;

        if (answer == -ESRCH || answer == -EPERM || answer == -EACCES || answer == -EINVAL ||
            answer == -ENODEV)
                return (int)answer;
        for (size_t i = 0; all && i < m->n; i++)
                all = m->status[i] == m->node[i];
        if (!all) {
                r = query_chunk(m);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < m->n; i++)
                        stayed += on_source(m, m->status[i]);
        }
        *ret_stayed = stayed;
        return 0;
}

/* Moves what the chunk has collected. -ESRCH: the process is gone. */
static int flush_chunk(Mover *m)
{
        uint64_t started_usec = now_usec(), tried, stayed = 0, moved_bytes;
        int r;

        if (m->n == 0)
                return 0;
        r = select_pages(m);
        tried = m->n;
        if (r == 0 && tried > 0)
                r = move_selected(m, &stayed);
        m->n = 0;
        if (r < 0)
                return r;
        moved_bytes = (tried - stayed) * m->page_bytes;
        m->failed_bytes += stayed * m->page_bytes;
        m->moved_bytes += moved_bytes;
        m->left_bytes -= m->left_bytes < moved_bytes ? m->left_bytes : moved_bytes;
        job_progress(m->job, m->left_bytes);
        return keep_bandwidth(m, tried * m->page_bytes, started_usec);
}

static int add_page(Mover *m, uint64_t address)
{
        m->page[m->n++] = (void *)(uintptr_t)address;
        return m->n == CHUNK_PAGES || m->n * m->page_bytes >= 64ULL << 20 ? flush_chunk(m) : 0;
}

/* All present pages of a mapping, by windows of its pagemap. */
static int move_mapping(Mover *m, const DrainMap *mapping, int pagemap)
{
        const uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
        const uint64_t step = mapping->page_bytes / small;
        uint64_t entries[PAGEMAP_WINDOW];
        uint64_t seen_before = m->moved_bytes + m->failed_bytes;
        int r = 0;

        m->page_bytes = mapping->page_bytes;
        for (uint64_t at = mapping->start; r == 0 && at < mapping->end;) {
                uint64_t n = (mapping->end - at) / small;
                ssize_t got;

                if (m->moved_bytes >= m->limit_bytes ||
                    m->moved_bytes + m->failed_bytes - seen_before >= mapping->pages * mapping->page_bytes)
                        break;
                n = n < PAGEMAP_WINDOW ? n : PAGEMAP_WINDOW;
                got = pread(pagemap, entries, n * sizeof(entries[0]),
                            (off_t)(at / small * sizeof(entries[0])));
                if (got <= 0)
                        break; /* the process is gone, or its end of the address space */
                n = (uint64_t)got / sizeof(entries[0]);
                /* A huge page may be larger than the window: then its first entry is in some window. */
                for (uint64_t i = (step - (at - mapping->start) / small % step) % step; r == 0 && i < n;
                     i += step)
                        if (entries[i] & PAGEMAP_PRESENT)
                                r = add_page(m, at + i * small);
                at += n * small;
                if (job_is_cancelled(m->job))
                        r = -ECANCELED;
        }
        if (r == 0)
                r = flush_chunk(m);
        m->n = 0;
        return r;
}

/* Gone, or nothing that we may touch (a kernel thread): the others still count, and the first error is kept.
 */
static int move_maps(Mover *m, const DrainMaps *maps, int *first_error)
{
        for (size_t i = 0; i < maps->n_items && m->moved_bytes < m->limit_bytes; i++) {
                const DrainProcess *p = &maps->processes[maps->items[i].process];
                int r;

                m->pid = p->pid;
                r = move_mapping(m, &maps->items[i], p->pagemap);
                if (r == -ECANCELED)
                        return r;
                /* These are of this mapping only: it changed under us. */
                if (r < 0 && r != -ESRCH && r != -EINVAL && r != -EFAULT && r != -ENOMEM &&
                    *first_error == 0)
                        *first_error = r;
        }
        return 0;
}

/* What processes can map; page cache that nobody maps is for drain_evict(). */
static uint64_t mappable_bytes(const NumaBytes *b)
{
        return b->anon + b->shmem;
}

/* Process by process, which holds little and moves what was seen just now; in the order of use all of them
 * have to be looked at first. */
static int move_pass(Mover *m, int cgroup_fd)
{
        _cleanup_(drain_maps_clear) DrainMaps maps = { 0 };
        _cleanup_free_ pid_t *pids = NULL;
        int r, first_error = 0;
        size_t n = 0;

        m->failed_bytes = 0;
        r = cgroup_read_pids(cgroup_fd, &pids, &n);
        for (size_t i = 0; r == 0 && i < n && m->moved_bytes < m->limit_bytes; i++) {
                r = drain_maps_add(&maps, pids[i], m->from, m->cold_first);
                if (r == 0 && !m->cold_first) {
                        r = move_maps(m, &maps, &first_error);
                        drain_maps_clear(&maps);
                }
        }
        if (r == 0 && m->cold_first) {
                drain_maps_sort(&maps);
                r = move_maps(m, &maps, &first_error);
                for (size_t i = 0; i < maps.n_processes; i++)
                        drain_maps_forget_use(maps.processes[i].pid);
        }
        return r < 0 ? r : first_error;
}

static int move_passes(Mover *m, int cgroup_fd)
{
        int r = 0;

        for (unsigned pass = 0; pass < PASSES_MAX; pass++) {
                uint64_t before = m->moved_bytes, left;

                if (cgroup_sum_numa(cgroup_fd, m->from, mappable_bytes, &left) == 0)
                        m->left_bytes = left;
                r = move_pass(m, cgroup_fd);
                if (r < 0)
                        return r;
                if (m->moved_bytes >= m->limit_bytes || m->moved_bytes == before)
                        return 0;
                if (cgroup_sum_numa(cgroup_fd, m->from, mappable_bytes, &left) < 0 || left < ENOUGH_BYTES)
                        return 0;
                read_room(m);
        }
        return 0;
}

static int move(int cgroup_fd, Mover *m, MoveResult *ret)
{
        int r = find_targets(m);

        if (r == 0)
                r = move_passes(m, cgroup_fd);
        free(m->targets);
        if (r < 0)
                return r;
        ret->moved_bytes = m->moved_bytes;
        ret->failed_bytes = m->failed_bytes;
        return 0;
}

static int mover_new(const NodeSet *from, const NodeSet *to, uint64_t bandwidth, Job *job, Mover **ret)
{
        Mover *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        m->from = from;
        m->to = to;
        m->bandwidth = bandwidth;
        m->limit_bytes = UINT64_MAX;
        m->job = job;
        *ret = m;
        return 0;
}

int drain_move(int cgroup_fd, const NodeSet *from, const NodeSet *to, uint64_t bandwidth, Job *job,
               MoveResult *ret)
{
        _cleanup_free_ Mover *m = NULL;
        int r = mover_new(from, to, bandwidth, job, &m);

        return r < 0 ? r : move(cgroup_fd, m, ret);
}

int drain_move_some(int cgroup_fd, const NodeSet *from, const NodeSet *to, uint64_t limit_bytes,
                    uint64_t bandwidth, Job *job, MoveResult *ret)
{
        _cleanup_free_ Mover *m = NULL;
        int r = mover_new(from, to, bandwidth, job, &m);

        if (r < 0)
                return r;
        m->limit_bytes = limit_bytes;
        return move(cgroup_fd, m, ret);
}

int drain_move_coldest(int cgroup_fd, const NodeSet *from, const NodeSet *to, uint64_t limit_bytes,
                       uint64_t bandwidth, Job *job, MoveResult *ret)
{
        _cleanup_free_ Mover *m = NULL;
        int r = mover_new(from, to, bandwidth, job, &m);

        if (r < 0)
                return r;
        m->limit_bytes = limit_bytes;
        m->cold_first = true;
        return move(cgroup_fd, m, ret);
}

static uint64_t file_bytes(const NumaBytes *b)
{
        return b->file;
}

int drain_evict(int cgroup_fd, const NodeSet *from, Job *job, uint64_t *ret_evicted_bytes)
{
        uint64_t before, left, evicted = 0;
        unsigned useless = 0;
        int r;

        r = cgroup_sum_numa(cgroup_fd, from, file_bytes, &before);
        if (r < 0)
                return r;
        while (before > 0 && useless < EVICT_USELESS_MAX) {
                uint64_t chunk = before < EVICT_CHUNK_BYTES ? before : EVICT_CHUNK_BYTES;

                if (job_is_cancelled(job))
                        return -ECANCELED;
                /* The kernel takes from all nodes of the cgroup, there is no way to name one; -EAGAIN: it
                 * found less than that. Only what left the node counts as useful. */
                r = cgroup_reclaim(cgroup_fd, chunk);
                if (r < 0 && r != -EAGAIN && r != -EINTR)
                        return r;
                r = cgroup_sum_numa(cgroup_fd, from, file_bytes, &left);
                if (r < 0)
                        return r;
                useless = left + chunk / 8 > before ? useless + 1 : 0;
                evicted += before > left ? before - left : 0;
                before = left;
                job_progress(job, left);
        }
        *ret_evicted_bytes = evicted;
        return 0;
}
