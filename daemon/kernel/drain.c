/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/drain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/kernel/drain-maps.h"
#include "daemon/kernel/pages.h"
#include "daemon/loop/clock.h"

/* A pass visits all processes of the cgroup. /proc/PID/numa_maps lists the mappings with pages on a node to
 * be drained, /proc/PID/maps gives their length, and /proc/PID/pagemap shows their holes. The pages are
 * moved in chunks of CHUNK_PAGES: move_pages(2) first reports where each page is, and then moves the pages
 * on `from`. Between two chunks the process runs freely, the job checks for cancellation, and the bandwidth
 * limit is applied. (migrate_pages(2) would isolate all pages of a process in one call, with its address
 * space locked.)
 *
 * To keep to the bandwidth, and when other jobs wait for the thread, the move pauses between two chunks: its
 * whole state is in DrainMove, drain_move_run() returns JOB_PAUSED and continues when it is called again.
 * Thousands of moves may be paused, so no file stays open during a pause. A process is continued only if it
 * is still in the cgroup, because its PID may have been reused.
 *
 * A page, a mapping or a process that vanishes meanwhile needs no draining. New pages and processes are
 * handled by the next pass. */

#define CHUNK_PAGES       2048
#define CHUNK_BYTES_MAX   (64ULL << 20)
#define CHUNK_BYTES_MIN   (4ULL << 20)
#define HUGE_PAGE_BYTES   (2ULL << 20) /* the smallest common size */
#define PASSES_MAX        3
#define ENOUGH_BYTES      (64ULL << 20) /* the following narrowing write moves this amount quickly enough */
#define PAGEMAP_WINDOW    4096          /* entries per read */
#define PAGEMAP_PRESENT   (1ULL << 63)
#define SPARE_BYTES       (16ULL << 20) /* left free on a target */
#define EVICT_CHUNK_BYTES (32ULL << 20)
#define EVICT_USELESS_MAX 2
#define SLICE_USEC        100000 /* after this time the thread is yielded to waiting jobs */
#define NAP_USEC          2000   /* too short for a timer */

typedef struct Target {
        int node;
        uint64_t room_bytes;
} Target;

/* Pages that are collected and then moved in one call. */
typedef struct DrainChunk {
        pid_t pid;
        uint64_t page_bytes; /* of the mapping: hugetlb has its own size */
        size_t n;
        void *page[CHUNK_PAGES];
        int node[CHUNK_PAGES];
        int status[CHUNK_PAGES];
} DrainChunk;

struct DrainMove {
        NodeSet from, to;
        uint64_t bandwidth;
        uint64_t limit_bytes; /* upper bound of the move */
        bool cold_first;      /* start with mappings that were not used recently */
        uint64_t left_bytes;  /* for progress */
        uint64_t moved_bytes;
        uint64_t failed_bytes; /* of this pass */
        Target *targets;
        size_t n_targets;

        /* progress */
        unsigned pass;
        uint64_t moved_before; /* moved_bytes before this pass */
        pid_t *pids;           /* of this pass; NULL: not started */
        size_t n_pids, at_pid;
        DrainMaps maps;
        bool has_maps; /* maps is filled in for the process, or for all processes */
        size_t at_map;
        uint64_t at_address;  /* in the mapping; 0: at its start */
        uint64_t seen_before; /* bytes handled before this mapping */
        int first_error;

        /* valid during drain_move_run() */
        Job *job;
        DrainChunk *chunk;
        uint64_t slice_started_usec;
        int cgroup_fd;
        pid_t *members; /* after a pause: the processes of the cgroup */
        size_t n_members;
        bool was_paused;
};

/* With Bandwidth= a chunk is limited to one second of bandwidth, so that pauses are short: a cancelled drain
 * ends soon, and the load is even. A chunk is at least two huge pages: the kernel moves a whole huge page
 * when one of its pages is requested, and smaller chunks would not count the rest. */
static uint64_t chunk_bytes_max(const DrainMove *m)
{
        if (m->bandwidth == 0 || m->bandwidth > CHUNK_BYTES_MAX)
                return CHUNK_BYTES_MAX;
        return m->bandwidth < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : m->bandwidth;
}

/* Called after each chunk. Without a job it sleeps, because there is no thread to yield. */
static int drain_keep_bandwidth(const DrainMove *m, uint64_t bytes, uint64_t started_usec)
{
        uint64_t due_usec = started_usec, at_usec = clock_monotonic_usec();

        if (job_is_cancelled(m->job))
                return -ECANCELED;
        if (m->bandwidth > 0)
                due_usec += (uint64_t)((double)bytes * 1e6 / (double)m->bandwidth);
        if (m->job && due_usec > at_usec + NAP_USEC)
                return job_pause(m->job, due_usec);
        if (due_usec > at_usec)
                usleep((useconds_t)(due_usec - at_usec));
        if (m->job && at_usec > m->slice_started_usec + SLICE_USEC && job_others_wait(m->job))
                return job_pause(m->job, 0);
        return 0;
}

/* Reads the distances from the first node of `from`, to sort the targets by. On machines with device memory
 * the nearest node is the socket whose CPUs use that memory. */
static void drain_read_distances(int from, int *distance)
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

static uint64_t drain_read_free_bytes(int node)
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

static void drain_read_room(DrainMove *m)
{
        for (size_t i = 0; i < m->n_targets; i++) {
                uint64_t free_bytes = drain_read_free_bytes(m->targets[i].node);

                m->targets[i].room_bytes = free_bytes > SPARE_BYTES ? free_bytes - SPARE_BYTES : 0;
        }
}

static int drain_find_targets(DrainMove *m)
{
        int distance[NODE_MAX] = { 0 };
        size_t n = 0;

        m->n_targets = nodeset_count(&m->to);
        if (m->n_targets == 0 || nodeset_is_empty(&m->from) || nodeset_intersects(&m->from, &m->to))
                return -EINVAL;
        m->targets = calloc(m->n_targets, sizeof(*m->targets));
        if (!m->targets)
                return -ENOMEM;
        drain_read_distances(nodeset_next(&m->from, 0), distance);
        NODESET_FOREACH (node, &m->to) {
                size_t i = n++;

                for (; i > 0 && distance[m->targets[i - 1].node] > distance[node]; i--)
                        m->targets[i] = m->targets[i - 1];
                m->targets[i] = (Target){ .node = node };
        }
        drain_read_room(m);
        return 0;
}

/* Picks the nearest target with room. If none has room, picks the nearest one: the kernel reclaims there, or
 * the move fails. */
static int drain_pick_target(DrainMove *m)
{
        for (size_t i = 0; i < m->n_targets; i++) {
                if (m->targets[i].room_bytes < m->chunk->page_bytes)
                        continue;
                m->targets[i].room_bytes -= m->chunk->page_bytes;
                return m->targets[i].node;
        }
        return m->targets[0].node;
}

static bool drain_on_source(const DrainMove *m, int node)
{
        return node >= 0 && node < NODE_MAX && nodeset_contains(&m->from, node);
}

static int drain_query_chunk(DrainChunk *c)
{
        return pages_locate(c->pid, c->n, c->page, c->status);
}

/* Asks where the pages of the chunk are and keeps those on `from`. */
static int drain_select_pages(DrainMove *m)
{
        DrainChunk *c = m->chunk;
        uint64_t budget = (m->limit_bytes - m->moved_bytes) / c->page_bytes;
        size_t kept = 0;
        int r;

        r = drain_query_chunk(c);
        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n && kept < budget; i++)
                if (drain_on_source(m, c->status[i]))
                        c->page[kept++] = c->page[i];
        c->n = kept;
        for (size_t i = 0; i < kept; i++)
                c->node[i] = drain_pick_target(m);
        return 0;
}

/* Moves the selected pages and counts the pages that stayed. A positive result, -ENOMEM or -EBUSY mean that
 * some stayed. The status does not reliably tell which ones (tail pages of a huge page report errors
 * although they were moved with their head). So unless the call succeeded, the nodes of the pages are read
 * again. */
static int drain_move_selected(DrainMove *m, uint64_t *ret_stayed)
{
        DrainChunk *c = m->chunk;
        long answer = pages_move(c->pid, c->n, c->page, c->node, c->status);
        bool all = answer == 0;
        uint64_t stayed = 0;
        int r;

        if (answer == -ESRCH || answer == -EPERM || answer == -EACCES || answer == -EINVAL ||
            answer == -ENODEV)
                return (int)answer;
        for (size_t i = 0; all && i < c->n; i++)
                all = c->status[i] == c->node[i];
        if (!all) {
                r = drain_query_chunk(c);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < c->n; i++)
                        stayed += drain_on_source(m, c->status[i]);
        }
        *ret_stayed = stayed;
        return 0;
}

/* Moves the pages of the chunk. -ESRCH: the process is gone. JOB_PAUSED: the pages were moved before the
 * pause. */
static int drain_flush_chunk(DrainMove *m)
{
        DrainChunk *c = m->chunk;
        uint64_t started_usec = clock_monotonic_usec(), tried, stayed = 0, moved_bytes;
        int r;

        if (c->n == 0)
                return 0;
        r = drain_select_pages(m);
        tried = c->n;
        if (r == 0 && tried > 0)
                r = drain_move_selected(m, &stayed);
        c->n = 0;
        if (r < 0)
                return r;
        moved_bytes = (tried - stayed) * c->page_bytes;
        m->failed_bytes += stayed * c->page_bytes;
        m->moved_bytes += moved_bytes;
        m->left_bytes -= m->left_bytes < moved_bytes ? m->left_bytes : moved_bytes;
        job_progress(m->job, m->left_bytes);
        return drain_keep_bandwidth(m, tried * c->page_bytes, started_usec);
}

/* A chunk ends at the end of a huge page, because the kernel moves a huge page as a whole. */
static int drain_add_page(DrainMove *m, uint64_t address)
{
        DrainChunk *c = m->chunk;
        bool is_large = c->n * c->page_bytes >= chunk_bytes_max(m);

        c->page[c->n++] = (void *)(uintptr_t)address;
        if (c->n < CHUNK_PAGES && !(is_large && (address + c->page_bytes) % HUGE_PAGE_BYTES == 0))
                return 0;
        return drain_flush_chunk(m);
}

/* Handles one window of a mapping's pagemap, starting at at_address. After a pause it continues with the
 * next page. */
static int drain_move_window(DrainMove *m, const DrainMap *mapping, const uint64_t *entries, uint64_t n)
{
        const uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
        const uint64_t step = mapping->page_bytes / small, at = m->at_address;
        int r = 0;

        m->at_address = at + n * small;
        /* A huge page may be larger than the window: then only one window contains its first entry. */
        for (uint64_t i = (step - (at - mapping->start) / small % step) % step; r == 0 && i < n; i += step) {
                if (!(entries[i] & PAGEMAP_PRESENT))
                        continue;
                r = drain_add_page(m, at + i * small);
                if (r == JOB_PAUSED)
                        m->at_address = at + (i + step) * small;
        }
        return r;
}

/* Moves all present pages of a mapping, window by window of its pagemap. */
static int drain_move_mapping(DrainMove *m, const DrainMap *mapping, pid_t pid, int pagemap)
{
        const uint64_t small = (uint64_t)sysconf(_SC_PAGESIZE);
        uint64_t entries[PAGEMAP_WINDOW];
        int r = 0;

        m->chunk->pid = pid;
        m->chunk->page_bytes = mapping->page_bytes;
        if (m->at_address == 0) {
                m->at_address = mapping->start;
                m->seen_before = m->moved_bytes + m->failed_bytes;
        }
        while (r == 0 && m->at_address < mapping->end) {
                uint64_t n = (mapping->end - m->at_address) / small;
                ssize_t got;

                if (m->moved_bytes >= m->limit_bytes || m->moved_bytes + m->failed_bytes - m->seen_before >=
                                                                mapping->pages * mapping->page_bytes)
                        break;
                n = n < PAGEMAP_WINDOW ? n : PAGEMAP_WINDOW;
                got = pread(pagemap, entries, n * sizeof(entries[0]),
                            (off_t)(m->at_address / small * sizeof(entries[0])));
                if (got <= 0)
                        break; /* the process or this part of its address space is gone */
                r = drain_move_window(m, mapping, entries, (uint64_t)got / sizeof(entries[0]));
                if (r == 0 && job_is_cancelled(m->job))
                        r = -ECANCELED;
        }
        if (r == 0)
                r = drain_flush_chunk(m);
        m->chunk->n = 0;
        return r;
}

/* After a pause the pagemap is opened again, but only if the process is still in the cgroup. */
static int drain_open_pagemap(DrainMove *m, DrainProcess *p)
{
        bool found = false;

        if (p->pagemap >= 0 || !m->was_paused)
                return p->pagemap;
        if (!m->members && cgroup_read_pids(m->cgroup_fd, &m->members, &m->n_members) < 0)
                return -ENOENT;
        for (size_t i = 0; i < m->n_members && !found; i++)
                found = m->members[i] == p->pid;
        return found ? drain_maps_reopen(p) : -ESRCH;
}

/* A process may be gone, or must not be touched (a kernel thread): the move continues with the others, and
 * keeps the first error. */
static int drain_move_maps(DrainMove *m)
{
        for (; m->at_map < m->maps.n_items && m->moved_bytes < m->limit_bytes; m->at_map++) {
                const DrainMap *map = &m->maps.items[m->at_map];
                DrainProcess *p = &m->maps.processes[map->process];
                int pagemap = drain_open_pagemap(m, p), r = -ESRCH;

                if (pagemap >= 0)
                        r = drain_move_mapping(m, map, p->pid, pagemap);
                if (r == -ECANCELED || r == JOB_PAUSED)
                        return r;
                m->at_address = 0;
                /* These errors concern this mapping only, which has changed meanwhile. */
                if (r < 0 && r != -ESRCH && r != -EINVAL && r != -EFAULT && r != -ENOMEM &&
                    m->first_error == 0)
                        m->first_error = r;
        }
        return 0;
}

/* Bytes that processes can map. Page cache that no process maps is left to drain_evict(). */
static uint64_t drain_mappable_bytes(const NumaBytes *b)
{
        return b->anon + b->shmem;
}

static void drain_forget_maps(DrainMove *m)
{
        drain_maps_clear(&m->maps);
        m->has_maps = false;
        m->at_map = 0;
        m->at_address = 0;
}

/* Moves process by process: this needs little memory, and the list of mappings is recent. */
static int drain_move_by_process(DrainMove *m)
{
        int r = 0;

        for (; r == 0 && m->at_pid < m->n_pids && m->moved_bytes < m->limit_bytes; m->at_pid++) {
                if (!m->has_maps)
                        r = drain_maps_add(&m->maps, m->pids[m->at_pid], &m->from, false);
                m->has_maps = true;
                if (r == 0)
                        r = drain_move_maps(m);
                if (r == JOB_PAUSED)
                        return r;
                drain_forget_maps(m);
        }
        return r;
}

/* Moves in the order of use, which requires the mappings of all processes first. */
static int drain_move_by_use(DrainMove *m)
{
        int r = 0;

        if (!m->has_maps) {
                for (size_t i = 0; r == 0 && i < m->n_pids; i++)
                        r = drain_maps_add(&m->maps, m->pids[i], &m->from, true);
                drain_maps_sort(&m->maps);
                m->has_maps = true;
        }
        if (r == 0)
                r = drain_move_maps(m);
        if (r == JOB_PAUSED)
                return r;
        for (size_t i = 0; r == 0 && i < m->maps.n_processes; i++)
                drain_maps_forget_use(m->maps.processes[i].pid);
        drain_forget_maps(m);
        return r;
}

static int drain_pass_begin(DrainMove *m)
{
        uint64_t left;

        m->moved_before = m->moved_bytes;
        if (cgroup_sum_numa(m->cgroup_fd, &m->from, drain_mappable_bytes, &left) == 0)
                m->left_bytes = left;
        m->failed_bytes = 0;
        m->first_error = 0;
        m->at_pid = 0;
        return cgroup_read_pids(m->cgroup_fd, &m->pids, &m->n_pids);
}

static int drain_move_pass(DrainMove *m)
{
        int r = m->was_paused ? 0 : drain_pass_begin(m);

        if (r == 0)
                r = m->cold_first ? drain_move_by_use(m) : drain_move_by_process(m);
        if (r == JOB_PAUSED)
                return r;
        m->was_paused = false;
        free(m->pids);
        m->pids = NULL;
        return r < 0 ? r : m->first_error;
}

static int drain_move_passes(DrainMove *m)
{
        for (; m->pass < PASSES_MAX; m->pass++) {
                uint64_t left;
                int r = drain_move_pass(m);

                if (r != 0)
                        return r;
                if (m->moved_bytes >= m->limit_bytes || m->moved_bytes == m->moved_before)
                        return 0;
                if (cgroup_sum_numa(m->cgroup_fd, &m->from, drain_mappable_bytes, &left) < 0 ||
                    left < ENOUGH_BYTES)
                        return 0;
                drain_read_room(m);
        }
        return 0;
}

int drain_move_new(const NodeSet *from, const NodeSet *to, uint64_t limit_bytes, bool cold_first,
                   uint64_t bandwidth, DrainMove **ret)
{
        _cleanup_(drain_move_free_p) DrainMove *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        *m = (DrainMove){ .from = *from,
                          .to = *to,
                          .bandwidth = bandwidth,
                          .limit_bytes = limit_bytes,
                          .cold_first = cold_first };
        int r = drain_find_targets(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

DrainMove *drain_move_free(DrainMove *m)
{
        if (!m)
                return NULL;
        drain_maps_clear(&m->maps);
        free(m->pids);
        free(m->members);
        free(m->targets);
        free(m);
        return NULL;
}

int drain_move_run(DrainMove *m, int cgroup_fd, Job *job)
{
        _cleanup_free_ DrainChunk *chunk = malloc(sizeof(*chunk));

        if (!chunk)
                return -ENOMEM;
        chunk->n = 0;
        m->chunk = chunk;
        m->job = job;
        m->cgroup_fd = cgroup_fd;
        m->slice_started_usec = clock_monotonic_usec();
        int r = drain_move_passes(m);
        if (r == JOB_PAUSED) {
                drain_maps_close(&m->maps);
                m->was_paused = true;
        }
        free(m->members);
        m->members = NULL;
        m->chunk = NULL;
        return r;
}

MoveResult drain_move_result(const DrainMove *m)
{
        return (MoveResult){ m->moved_bytes, m->failed_bytes };
}

static uint64_t drain_file_bytes(const NumaBytes *b)
{
        return b->file;
}

int drain_evict(int cgroup_fd, const NodeSet *from, Job *job, DrainEvict *e)
{
        uint64_t started_usec = clock_monotonic_usec(), left;
        int r = 0;

        if (!e->begun)
                r = cgroup_sum_numa(cgroup_fd, from, drain_file_bytes, &e->left_bytes);
        if (r < 0)
                return r;
        e->begun = true;
        while (e->left_bytes > 0 && e->n_useless < EVICT_USELESS_MAX) {
                uint64_t before = e->left_bytes,
                         chunk = before < EVICT_CHUNK_BYTES ? before : EVICT_CHUNK_BYTES;

                if (job_is_cancelled(job))
                        return -ECANCELED;
                if (job && clock_monotonic_usec() > started_usec + SLICE_USEC && job_others_wait(job))
                        return job_pause(job, 0);
                /* The kernel reclaims from all nodes of the cgroup; memory.reclaim cannot name one. -EAGAIN:
                 * it reclaimed less. Only bytes that left the node count as useful. */
                r = cgroup_reclaim(cgroup_fd, chunk);
                if (r < 0 && r != -EAGAIN && r != -EINTR)
                        return r;
                r = cgroup_sum_numa(cgroup_fd, from, drain_file_bytes, &left);
                if (r < 0)
                        return r;
                e->n_useless = left + chunk / 8 > before ? e->n_useless + 1 : 0;
                e->evicted_bytes += before > left ? before - left : 0;
                e->left_bytes = left;
                job_progress(job, left);
        }
        return 0;
}
