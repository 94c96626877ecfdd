/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/near.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/macro.h"

/* Enough for a list such as "0-3,8-11" with every second one of 8192 CPUs. */
#define LIST_BYTES_MAX 49152

static int near_read_at(int directory, const char *path, char **ret)
{
        char *buf = malloc(LIST_BYTES_MAX);
        int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 && buf ? read(fd, buf, LIST_BYTES_MAX - 1) : -1;

        if (fd >= 0)
                close(fd);
        if (n < 0) {
                free(buf);
                return -EIO;
        }
        buf[n] = '\0';
        *ret = buf;
        return 0;
}

/* Parses one range of a CPU list and moves *s behind it. */
static bool near_next_range(const char **s, unsigned *from, unsigned *to)
{
        int n = 0;

        if (sscanf(*s, "%u-%u%n", from, to, &n) == 2 && n > 0)
                ;
        else if (sscanf(*s, "%u%n", from, &n) == 1)
                *to = *from;
        else
                return false;
        *s += n;
        if (**s == ',')
                (*s)++;
        return true;
}

static bool near_lists_intersect(const char *a, const char *b)
{
        unsigned a0, a1, b0, b1;

        while (near_next_range(&a, &a0, &a1))
                for (const char *s = b; near_next_range(&s, &b0, &b1);)
                        if (a0 <= b1 && b0 <= a1)
                                return true;
        return false;
}

static bool near_node_has_one_of(const char *root, int node, const char *cpus)
{
        _cleanup_free_ char *path = NULL, *list = NULL;

        if (asprintf(&path, "%s/sys/devices/system/node/node%d/cpulist", root, node) < 0) {
                path = NULL;
                return false;
        }
        return near_read_at(AT_FDCWD, path, &list) >= 0 && near_lists_intersect(list, cpus);
}

NodeSet near_of_cgroup(const char *root, const NodeSet *with_cpu, int cgroup_fd)
{
        _cleanup_free_ char *cpus = NULL;
        NodeSet near = NODESET_EMPTY;

        if (near_read_at(cgroup_fd, "cpuset.cpus.effective", &cpus) < 0)
                return NODESET_EMPTY;
        NODESET_FOREACH (node, with_cpu)
                if (near_node_has_one_of(root, node, cpus))
                        nodeset_add(&near, node);
        return nodeset_equal(&near, with_cpu) ? NODESET_EMPTY : near;
}
