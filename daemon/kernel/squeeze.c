/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/squeeze.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/kernel/cgroup.h"
#include "policy/macro.h"

/* The job owns this while it runs. A Squeeze that is freed meanwhile is an orphan, and is destroyed when the
 * job ends. */
struct Squeeze {
        char *cgroup;
        uint64_t id, bytes, used_bytes;
        squeeze_done_t done;
        void *userdata;
        bool in_done, orphan, running;
};

static void squeeze_destroy(Squeeze *s)
{
        free(s->cgroup);
        free(s);
}

Squeeze *squeeze_free(Squeeze *s)
{
        if (!s)
                return NULL;
        s->orphan = true;
        if (!s->running && !s->in_done)
                squeeze_destroy(s);
        return NULL;
}

static int squeeze_read(Squeeze *s, int fd)
{
        _cleanup_free_ char *text = NULL;
        int r = cgroup_read_file(fd, "memory.current", &text);

        if (r >= 0)
                s->used_bytes = strtoull(text, NULL, 10);
        return r;
}

/* Reclaims only once: page cache that remains is in use. */
static int squeeze_run(Job *job _unused_, void *userdata)
{
        Squeeze *s = userdata;
        uint64_t id;
        int fd = cgroup_open(s->cgroup, &id);

        if (fd < 0)
                return fd;
        int r = id == s->id ? squeeze_read(s, fd) : -ESTALE;
        if (r >= 0 && s->used_bytes > s->bytes) {
                (void)cgroup_reclaim(fd, s->used_bytes - s->bytes);
                r = squeeze_read(s, fd);
        }
        close(fd);
        return r;
}

static void squeeze_on_done(int result, void *userdata)
{
        Squeeze *s = userdata;

        s->running = false;
        s->in_done = true;
        if (!s->orphan)
                s->done(result < 0 ? result : 0, s->used_bytes, s->userdata);
        s->in_done = false;
        if (s->orphan)
                squeeze_destroy(s);
}

int squeeze_start(Worker *worker, const char *cgroup, uint64_t id, uint64_t bytes, squeeze_done_t done,
                  void *userdata, Squeeze **ret)
{
        Squeeze *s = calloc(1, sizeof(*s));
        Job *job;

        if (!s)
                return -ENOMEM;
        *s = (Squeeze){ .id = id, .bytes = bytes, .done = done, .userdata = userdata, .running = true };
        int r = string_copy(cgroup, &s->cgroup);
        if (r >= 0)
                r = worker_submit(worker, squeeze_run, squeeze_on_done, NULL, s, &job);
        if (r < 0)
                squeeze_destroy(s);
        else
                *ret = s;
        return r;
}
