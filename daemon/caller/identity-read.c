/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/caller/identity-read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fence/foreign.h"
#include "daemon/fence/foreign-plan.h"
#include "daemon/fence/subtenant.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/owner.h"
#include "daemon/machine/process.h"
#include "policy/word.h"

/* The job owns this while it runs. An IdentityRead that is freed meanwhile becomes an orphan, and is
 * destroyed when the job ends. */
struct IdentityRead {
        IdentityReading reading;
        char *root, *cgroup, *nearest, *unit, *unit_path;
        identity_read_done_t done;
        void *userdata;
        Job *job; /* NULL: it has ended */
        bool in_done, orphan;
};

static void identity_read_destroy(IdentityRead *r)
{
        if (r->reading.pidfd >= 0)
                close(r->reading.pidfd);
        free(r->reading.path);
        free(r->reading.tenant);
        free(r->reading.subtenant);
        free(r->unit);
        free(r->unit_path);
        free(r->root);
        free(r->cgroup);
        free(r->nearest);
        free(r);
}

IdentityRead *identity_read_free(IdentityRead *r)
{
        if (!r)
                return NULL;
        r->orphan = true;
        if (r->job)
                job_cancel(r->job);
        else if (!r->in_done)
                identity_read_destroy(r);
        return NULL;
}

static int identity_read_path(IdentityReading *r)
{
        if (!r->cgroup)
                return process_cgroup(r->root, r->pid, &r->path);
        int fd = cgroup_open(r->cgroup, &r->path_id);
        if (fd < 0)
                return fd;
        close(fd);
        r->path = strdup(r->cgroup);
        return r->path ? 0 : -ENOMEM;
}

static int identity_read_run(Job *job _unused_, void *userdata)
{
        IdentityReading *r = &((IdentityRead *)userdata)->reading;

        if (r->pidfd >= 0)
                r->pidfd_error = process_of_pidfd(r->pidfd, &r->pidfd_pid);
        r->path_error = identity_read_path(r);
        if (r->pid > 0)
                r->only_uid = process_has_only_uid(r->root, r->pid, r->uid);
        if (r->pidfd < 0 || process_start_time(r->root, r->pid, &r->pid_start) < 0)
                r->pid_start = 0;
        if (r->unit && r->path_error >= 0)
                r->subtenant_error =
                        subtenant_find(r->unit, r->unit_path, r->path, &r->subtenant, &r->subtenant_id);
        if (r->foreign && r->path_error >= 0 && r->path[1]) {
                if (r->cgroup && r->nearest)
                        (void)owner_learn(r->path, r->path_id, r->nearest);
                r->tenant_error = foreign_tenant(r->path, &r->tenant, &r->tenant_id);
                r->made_by_root = r->tenant_error >= 0 && cgroup_is_made_by_root(r->tenant);
        }
        return 0;
}

static void identity_read_on_done(int result, void *userdata)
{
        IdentityRead *r = userdata;

        r->job = NULL;
        if (result < 0)
                r->reading.path_error = result;
        r->in_done = true;
        if (!r->orphan)
                r->done(&r->reading, r->userdata);
        r->in_done = false;
        if (r->orphan)
                identity_read_destroy(r);
}

int identity_read_start(Worker *worker, const IdentityReading *what, identity_read_done_t done,
                        void *userdata, IdentityRead **ret)
{
        IdentityRead *r = calloc(1, sizeof(*r));
        int k = -ENOMEM;

        if (!r)
                return k;
        *r = (IdentityRead){ .reading = *what, .done = done, .userdata = userdata };
        if (string_copy(what->root, &r->root) >= 0 && string_copy(what->cgroup, &r->cgroup) >= 0 &&
            string_copy(what->nearest, &r->nearest) >= 0 && string_copy(what->unit, &r->unit) >= 0 &&
            string_copy(what->unit_path, &r->unit_path) >= 0) {
                r->reading.root = r->root;
                r->reading.cgroup = r->cgroup;
                r->reading.nearest = r->nearest;
                r->reading.unit = r->unit;
                r->reading.unit_path = r->unit_path;
                k = worker_submit(worker, identity_read_run, identity_read_on_done, NULL, r, &r->job);
        }
        if (k < 0) {
                r->reading.pidfd = -EBADF;
                identity_read_destroy(r);
                return k;
        }
        *ret = r;
        return 0;
}

/* Owned like an IdentityRead: an orphan is destroyed when its job ends. */
struct IdentityCheck {
        char *root, *cgroup;
        pid_t pid;
        int pidfd;
        done_t done;
        void *userdata;
        Job *job; /* NULL: it has ended */
        bool in_done, orphan;
};

static void identity_check_destroy(IdentityCheck *c)
{
        if (c->pidfd >= 0)
                close(c->pidfd);
        free(c->root);
        free(c->cgroup);
        free(c);
}

IdentityCheck *identity_check_free(IdentityCheck *c)
{
        if (!c)
                return NULL;
        c->orphan = true;
        if (c->job)
                job_cancel(c->job);
        else if (!c->in_done)
                identity_check_destroy(c);
        return NULL;
}

static int identity_check_run(Job *job _unused_, void *userdata)
{
        const IdentityCheck *c = userdata;
        _cleanup_free_ char *path = NULL;

        /* The cgroup is read before the pidfd is checked: if the process is still alive after the read, no
         * other process had its PID. */
        int r = process_cgroup(c->root, c->pid, &path);
        if (r == -ENOMEM)
                return r;
        return r >= 0 && process_is_alive(c->pidfd) && word_is_below(path, c->cgroup) ? 0 : -ESTALE;
}

static void identity_check_on_done(int result, void *userdata)
{
        IdentityCheck *c = userdata;

        c->job = NULL;
        c->in_done = true;
        if (!c->orphan)
                c->done(result, c->userdata);
        c->in_done = false;
        if (c->orphan)
                identity_check_destroy(c);
}

int identity_check_process(Worker *worker, const char *root, pid_t pid, int pidfd, const char *cgroup,
                           done_t done, void *userdata, IdentityCheck **ret)
{
        IdentityCheck *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (IdentityCheck){ .pid = pid, .done = done, .userdata = userdata };
        c->pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
        int r = c->pidfd < 0 ? -errno : string_copy(root, &c->root);
        if (r >= 0)
                r = string_copy(cgroup, &c->cgroup);
        if (r >= 0)
                r = worker_submit(worker, identity_check_run, identity_check_on_done, NULL, c, &c->job);
        if (r < 0) {
                identity_check_destroy(c);
                return r;
        }
        *ret = c;
        return 0;
}
