/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The mappings are read one process at a time: this needs little memory, and the list is recent when its
 * pages are moved. With by_use the mappings of all processes are read first, because they are sorted
 * together. */

#include "daemon/kernel/drain-queue.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/drain-maps.h"

#define PART_BYTES (16ULL << 20)

struct DrainQueue {
        NodeSet from;
        bool by_use;

        pthread_mutex_t lock; /* for all that follows, while lanes run */
        pid_t *pids;          /* of this pass */
        size_t n_pids, next_pid;
        DrainMaps maps; /* of the process before next_pid, or of all processes */
        unsigned generation;
        size_t at_map;
        uint64_t at_address; /* in the mapping; 0: at its start */

        bool was_paused;
        pid_t *members; /* after a pause */
        size_t n_members;
};

int drain_queue_new(const NodeSet *from, bool by_use, DrainQueue **ret)
{
        DrainQueue *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        q->from = *from;
        q->by_use = by_use;
        pthread_mutex_init(&q->lock, NULL);
        *ret = q;
        return 0;
}

DrainQueue *drain_queue_free(DrainQueue *q)
{
        if (!q)
                return NULL;
        drain_maps_clear(&q->maps);
        free(q->pids);
        free(q->members);
        pthread_mutex_destroy(&q->lock);
        free(q);
        return NULL;
}

static void queue_forget_maps(DrainQueue *q)
{
        for (size_t i = 0; q->by_use && i < q->maps.n_processes; i++)
                drain_maps_forget_use(q->maps.processes[i].pid);
        drain_maps_clear(&q->maps);
        q->generation++;
        q->at_map = 0;
        q->at_address = 0;
}

int drain_queue_begin(DrainQueue *q, int cgroup_fd)
{
        q->next_pid = 0;
        q->was_paused = false;
        return cgroup_read_pids(cgroup_fd, &q->pids, &q->n_pids);
}

void drain_queue_end(DrainQueue *q)
{
        queue_forget_maps(q);
        free(q->pids);
        q->pids = NULL;
        q->n_pids = 0;
}

/* --- PAUSES ------------------------------------------------------------------------------------------- */

void drain_queue_pause(DrainQueue *q)
{
        drain_maps_close(&q->maps);
}

void drain_queue_resume(DrainQueue *q, int cgroup_fd)
{
        free(q->members);
        q->members = NULL;
        q->n_members = 0;
        q->was_paused = true;
        /* If the cgroup is gone, so are its processes. */
        if (cgroup_read_pids(cgroup_fd, &q->members, &q->n_members) < 0)
                q->n_members = 0;
}

static bool queue_is_member(const DrainQueue *q, pid_t pid)
{
        bool found = !q->was_paused;

        for (size_t i = 0; i < q->n_members && !found; i++)
                found = q->members[i] == pid;
        return found;
}

static int queue_open_pagemap(DrainQueue *q, pid_t pid)
{
        DrainProcess p = { .pid = pid };

        return queue_is_member(q, pid) ? drain_maps_reopen(&p) : -ESRCH;
}

int drain_queue_reopen(DrainQueue *q, DrainPart *p)
{
        pthread_mutex_lock(&q->lock);
        p->pagemap = queue_open_pagemap(q, p->pid);
        pthread_mutex_unlock(&q->lock);
        return p->pagemap < 0 ? -ESRCH : 0;
}

/* --- PARTS -------------------------------------------------------------------------------------------- */

/* Returns a pagemap for one part: a duplicate of the process's descriptor, which is opened again if a pause
 * has closed it. Negative: the process has left the cgroup, or there is no descriptor left. */
static int queue_dup_pagemap(DrainQueue *q, DrainProcess *p)
{
        if (p->pagemap < 0)
                p->pagemap = queue_open_pagemap(q, p->pid);
        return p->pagemap < 0 ? p->pagemap : fcntl(p->pagemap, F_DUPFD_CLOEXEC, 0);
}

/* Cuts the next part off the mappings. Returns false if nothing is left of them. */
static bool queue_cut(DrainQueue *q, DrainPart *ret)
{
        for (; q->at_map < q->maps.n_items; q->at_map++, q->at_address = 0) {
                const DrainMap *map = &q->maps.items[q->at_map];
                uint64_t start = q->at_address ? q->at_address : map->start;
                uint64_t end = (start / PART_BYTES + 1) * PART_BYTES;

                if (start >= map->end || map->done_bytes >= map->pages * map->page_bytes)
                        continue;
                int pagemap = queue_dup_pagemap(q, &q->maps.processes[map->process]);
                if (pagemap < 0)
                        continue;
                q->at_address = end < map->end ? end : map->end;
                *ret = (DrainPart){ .pid = q->maps.processes[map->process].pid,
                                    .pagemap = pagemap,
                                    .at_address = start,
                                    .end = q->at_address,
                                    .page_bytes = map->page_bytes,
                                    .is_all = map->is_all,
                                    .map = q->at_map,
                                    .generation = q->generation };
                return true;
        }
        return false;
}

/* Reads the mappings of the next process, or of all. Returns 0 if there is none. */
static int queue_read_maps(DrainQueue *q)
{
        bool any = false;
        int r = 0;

        queue_forget_maps(q);
        while (r >= 0 && q->next_pid < q->n_pids) {
                pid_t pid = q->pids[q->next_pid++];

                any = true;
                if (queue_is_member(q, pid))
                        r = drain_maps_add(&q->maps, pid, &q->from, q->by_use);
                if (!q->by_use)
                        break;
        }
        if (r >= 0 && q->by_use)
                drain_maps_sort(&q->maps);
        return r < 0 ? r : any;
}

int drain_queue_take(DrainQueue *q, DrainPart *ret)
{
        int r = 1;

        pthread_mutex_lock(&q->lock);
        while (r > 0 && !queue_cut(q, ret))
                r = queue_read_maps(q);
        pthread_mutex_unlock(&q->lock);
        return r;
}

void drain_part_close(DrainPart *p)
{
        if (p->pagemap >= 0)
                close(p->pagemap);
        p->pagemap = -EBADF;
}

void drain_queue_done(DrainQueue *q, const DrainPart *p, uint64_t bytes)
{
        pthread_mutex_lock(&q->lock);
        if (p->generation == q->generation)
                q->maps.items[p->map].done_bytes += bytes;
        pthread_mutex_unlock(&q->lock);
}
