/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fencing what is open. What has much on nodes that it must not have is drained before it is narrowed; what
 * has just appeared is narrowed at once. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "daemon/drain.h"
#include "daemon/foreign-internal.h"

#define MANY_BYTES (UINT64_C(64) << 20)

/* A cgroup that was open, and what it had on those nodes then. */
typedef struct Victim {
        char *path;
        NodeSet open;
        uint64_t bytes;
} Victim;

typedef struct Sweep {
        Foreign *foreign;
        uint64_t bandwidth;
        Job *job;
        Promises promises;
        Groups groups;
        Victim *victims;
        size_t n_victims;
        ForeignFound found;
} Sweep;

static uint64_t bytes_on(int fd, const NodeSet *nodes)
{
        uint64_t bytes;

        return cgroup_sum_numa(fd, nodes, numa_bytes_movable, &bytes) < 0 ? 0 : bytes;
}

static void forget(Sweep *s)
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

/* Of those that are open the uppermost: its bytes are those of all below it. */
static int find_victims(Sweep *s)
{
        for (size_t i = 0; i < s->groups.n; i++) {
                const ForeignGroup *x = &s->groups.array[i];
                Victim *larger;
                int fd;

                if (nodeset_is_empty(&x->open))
                        continue;
                s->found.nodes = nodeset_union(&s->found.nodes, &x->open);
                if (!s->found.cgroup)
                        s->found.cgroup = strdup(x->path);
                if (x->parent >= 0 && nodeset_is_subset(&x->open, &s->groups.array[x->parent].open))
                        continue;
                fd = cgroup_open(x->path, NULL);
                if (fd < 0)
                        continue;
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
        /* A top one in a slice; elsewhere what is above confines it. */
        if (r >= 0 && !g->array[0].has_cpuset) {
                group_enable_cpuset(s->foreign, g->array[0].path);
                groups_clear(g);
                r = groups_read_way(g, path, false);
        }
        if (r < 0)
                return r;
        groups_decide(g, p);
        /* Somebody on the way gets more: then those beside it are concerned as well. */
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

/* What has much there is drained before the narrowing, and others may write meanwhile. */
static bool drain_much(Sweep *s)
{
        bool any = false;

        for (size_t i = 0; i < s->n_victims && !job_is_cancelled(s->job); i++) {
                const Victim *v = &s->victims[i];
                MoveResult moved = { 0 };
                int fd;

                if (v->bytes <= MANY_BYTES)
                        continue;
                if (!any)
                        pthread_mutex_unlock(&s->foreign->writing);
                any = true;
                fd = cgroup_open(v->path, NULL);
                if (fd < 0)
                        continue;
                (void)drain_move(fd, &v->open, &s->promises.ordinary, s->bandwidth, s->job, &moved);
                s->found.drained_bytes += moved.moved_bytes;
                close(fd);
        }
        if (any)
                pthread_mutex_lock(&s->foreign->writing);
        return any;
}

/* The narrowing has moved what is mapped; page cache is evicted now that it cannot come back. */
static void clean_up(Sweep *s)
{
        for (size_t i = 0; i < s->n_victims; i++) {
                const Victim *v = &s->victims[i];
                uint64_t evicted = 0;
                MoveResult moved = { 0 };
                int fd;

                fd = v->bytes > 0 ? cgroup_open(v->path, NULL) : -ENOENT;
                if (fd < 0)
                        continue;
                (void)drain_move(fd, &v->open, &s->promises.ordinary, s->bandwidth, s->job, &moved);
                (void)drain_evict(fd, &v->open, s->job, &evicted);
                s->found.drained_bytes += moved.moved_bytes + evicted;
                close(fd);
        }
}

/* What the victims have there now; another sweep may have drained some of it. */
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

static int fence_locked(Sweep *s, const char *path)
{
        uint64_t before, after;
        int r, k;

        r = promises_copy(s->foreign, &s->promises);
        if (r < 0 || nodeset_is_empty(&s->promises.cdm))
                return r;
        r = read_and_decide(s, path);
        if (r >= 0)
                r = find_victims(s);
        if (r >= 0 && drain_much(s)) {
                promises_clear(&s->promises);
                s->promises = (Promises){ 0 };
                r = promises_copy(s->foreign, &s->promises);
                if (r >= 0)
                        r = read_and_decide(s, path);
        }
        if (r < 0)
                return r;
        before = read_victims(s);
        k = groups_write(&s->groups, &s->promises);
        after = read_victims(s);
        s->found.drained_bytes += before > after ? before - after : 0;
        if (s->n_victims > 0) {
                r = read_and_decide(s, path);
                for (size_t i = 0; r >= 0 && i < s->groups.n; i++)
                        s->found.is_open |= !nodeset_is_empty(&s->groups.array[i].open);
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
        clean_up(s);
        forget(s);
        /* What is gone, or refuses to be written, must not keep the others open. */
        return r == -ENOMEM ? r : 0;
}

int foreign_fence(Foreign *f, const char *path, uint64_t bandwidth, Job *job, ForeignFound *ret)
{
        Sweep s = { .foreign = f, .groups = { .marks = f->marks }, .bandwidth = bandwidth, .job = job };
        int r = path ? fence_one(path, &s) : groups_foreach_top("", true, fence_one, &s);

        *ret = s.found;
        return r;
}

int foreign_fence_slice(Foreign *f, const char *slice, uint64_t bandwidth, Job *job, ForeignFound *ret)
{
        Sweep s = { .foreign = f, .groups = { .marks = f->marks }, .bandwidth = bandwidth, .job = job };
        int r = groups_foreach_top(slice[1] ? slice : "", false, fence_one, &s);

        *ret = s.found;
        return r;
}
