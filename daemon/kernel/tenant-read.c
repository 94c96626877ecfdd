/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/tenant-read.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The job owns this while it runs. A TenantRead that is freed meanwhile is an orphan, and is released when
 * the job ends. */
struct TenantRead {
        char *cgroup;
        uint64_t wanted_id;
        NodeSet nodes;
        TenantReading reading;
        tenant_read_done_t done;
        void *userdata;
        Job *job; /* NULL: it has ended */
        bool in_done, orphan;
};

static void tenant_read_release(TenantRead *t)
{
        free(t->reading.bytes);
        free(t->cgroup);
        free(t);
}

TenantRead *tenant_read_free(TenantRead *t)
{
        if (!t)
                return NULL;
        t->orphan = true;
        if (t->job)
                job_cancel(t->job);
        else if (!t->in_done)
                tenant_read_release(t);
        return NULL;
}

static int tenant_read_open_cgroup(TenantRead *t, int fd)
{
        int r = cgroup_read_populated(fd, &t->reading.populated);

        if (r < 0 && r != -ENOENT)
                return r;
        r = cgroup_read_mems(fd, &t->reading.mems);
        /* Without the cpuset controller there is no restriction, which an empty set expresses. */
        if (r == -ENOENT) {
                t->reading.mems = NODESET_EMPTY;
                r = 0;
        }
        if (r >= 0 && !nodeset_is_empty(&t->nodes))
                r = cgroup_read_numa(fd, &t->nodes, &t->reading.bytes, &t->reading.n_bytes);
        /* Without the memory controller there are no bytes. If the cgroup is gone, the next step finds
         * out. */
        return r == -ENOENT ? 0 : r;
}

/* Reads the set of the nearest ancestor that has the controller. */
static void tenant_read_above(TenantRead *t)
{
        char *path = strdup(t->cgroup), *slash;
        int r = -ENOENT;

        while (path && r == -ENOENT && (slash = strrchr(path, '/')) && slash > path) {
                uint64_t id;

                *slash = '\0';
                int fd = cgroup_open(path, &id);
                r = fd >= 0 ? cgroup_read_effective(fd, &t->reading.above) : fd;
                if (fd >= 0)
                        close(fd);
        }
        if (r < 0)
                t->reading.above = NODESET_EMPTY;
        free(path);
}

static int tenant_read_run(Job *job, void *userdata)
{
        TenantRead *t = userdata;

        int fd = cgroup_open(t->cgroup, &t->reading.id);
        int r = fd;
        if (fd >= 0) {
                r = t->wanted_id && t->reading.id != t->wanted_id ? -ESTALE : tenant_read_open_cgroup(t, fd);
                close(fd);
        }
        if (r == -ENOENT || (r >= 0 && !t->reading.populated))
                tenant_read_above(t);
        return r;
}

static void tenant_read_on_done(int result, void *userdata)
{
        TenantRead *t = userdata;

        t->job = NULL;
        t->reading.error = result;
        t->in_done = true;
        if (!t->orphan)
                t->done(&t->reading, t->userdata);
        t->in_done = false;
        if (t->orphan)
                tenant_read_release(t);
}

int tenant_read_start(Worker *worker, const char *cgroup, uint64_t id, const NodeSet *nodes,
                      tenant_read_done_t done, void *userdata, TenantRead **ret)
{
        TenantRead *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        *t = (TenantRead){ .cgroup = strdup(cgroup),
                           .wanted_id = id,
                           .nodes = *nodes,
                           .done = done,
                           .userdata = userdata };
        int r = t->cgroup ? worker_submit(worker, tenant_read_run, tenant_read_on_done, NULL, t, &t->job)
                          : -ENOMEM;
        if (r < 0)
                tenant_read_release(t);
        else
                *ret = t;
        return r;
}
