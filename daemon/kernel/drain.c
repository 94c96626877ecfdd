/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A pass visits all processes of the cgroup. Their mappings are cut into parts (drain-queue.c), which some lanes
 * move side by side (drain-lane.c). New pages and processes are handled by the next pass.
 *
 * To keep to the bandwidth, and when other jobs wait for the thread, the lanes pause after their chunks:
 * drain_move_run() returns JOB_PAUSED and continues when it is called again. */

#include "daemon/kernel/drain.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/kernel/drain-lane.h"
#include "daemon/kernel/drain-queue.h"
#include "daemon/kernel/drain-targets.h"
#include "daemon/loop/clock.h"

#define PASSES_MAX   3
#define ENOUGH_BYTES (64ULL << 20) /* the following narrowing write moves this amount quickly enough */
#define LANES_MAX    4
#define LANE_BYTES   (16ULL << 20) /* a thread pays for itself */

struct DrainMove {
        DrainShared shared;
        DrainLane *lanes[LANES_MAX];
        int results[LANES_MAX]; /* of drain_lane_run() */

        bool one_lane; /* the move is limited in amount, order or bandwidth */
        unsigned pass;
        bool was_paused;
        uint64_t moved_before; /* moved_bytes before this pass */
        int cgroup_fd;         /* valid during drain_move_run() */
};

int drain_move_new(const NodeSet *from, const NodeSet *to, uint64_t limit_bytes, bool cold_first,
                   uint64_t bandwidth, DrainMove **ret)
{
        DrainMove *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        m->shared = (DrainShared){ .from = *from, .bandwidth = bandwidth, .limit_bytes = limit_bytes };
        m->one_lane = limit_bytes != UINT64_MAX || cold_first || bandwidth > 0;
        pthread_mutex_init(&m->shared.lock, NULL);
        int r = drain_targets_new(from, to, &m->shared.targets);
        if (r >= 0)
                r = drain_queue_new(from, cold_first, &m->shared.queue);
        if (r < 0) {
                drain_move_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

DrainMove *drain_move_free(DrainMove *m)
{
        if (!m)
                return NULL;
        for (unsigned i = 0; i < LANES_MAX; i++)
                drain_lane_free(m->lanes[i]);
        drain_queue_free(m->shared.queue);
        drain_targets_free(m->shared.targets);
        pthread_mutex_destroy(&m->shared.lock);
        free(m);
        return NULL;
}

/* --- LANES -------------------------------------------------------------------------------------------- */

/* A lane for each LANE_BYTES, and no more than processors. */
static int drain_make_lanes(DrainMove *m)
{
        DrainShared *s = &m->shared;
        uint64_t n = m->one_lane ? 1 : 1 + s->left_bytes / LANE_BYTES;
        long processors = sysconf(_SC_NPROCESSORS_ONLN);

        if (n > LANES_MAX)
                n = LANES_MAX;
        s->n_lanes = processors > 0 && n > (uint64_t)processors ? (unsigned)processors : (unsigned)n;
        for (unsigned i = 0; i < s->n_lanes; i++) {
                int r = m->lanes[i] ? 0 : drain_lane_new(s, &m->lanes[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

typedef struct LaneThread {
        DrainMove *move;
        unsigned i;
        pthread_t thread;
        bool started;
} LaneThread;

static void *drain_run_lane(void *userdata)
{
        LaneThread *t = userdata;

        t->move->results[t->i] = drain_lane_run(t->move->lanes[t->i]);
        return NULL;
}

/* A cancellation counts more than an error, and an error more than a pause. */
static int drain_worst_result(const DrainMove *m)
{
        int worst = 0;

        for (unsigned i = 0; i < m->shared.n_lanes; i++) {
                int r = m->results[i];

                if (r == -ECANCELED)
                        return r;
                if (r < 0 || worst == 0)
                        worst = r;
        }
        return worst;
}

/* This thread runs the first lane, and also those for which there is no thread. */
static int drain_run_lanes(DrainMove *m)
{
        LaneThread threads[LANES_MAX] = { 0 };

        for (unsigned i = 0; i < m->shared.n_lanes; i++) {
                threads[i] = (LaneThread){ .move = m, .i = i };
                threads[i].started =
                        i > 0 && pthread_create(&threads[i].thread, NULL, drain_run_lane, &threads[i]) == 0;
        }
        for (unsigned i = 0; i < m->shared.n_lanes; i++)
                if (!threads[i].started)
                        (void)drain_run_lane(&threads[i]);
        for (unsigned i = 0; i < m->shared.n_lanes; i++)
                if (threads[i].started)
                        (void)pthread_join(threads[i].thread, NULL);
        return drain_worst_result(m);
}

/* --- PASSES ------------------------------------------------------------------------------------------- */

/* Bytes that processes can map. Page cache that no process maps is left to evict_run(). */
static uint64_t drain_mappable_bytes(const NumaBytes *b)
{
        return b->anon + b->shmem;
}

static uint64_t drain_huge_bytes(const NumaBytes *b)
{
        return b->thp;
}

static int drain_pass_begin(DrainMove *m)
{
        DrainShared *s = &m->shared;
        uint64_t left, huge;

        m->moved_before = s->moved_bytes;
        if (cgroup_sum_numa(m->cgroup_fd, &s->from, drain_mappable_bytes, &left) == 0)
                s->left_bytes = left;
        s->has_huge = cgroup_sum_numa(m->cgroup_fd, &s->from, drain_huge_bytes, &huge) == 0 && huge > 0;
        s->failed_bytes = 0;
        s->first_error = 0;
        int r = drain_make_lanes(m);
        return r < 0 ? r : drain_queue_begin(s->queue, m->cgroup_fd);
}

static int drain_move_pass(DrainMove *m)
{
        DrainShared *s = &m->shared;
        int r = m->was_paused ? 0 : drain_pass_begin(m);

        if (r == 0)
                r = drain_run_lanes(m);
        if (r == JOB_PAUSED)
                return r;
        m->was_paused = false;
        drain_queue_end(s->queue);
        return r < 0 ? r : s->first_error;
}

static int drain_move_passes(DrainMove *m)
{
        DrainShared *s = &m->shared;

        for (; m->pass < PASSES_MAX; m->pass++) {
                uint64_t left;
                int r = drain_move_pass(m);

                if (r != 0)
                        return r;
                if (s->moved_bytes >= s->limit_bytes || s->moved_bytes == m->moved_before)
                        return 0;
                if (cgroup_sum_numa(m->cgroup_fd, &s->from, drain_mappable_bytes, &left) < 0 ||
                    left < ENOUGH_BYTES)
                        return 0;
                drain_targets_read_room(s->targets);
        }
        return 0;
}

int drain_move_run(DrainMove *m, int cgroup_fd, Job *job)
{
        DrainShared *s = &m->shared;

        m->cgroup_fd = cgroup_fd;
        s->job = job;
        s->started_usec = clock_monotonic_usec();
        atomic_store(&s->stop, false);
        if (m->was_paused)
                drain_queue_resume(s->queue, cgroup_fd);
        int r = drain_move_passes(m);
        m->was_paused = r == JOB_PAUSED;
        if (!m->was_paused)
                return r;
        drain_queue_pause(s->queue);
        return job_pause(job, s->pause_until_usec);
}

MoveResult drain_move_result(const DrainMove *m)
{
        return (MoveResult){ m->shared.moved_bytes, m->shared.failed_bytes };
}
