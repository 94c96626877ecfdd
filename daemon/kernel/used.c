/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/kernel/used.h"

#include <errno.h>
#include <unistd.h>

#include "daemon/kernel/cgroup.h"

static uint64_t used_of(const char *cgroup, const NodeSet *nodes)
{
        uint64_t id, bytes = 0;

        int fd = cgroup_open(cgroup, &id);
        if (fd < 0)
                return 0;
        if (cgroup_sum_numa(fd, nodes, numa_bytes_sum, &bytes) < 0)
                bytes = 0;
        close(fd);
        return bytes;
}

int used_read(Used *array, size_t n, Job *job)
{
        for (size_t i = 0; i < n; i++) {
                if (job_is_cancelled(job))
                        return -ECANCELED;
                if (array[i].cgroup && !nodeset_is_empty(&array[i].nodes))
                        array[i].bytes = used_of(array[i].cgroup, &array[i].nodes);
        }
        return 0;
}
