/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/fence/leaf-reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/loop/clock.h"
#include "daemon/pid1/unit-call.h"

/* The cgroups per job: a job is short, and one wakeup of the event loop serves many cgroups. */
#define BATCH_MAX 64

/* Upper bound of waiting cgroups. With more, the caller reads everything instead. */
#define WANTED_MAX 16384

typedef struct Wanted {
        char *path;
        bool check;
        UT_hash_handle hh;
} Wanted;

/* The data that the worker touches. It outlives a LeafReader that is freed meanwhile. */
typedef struct Batch {
        LeafReader *reader; /* NULL: orphaned */
        Job *job;
        size_t n;
        LeafReading readings[BATCH_MAX];
} Batch;

struct LeafReader {
        Worker *worker;
        leaf_read_done_t done;
        void *userdata;
        Wanted *wanted; /* by path, in the order of the requests */
        Batch *batch;   /* in flight; NULL: none */
};

/* --- on the worker ------------------------------------------------------------------------------------ */

static int read_leaf(FenceLeaf *leaf)
{
        int fd, r;

        r = fence_leaf_name(leaf);
        if (r < 0)
                return r;
        fd = cgroup_open(leaf->unit_path ? leaf->unit_path : leaf->path, &leaf->id);
        if (fd < 0)
                return fd;
        r = cgroup_read_mems(fd, &leaf->mems);
        if (r >= 0)
                r = cgroup_read_effective(fd, &leaf->effective);
        leaf->has_cpuset = r >= 0;
        if (r == -ENOENT && leaf->unit && cgroup_is_populated(fd))
                r = 0; /* the cgroup exists, without the controller */
        close(fd);
        return r;
}

static int batch_run(Job *job, void *userdata)
{
        Batch *b = userdata;

        for (size_t i = 0; i < b->n; i++) {
                LeafReading *reading = &b->readings[i];

                if (job_is_cancelled(job))
                        return -ECANCELED;
                reading->usec = clock_monotonic_usec();
                reading->error = read_leaf(&reading->leaf);
        }
        return 0;
}

/* --- on the event loop -------------------------------------------------------------------------------- */

static void batch_free(Batch *b)
{
        for (size_t i = 0; i < b->n; i++)
                fence_leaf_clear(&b->readings[i].leaf);
        free(b);
}

static int batch_start(LeafReader *r);

static void batch_done(int result, void *userdata)
{
        Batch *b = userdata;
        LeafReader *r = b->reader;

        for (size_t i = 0; r && i < b->n; i++) {
                if (result < 0)
                        b->readings[i].error = result;
                r->done(&b->readings[i], r->userdata);
        }
        if (r) {
                r->batch = NULL;
                (void)batch_start(r);
        }
        batch_free(b);
}

/* On failure, the waiting cgroups are read when the next one is requested. */
static int batch_start(LeafReader *r)
{
        Wanted *taken[BATCH_MAX], *w, *next;

        if (!r->wanted || r->batch)
                return 0;
        Batch *b = calloc(1, sizeof(*b));

        if (!b)
                return -ENOMEM;
        b->reader = r;
        HASH_ITER (hh, r->wanted, w, next) {
                if (b->n == BATCH_MAX)
                        break;
                taken[b->n] = w;
                b->readings[b->n++] = (LeafReading){ .check = w->check, .leaf.path = w->path };
        }
        int k = worker_submit(r->worker, batch_run, batch_done, NULL, b, &b->job);
        if (k < 0) { /* `wanted` still owns the paths */
                free(b);
                return k;
        }
        r->batch = b;
        for (size_t i = 0; i < b->n; i++) {
                HASH_DEL(r->wanted, taken[i]);
                free(taken[i]);
        }
        return 0;
}

int leaf_reader_add(LeafReader *r, const char *path, bool check)
{
        Wanted *w;

        HASH_FIND_STR(r->wanted, path, w);
        if (w) {
                w->check |= check;
                return 0;
        }
        if (HASH_COUNT(r->wanted) >= WANTED_MAX)
                return -ENOBUFS;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        *w = (Wanted){ .path = strdup(path), .check = check };
        if (!w->path) {
                free(w);
                return -ENOMEM;
        }
        HASH_ADD_KEYPTR(hh, r->wanted, w->path, strlen(w->path), w);
        return batch_start(r);
}

int leaf_reader_new(Worker *worker, leaf_read_done_t done, void *userdata, LeafReader **ret)
{
        LeafReader *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        *r = (LeafReader){ .worker = worker, .done = done, .userdata = userdata };
        *ret = r;
        return 0;
}

LeafReader *leaf_reader_free(LeafReader *r)
{
        Wanted *w, *next;

        if (!r)
                return NULL;
        HASH_ITER (hh, r->wanted, w, next) {
                HASH_DEL(r->wanted, w);
                free(w->path);
                free(w);
        }
        if (r->batch) {
                r->batch->reader = NULL;
                job_cancel(r->batch->job);
        }
        free(r);
        return NULL;
}
