/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A process may use the intersection of the sets of its cgroup and all ancestors (cpuset.mems.effective,
 * cgroup-v2.rst). A container runtime or a job manager may have narrowed a cgroup below the one with the
 * grant: then the processes there cannot use the granted nodes. */

#include "daemon/kernel/usable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/kernel/cgroup.h"
#include "policy/macro.h"

/* The walk is bounded, because the owner of a delegated cgroup can create any number of cgroups. */
#define CGROUPS_MAX 4096
#define DEPTH_MAX   64

typedef enum Usable {
        USABLE_NO,  /* not by any process seen so far */
        USABLE_YES, /* by a process, or the walk reached its bounds */
} Usable;

typedef struct UsableWalk {
        const NodeSet *nodes;
        unsigned n_left, depth;
        UsableNarrow narrow;
        /* of the cgroup whose children are visited */
        int fd;
        const char *path;
} UsableWalk;

static int usable_visit(UsableWalk *w, int fd, const char *path);

static int usable_visit_child(const char *name, void *userdata)
{
        UsableWalk *w = userdata;
        _cleanup_free_ char *path = NULL;
        int fd = openat(w->fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return USABLE_NO;
        int r = asprintf(&path, "%s/%s", w->path, name) < 0 ? -ENOMEM : usable_visit(w, fd, path);
        close(fd);
        return r;
}

static int usable_visit_children(UsableWalk *w, int fd, const char *path)
{
        int above_fd = w->fd;
        const char *above = w->path;

        w->fd = fd;
        w->path = path;
        w->depth++;
        int r = cgroup_foreach_child(fd, usable_visit_child, w);
        w->depth--;
        w->fd = above_fd;
        w->path = above;
        return r;
}

static int usable_note_narrow(UsableWalk *w, int fd, const char *path, const NodeSet *nodes)
{
        if (w->narrow.path || !cgroup_is_populated(fd))
                return USABLE_NO;
        w->narrow.path = strdup(path);
        w->narrow.nodes = *nodes;
        return w->narrow.path ? USABLE_NO : -ENOMEM;
}

/* A descendant never has more nodes than its ancestor, so cgroups below a narrow one are not visited. */
static int usable_visit(UsableWalk *w, int fd, const char *path)
{
        _cleanup_free_ char *processes = NULL;
        NodeSet effective;

        if (w->n_left == 0 || w->depth > DEPTH_MAX)
                return USABLE_YES;
        w->n_left--;
        /* Without the controller it has the nodes of its parent. */
        int r = cgroup_read_effective(fd, &effective);
        if (r >= 0 && !nodeset_is_subset(w->nodes, &effective))
                return usable_note_narrow(w, fd, path, &effective);
        r = cgroup_read_file(fd, "cgroup.procs", &processes);
        if (r >= 0 && processes[0] != '\0')
                return USABLE_YES;
        return usable_visit_children(w, fd, path);
}

int usable_check(int fd, const NodeSet *nodes, UsableNarrow *ret)
{
        UsableWalk w = { .nodes = nodes, .n_left = CGROUPS_MAX };
        int r = usable_visit(&w, fd, "");

        if (r == USABLE_NO && w.narrow.path) {
                *ret = w.narrow;
                return -EPERM;
        }
        free(w.narrow.path);
        return r < 0 ? r : 0;
}
