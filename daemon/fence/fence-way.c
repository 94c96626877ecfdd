/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/fence/fence-way.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/kernel/cgroup.h"

/* The effective set of a cgroup is the intersection of its own set with the effective set of its parent. If
 * the intersection is empty, it is the effective set of the parent. So an ancestor whose set contains CDM
 * nodes only opens these nodes to all descendants whose own sets have only ordinary nodes. (Partitions, see
 * cpuset.cpus.partition, change CPUs only.) */

void fence_way_clear(FenceWay *w)
{
        free(w->cgroup);
        *w = (FenceWay){ 0 };
}

static int read_root(NodeSet *ret)
{
        int fd = cgroup_open("/", NULL), r;

        if (fd < 0)
                return fd;
        r = cgroup_read_effective(fd, ret);
        close(fd);
        return r;
}

/* Returns 1 if this is the ancestor that FenceWay.cgroup names; `room` stays that of its parent. */
static int fence_way_step(const char *path, const NodeSet *all, const NodeSet *cdm, FenceWay *w)
{
        NodeSet mems, effective;
        int fd = cgroup_open(path, NULL), r;

        if (fd < 0)
                return fd;
        r = cgroup_read_mems(fd, &mems);
        if (r >= 0)
                r = cgroup_read_effective(fd, &effective);
        close(fd);
        if (r < 0) /* without the controller it has the nodes of its parent */
                return 0;
        if (!nodeset_is_empty(&mems) && !nodeset_is_empty(&w->room) &&
            !nodeset_intersects(&mems, &w->room)) {
                w->cgroup = strdup(path);
                w->mems = mems;
                w->target = nodeset_intersect(&mems, all);
                w->target = nodeset_union(&w->target, &w->room);
                return w->cgroup ? 1 : -ENOMEM;
        }
        w->room = nodeset_subtract(&effective, cdm);
        return 0;
}

int fence_way_read(const char *path, bool itself, const NodeSet *cdm, FenceWay *ret)
{
        _cleanup_free_ char *at = strdup(path);
        FenceWay w = { 0 };
        NodeSet all;
        int r;

        if (!at)
                return -ENOMEM;
        r = read_root(&all);
        if (r < 0)
                return r;
        w.room = nodeset_subtract(&all, cdm);
        for (char *p = at; r == 0 && *p == '/' && p[1];) {
                char *next = p + 1 + strcspn(p + 1, "/"), c = *next;

                if (!c && !itself)
                        break;
                *next = '\0';
                r = fence_way_step(at, &all, cdm, &w);
                *next = c;
                p = next;
        }
        if (r < 0) {
                fence_way_clear(&w);
                return r;
        }
        *ret = w;
        return 0;
}
