/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/machine/process.h"
#include "policy/macro.h"

static void process_file_close(FILE **f)
{
        if (*f)
                fclose(*f);
}

int process_of_pidfd(int pidfd, pid_t *ret)
{
        _cleanup_(process_file_close) FILE *f = NULL;
        char path[64], line[128];
        int pid;

        snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        f = fopen(path, "re");
        if (!f)
                return -errno;
        while (fgets(line, sizeof(line), f)) {
                if (sscanf(line, "Pid: %d", &pid) != 1)
                        continue;
                /* -1: the process was reaped; 0: its PID namespace is not a descendant of cdmd's */
                if (pid <= 0)
                        return -ESRCH;
                *ret = pid;
                return 0;
        }
        return -EINVAL;
}

bool process_is_alive(int pidfd)
{
        struct pollfd p = { .fd = pidfd, .events = POLLIN };

        return poll(&p, 1, 0) == 0;
}

static int process_open_proc(const char *root, pid_t pid, const char *file, FILE **ret)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/proc/%d/%s", root, pid, file) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        *ret = fopen(path, "re");
        if (!*ret)
                return errno == ENOENT ? -ESRCH : -errno;
        return 0;
}

int process_has_only_uid(const char *root, pid_t pid, uid_t uid)
{
        _cleanup_(process_file_close) FILE *f = NULL;
        char line[256];
        unsigned u[4];

        int r = process_open_proc(root, pid, "status", &f);
        if (r < 0)
                return r;
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "Uid: %u %u %u %u", &u[0], &u[1], &u[2], &u[3]) == 4)
                        return u[0] == uid && u[1] == uid && u[2] == uid && u[3] == uid;
        return -ESRCH;
}

int process_start_time(const char *root, pid_t pid, uint64_t *ret)
{
        _cleanup_(process_file_close) FILE *f = NULL;
        char text[1024];

        int r = process_open_proc(root, pid, "stat", &f);
        if (r < 0)
                return r;
        size_t n = fread(text, 1, sizeof(text) - 1, f);
        text[n] = '\0';
        /* The second field is the name in parentheses, which may contain any character. The start time is
         * field 22. */
        const char *p = strrchr(text, ')');
        for (int field = 2; p && field < 22; field++)
                p = strchr(p + 1, ' ');
        return p && sscanf(p, " %" SCNu64, ret) == 1 ? 0 : -ESRCH;
}

int process_cgroup(const char *root, pid_t pid, char **ret)
{
        _cleanup_(process_file_close) FILE *f = NULL;
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        ssize_t n;

        int r = process_open_proc(root, pid, "cgroup", &f);
        if (r < 0)
                return r;
        while ((n = getline(&line, &size, f)) > 0) {
                if (line[n - 1] == '\n')
                        line[n - 1] = '\0';
                if (strncmp(line, "0::/", 4) != 0)
                        continue;
                char *path = strdup(line + 3);
                if (!path)
                        return -ENOMEM;
                *ret = path;
                return 0;
        }
        return -ENODATA;
}
