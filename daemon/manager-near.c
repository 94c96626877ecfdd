/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where a tenant computes: the nodes of the CPUs that its cgroup may use, or the node that a PCI device
 * hangs on. Placement prefers CDM nodes near to those. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "daemon/manager.h"
#include "daemon/topology-device.h"

/* "0-3,8-11" of up to 8192 CPUs, every second one, fits. */
#define LIST_BYTES_MAX 49152

static int read_at(int directory, const char *path, char **ret)
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

/* One range of a CPU list; moves *s behind it. */
static bool next_range(const char **s, unsigned *from, unsigned *to)
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

static bool lists_intersect(const char *a, const char *b)
{
        unsigned a0, a1, b0, b1;

        while (next_range(&a, &a0, &a1))
                for (const char *s = b; next_range(&s, &b0, &b1);)
                        if (a0 <= b1 && b0 <= a1)
                                return true;
        return false;
}

static bool node_has_one_of(Manager *m, int node, const char *cpus)
{
        _cleanup_free_ char *path = NULL, *list = NULL;

        if (asprintf(&path, "%s/sys/devices/system/node/node%d/cpulist", m->root, node) < 0) {
                path = NULL;
                return false;
        }
        return read_at(AT_FDCWD, path, &list) >= 0 && lists_intersect(list, cpus);
}

NodeSet manager_near_cgroup(Manager *m, const char *cgroup)
{
        _cleanup_free_ char *cpus = NULL;
        NodeSet with_cpu = topology_cpu_nodes(m->topology), near = NODESET_EMPTY;
        uint64_t id;

        int fd = cgroup ? cgroup_open(cgroup, &id) : -EINVAL;
        if (fd < 0)
                return NODESET_EMPTY;
        int r = read_at(fd, "cpuset.cpus.effective", &cpus);
        close(fd);
        if (r < 0)
                return NODESET_EMPTY;
        NODESET_FOREACH (node, &with_cpu)
                if (node_has_one_of(m, node, cpus))
                        nodeset_add(&near, node);
        return nodeset_equal(&near, &with_cpu) ? NODESET_EMPTY : near;
}

int manager_near_device(Manager *m, const char *pci, NodeSet *ret)
{
        return topology_read_near(m->root, m->topology, pci, ret);
}
