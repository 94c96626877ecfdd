/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "slurm/step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define FILE_MAX    16384
#define MARK        "trusted.cdmd."
#define MARK_MAX    128

/* Reads a file of the kernel into a string. */
static int step_read_file(const char *path, char buf[static FILE_MAX])
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        ssize_t n = read(fd, buf, FILE_MAX - 1);
        int r = n < 0 ? -errno : 0;
        close(fd);
        buf[n < 0 ? 0 : n] = '\0';
        return r;
}

int step_place_read(StepPlace *ret)
{
        char buf[FILE_MAX];
        int r = step_read_file("/proc/self/cgroup", buf);

        return r < 0 ? r : step_place_parse(buf, ret);
}

static int step_read_nodes(const char *path, NodeSet *ret)
{
        char buf[FILE_MAX];
        int r = step_read_file(path, buf);

        return r < 0 ? r : nodeset_parse(buf, ret);
}

int step_keep_out(const StepPlace *place)
{
        _cleanup_free_ char *effective = NULL, *mems = NULL;
        char list[NODESET_STR_MAX];
        NodeSet ordinary, own;

        int r = step_read_nodes(CGROUP_ROOT "/init.scope/cpuset.mems.effective", &ordinary);
        if (r == -ENOENT)
                return 0; /* no cpuset controller, so there is no fence */
        if (r >= 0 && (asprintf(&effective, CGROUP_ROOT "%s/cpuset.mems.effective", place->step) < 0 ||
                       asprintf(&mems, CGROUP_ROOT "%s/cpuset.mems", place->step) < 0))
                r = -ENOMEM;
        if (r >= 0)
                r = step_read_nodes(effective, &own);
        if (r < 0)
                return r;
        if (nodeset_is_subset(&own, &ordinary))
                return 0;

        int fd = open(mems, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        nodeset_format(&ordinary, list);
        r = write(fd, list, strlen(list)) < 0 ? -errno : 0;
        close(fd);
        return r;
}

int step_job_open(const StepPlace *place, int *ret_fd)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, CGROUP_ROOT "%s/cgroup.kill", place->job) < 0)
                return -ENOMEM;
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

int step_job_lock(const StepPlace *place, int *ret_fd)
{
        int fd, r = step_job_open(place, &fd);

        if (r < 0)
                return r;
        while (flock(fd, LOCK_EX) < 0) {
                if (errno == EINTR)
                        continue;
                r = -errno;
                close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

static const char *step_mark_name(const char *pool, char buf[static MARK_MAX])
{
        int n = snprintf(buf, MARK_MAX, MARK "pool.%s", pool);

        return n > 0 && n < MARK_MAX ? buf : NULL;
}

int step_mark_read(int job_fd, const char *pool, char **ret_path)
{
        char buf[MARK_MAX], value[MARK_MAX];
        const char *name = step_mark_name(pool, buf);

        *ret_path = NULL;
        if (!name)
                return -ENAMETOOLONG;
        ssize_t n = fgetxattr(job_fd, name, value, sizeof(value) - 1);
        if (n < 0)
                return errno == ENODATA ? 0 : -errno;
        value[n] = '\0';
        return string_copy(value, ret_path);
}

int step_mark_write(int job_fd, const char *pool, const char *path)
{
        char buf[MARK_MAX];
        const char *name = step_mark_name(pool, buf);

        if (!name)
                return -ENAMETOOLONG;
        return fsetxattr(job_fd, name, path, strlen(path), 0) < 0 ? -errno : 0;
}

bool step_is_said(int job_fd)
{
        char value[MARK_MAX];

        return fgetxattr(job_fd, MARK "said", value, sizeof(value)) > 0;
}

int step_say(int job_fd)
{
        return fsetxattr(job_fd, MARK "said", "1", 1, 0) < 0 ? -errno : 0;
}
