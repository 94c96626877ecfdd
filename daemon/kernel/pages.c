/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/pages.h"

#include <errno.h>
#include <limits.h>
#include <numaif.h>

#include "policy/nodeset.h"

/* From linux/mempolicy.h, which conflicts with numaif.h. Static: the policy keeps its node, whatever the
 * cpuset of the allocating process. */
#ifndef MPOL_F_STATIC_NODES
#define MPOL_F_STATIC_NODES (1 << 15)
#endif

#define LONG_BITS (CHAR_BIT * sizeof(unsigned long))

int pages_locate(pid_t pid, size_t n, void **page, int *status)
{
        return move_pages(pid, n, page, NULL, status, 0) < 0 ? -errno : 0;
}

long pages_move(pid_t pid, size_t n, void **page, const int *node, int *status)
{
        long answer = move_pages(pid, n, page, node, status, MPOL_MF_MOVE_ALL);

        return answer < 0 ? -errno : answer;
}

int pages_prefer(void *address, uint64_t bytes, int node)
{
        unsigned long mask[NODE_MAX / LONG_BITS] = { 0 };

        if (node < 0 || node >= NODE_MAX)
                return -EINVAL;
        mask[(size_t)node / LONG_BITS] |= 1UL << ((size_t)node % LONG_BITS);
        /* The kernel reads one bit less than maxnode. */
        if (mbind(address, bytes, MPOL_PREFERRED | MPOL_F_STATIC_NODES, mask, NODE_MAX + 1, 0) < 0)
                return -errno;
        return 0;
}
