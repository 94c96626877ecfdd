/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/evict.h"

#include <errno.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/loop/clock.h"

#define CHUNK_BYTES (32ULL << 20)
#define USELESS_MAX 2
#define SLICE_USEC  100000 /* after this time the thread is yielded to waiting jobs */

static uint64_t evict_file_bytes(const NumaBytes *b)
{
        return b->file;
}

/* 0: nothing is left to evict. */
static uint64_t evict_chunk_bytes(const Evict *e, uint64_t limit_bytes)
{
        uint64_t chunk = limit_bytes > e->evicted_bytes ? limit_bytes - e->evicted_bytes : 0;

        chunk = e->left_bytes < chunk ? e->left_bytes : chunk;
        return chunk < CHUNK_BYTES ? chunk : CHUNK_BYTES;
}

int evict_run(int cgroup_fd, const NodeSet *from, uint64_t limit_bytes, Job *job, Evict *e)
{
        uint64_t started_usec = clock_monotonic_usec(), left, chunk;
        int r = 0;

        if (!e->begun)
                r = cgroup_sum_numa(cgroup_fd, from, evict_file_bytes, &e->left_bytes);
        if (r < 0)
                return r;
        e->begun = true;
        while ((chunk = evict_chunk_bytes(e, limit_bytes)) > 0 && e->n_useless < USELESS_MAX) {
                uint64_t before = e->left_bytes;

                if (job_is_cancelled(job))
                        return -ECANCELED;
                if (job && clock_monotonic_usec() > started_usec + SLICE_USEC && job_others_wait(job))
                        return job_pause(job, 0);
                /* The kernel reclaims from all nodes of the cgroup; memory.reclaim cannot name one. -EAGAIN:
                 * it reclaimed less. Only bytes that left the node count as useful. */
                r = cgroup_reclaim(cgroup_fd, chunk);
                if (r < 0 && r != -EAGAIN && r != -EINTR)
                        return r;
                r = cgroup_sum_numa(cgroup_fd, from, evict_file_bytes, &left);
                if (r < 0)
                        return r;
                e->n_useless = left + chunk / 8 > before ? e->n_useless + 1 : 0;
                e->evicted_bytes += before > left ? before - left : 0;
                e->left_bytes = left;
                job_progress(job, left);
        }
        return 0;
}
