/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fences open foreign cgroups. A cgroup with many pages on nodes that it must not use is drained before it
 * is narrowed; others are narrowed immediately. */

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "daemon/fence/foreign-internal.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/drain.h"
#include "daemon/kernel/evict.h"

#define MANY_BYTES (UINT64_C(64) << 20)

/* A cgroup that was open, and the bytes that it had on the open nodes. */
typedef struct Victim {
        char *path;
        NodeSet open;
        uint64_t bytes;
} Victim;

/* A cgroup that was drained as far as possible. */
typedef struct Drained {
        UT_hash_handle hh;
        char path[];
} Drained;

/* The state that survives a pause. Everything else is read again afterwards. */
struct ForeignSweep {
        Drained *drained;
        char *path; /* the cgroup being drained */
        DrainMove *move;
};

typedef struct Sweep {
        Foreign *foreign;
        uint64_t bandwidth;
        Job *job;
        Promises promises;
        Groups groups;
        Victim *victims;
        size_t n_victims;
        ForeignSweep *state; /* NULL: skip drains that take long */
        bool left_much;
        ForeignFound *found;
} Sweep;

static uint64_t bytes_on(int fd, const NodeSet *nodes)
{
        uint64_t bytes;

        return cgroup_sum_numa(fd, nodes, numa_bytes_movable, &bytes) < 0 ? 0 : bytes;
}

static void foreign_fence_forget(Sweep *s)
{
        for (size_t i = 0; i < s->n_victims; i++)
                free(s->victims[i].path);
        free(s->victims);
        s->victims = NULL;
        s->n_victims = 0;
        groups_clear(&s->groups);
        promises_clear(&s->promises);
        s->promises = (Promises){ 0 };
}

/* Collects the uppermost cgroups among the open ones: their bytes include those of their descendants. */
static int find_victims(Sweep *s)
{
        for (size_t i = 0; i < s->groups.n; i++) {
                const ForeignGroup *x = &s->groups.array[i];
                Victim *larger;
                int fd;

                if (nodeset_is_empty(&x->open))
                        continue;
                s->found->nodes = nodeset_union(&s->found->nodes, &x->open);
                if (x->parent >= 0 && nodeset_is_subset(&x->open, &s->groups.array[x->parent].open))
                        continue;
                fd = cgroup_open(x->path, NULL);
                if (fd < 0)
                        continue;
                if (!s->found->cgroup) {
                        s->found->cgroup = strdup(x->path);
                        s->found->owner = cgroup_mems_owner(fd);
                }
                larger = reallocarray(s->victims, s->n_victims + 1, sizeof(*larger));
                if (larger) {
                        s->victims = larger;
                        larger[s->n_victims] = (Victim){ strdup(x->path), x->open, bytes_on(fd, &x->open) };
                }
                close(fd);
                if (!larger || !larger[s->n_victims].path)
                        return -ENOMEM;
                s->n_victims++;
        }
        return 0;
}

static int read_and_decide(Sweep *s, const char *path)
{
        const Promises *p = &s->promises;
        Groups *g = &s->groups;
        bool beside = false;
        int r;

        groups_clear(g);
        r = groups_read_way(g, path, false);
        /* The top cgroup in a slice may lack the controller; cgroups below it are confined by their
         * ancestors. */
        if (r >= 0 && !g->array[0].has_cpuset) {
                group_enable_cpuset(s->foreign, g->array[0].path);
                groups_clear(g);
                r = groups_read_way(g, path, false);
        }
        if (r < 0)
                return r;
        groups_decide(g, p);
        /* If a cgroup on the path is widened, its siblings are affected too. */
        for (size_t i = 0; i < g->n; i++)
                beside |= !nodeset_is_empty(&g->array[i].mems) &&
                          !nodeset_is_subset(&g->array[i].target, &g->array[i].mems);
        if (!beside)
                return 0;
        groups_clear(g);
        r = groups_read_way(g, path, true);
        if (r >= 0)
                groups_decide(g, p);
        return r;
}

static bool is_drained(const ForeignSweep *state, const char *path)
{
        const Drained *d;

        HASH_FIND_STR(state->drained, path, d);
        return d;
}

static void move_ended(ForeignSweep *state)
{
        state->move = drain_move_free(state->move);
        free(state->path);
        state->path = NULL;
}

static int note_drained(ForeignSweep *state, const char *path)
{
        size_t n = strlen(path);
        Drained *d = calloc(1, sizeof(*d) + n + 1);

        if (!d)
                return -ENOMEM;
        memcpy(d->path, path, n + 1);
        HASH_ADD_STR(state->drained, path, d);
        return 0;
}

/* Failures to move pages are ignored: the narrowing write then has more to move. */
static int drain_victim(Sweep *s, const Victim *v)
{
        ForeignSweep *state = s->state;
        int r = 0;

        int fd = cgroup_open(v->path, NULL);
        if (fd < 0)
                return note_drained(state, v->path);
        if (!state->path || strcmp(state->path, v->path) != 0) {
                move_ended(state);
                state->path = strdup(v->path);
                r = !state->path ? -ENOMEM
                                 : drain_move_new(&v->open, &s->promises.ordinary, UINT64_MAX, false,
                                                  s->bandwidth, &state->move);
        }
        if (r >= 0)
                r = drain_move_run(state->move, fd, s->job);
        close(fd);
        if (r == JOB_PAUSED)
                return r;
        if (state->move)
                s->found->drained_bytes += drain_move_result(state->move).moved_bytes;
        move_ended(state);
        return note_drained(state, v->path);
}

/* Drains victims with many pages before they are narrowed. The lock is dropped, so other threads may write
 * meanwhile. *ret_any: at least one victim was drained. */
static int drain_much(Sweep *s, bool *ret_any)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < s->n_victims && !job_is_cancelled(s->job); i++) {
                const Victim *v = &s->victims[i];

                if (v->bytes <= MANY_BYTES)
                        continue;
                if (!s->state)
                        return -EAGAIN;
                if (is_drained(s->state, v->path))
                        continue;
                *ret_any = true;
                pthread_mutex_unlock(&s->foreign->writing);
                r = drain_victim(s, v);
                pthread_mutex_lock(&s->foreign->writing);
        }
        return r;
}

/* The narrowing write has moved mapped pages, except those that other cgroups map too. Moves these, and
 * evicts page cache, which can no longer come back. */
static void clean_up(Sweep *s)
{
        for (size_t i = 0; i < s->n_victims; i++) {
                _cleanup_(drain_move_free_p) DrainMove *move = NULL;
                const Victim *v = &s->victims[i];
                Evict evict = { 0 };
                int fd;

                fd = v->bytes > 0 ? cgroup_open(v->path, NULL) : -ENOENT;
                if (fd < 0)
                        continue;
                if (drain_move_new(&v->open, &s->promises.ordinary, UINT64_MAX, false, 0, &move) >= 0) {
                        (void)drain_move_run(move, fd, NULL);
                        s->found->drained_bytes += drain_move_result(move).moved_bytes;
                }
                (void)evict_run(fd, &v->open, UINT64_MAX, NULL, &evict);
                s->found->drained_bytes += evict.evicted_bytes;
                close(fd);
        }
}

/* The bytes that the victims have on the open nodes now; another sweep may have drained some of them. */
static uint64_t read_victims(Sweep *s)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < s->n_victims; i++) {
                int fd = cgroup_open(s->victims[i].path, NULL);

                if (fd < 0)
                        continue;
                sum += bytes_on(fd, &s->victims[i].open);
                close(fd);
        }
        return sum;
}

/* The bytes that the victims had there when they were found. */
static uint64_t sum_victims(const Sweep *s)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < s->n_victims; i++)
                sum += s->victims[i].bytes;
        return sum;
}

static int fence_locked(Sweep *s, const char *path)
{
        uint64_t before, after;
        bool any = false;
        int r, k;

        r = promises_copy(s->foreign, &s->promises);
        if (r < 0 || nodeset_is_empty(&s->promises.cdm))
                return r;
        r = read_and_decide(s, path);
        if (r >= 0)
                r = find_victims(s);
        if (r >= 0)
                r = drain_much(s, &any);
        if (r == JOB_PAUSED)
                return r;
        if (r >= 0 && any) {
                promises_clear(&s->promises);
                s->promises = (Promises){ 0 };
                r = promises_copy(s->foreign, &s->promises);
                if (r >= 0)
                        r = read_and_decide(s, path);
        }
        if (r < 0)
                return r;
        /* Unless something was drained, the lock was held since the victims were found. */
        before = any ? read_victims(s) : sum_victims(s);
        k = groups_write(&s->groups, &s->promises);
        after = before > 0 ? read_victims(s) : 0;
        s->found->drained_bytes += before > after ? before - after : 0;
        if (s->n_victims > 0) {
                r = read_and_decide(s, path);
                for (size_t i = 0; r >= 0 && i < s->groups.n; i++)
                        s->found->is_open |= !nodeset_is_empty(&s->groups.array[i].open);
        }
        return k < 0 ? k : r;
}

static int fence_one(const char *path, void *userdata)
{
        Sweep *s = userdata;
        int r;

        if (job_is_cancelled(s->job))
                return -ECANCELED;
        pthread_mutex_lock(&s->foreign->writing);
        r = fence_locked(s, path);
        pthread_mutex_unlock(&s->foreign->writing);
        if (r == -EAGAIN)
                s->left_much = true;
        else if (r != JOB_PAUSED)
                clean_up(s);
        foreign_fence_forget(s);
        /* A cgroup that is gone, or that cannot be written, must not stop the sweep of the others. */
        return r == -ENOMEM || r == JOB_PAUSED ? r : 0;
}

/* After a pause, cgroups that are already fenced are read again and found closed. */
static int sweep_all(Sweep *s, ForeignSweep **sweep, const char *slice, bool deep, const char *path)
{
        if (sweep && !*sweep) {
                *sweep = calloc(1, sizeof(**sweep));
                if (!*sweep)
                        return -ENOMEM;
        }
        s->state = sweep ? *sweep : NULL;
        int r = path ? fence_one(path, s) : groups_foreach_top(slice, deep, fence_one, s);
        return r == 0 && s->left_much ? -EAGAIN : r;
}

int foreign_fence(Foreign *f, const char *path, uint64_t bandwidth, Job *job, ForeignSweep **sweep,
                  ForeignFound *found)
{
        Sweep s = { .foreign = f,
                    .groups = { .marks = f->marks },
                    .bandwidth = bandwidth,
                    .job = job,
                    .found = found };

        return sweep_all(&s, sweep, "", true, path);
}

int foreign_fence_slice(Foreign *f, const char *slice, uint64_t bandwidth, Job *job, ForeignSweep **sweep,
                        ForeignFound *found)
{
        Sweep s = { .foreign = f,
                    .groups = { .marks = f->marks },
                    .bandwidth = bandwidth,
                    .job = job,
                    .found = found };

        return sweep_all(&s, sweep, slice[1] ? slice : "", false, NULL);
}

ForeignSweep *foreign_sweep_free(ForeignSweep *s)
{
        Drained *d, *next;

        if (!s)
                return NULL;
        HASH_ITER (hh, s->drained, d, next) {
                HASH_DEL(s->drained, d);
                free(d);
        }
        move_ended(s);
        free(s);
        return NULL;
}
