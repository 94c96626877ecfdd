/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fence/foreign-internal.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/owner.h"
#include "daemon/loop/log.h"

#define DEPTH_MAX 64

/* --- reading ------------------------------------------------------------------------------------------ */

void groups_clear(Groups *g)
{
        for (size_t i = 0; i < g->n; i++)
                free(g->array[i].path);
        free(g->array);
        *g = (Groups){ .marks = g->marks };
}

static int groups_add(Groups *g, const char *path, ssize_t parent, int fd, uint64_t id)
{
        ForeignGroup *x;

        if (g->n == g->size) {
                size_t size = g->size ? 2 * g->size : 16;
                ForeignGroup *larger = reallocarray(g->array, size, sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                g->array = larger;
                g->size = size;
        }
        x = &g->array[g->n];
        *x = (ForeignGroup){ .path = strdup(path), .id = id, .parent = parent };
        if (!x->path)
                return -ENOMEM;
        g->n++;
        x->has_cpuset = cgroup_read_effective(fd, &x->effective) == 0 && cgroup_read_mems(fd, &x->mems) == 0;
        if (!x->has_cpuset && parent >= 0)
                x->effective = g->array[parent].effective;
        x->marked = x->has_cpuset && marks_get(g->marks, id, path, &x->was, &x->set);
        return 0;
}

typedef struct Below {
        Groups *groups;
        const char *path;
        ssize_t index;
        const char *skip; /* the caller reads this child; NULL: none */
        bool deep;
        unsigned depth;
} Below;

static int read_below(const char *name, void *userdata);

/* Returns 1 if the cgroup is gone. Nothing below a delegated cgroup is read. */
static int read_group(Groups *g, const char *path, ssize_t parent, bool deep, unsigned depth)
{
        Below b = { g, path, (ssize_t)g->n, NULL, true, depth + 1 };
        uint64_t id = 0;
        int fd, r;

        fd = cgroup_open(path, &id);
        if (fd < 0)
                return 1;
        r = groups_add(g, path, parent, fd, id);
        if (r == 0 && deep && depth < DEPTH_MAX && !cgroup_is_delegated(fd))
                r = cgroup_foreach_child(fd, read_below, &b);
        close(fd);
        return r;
}

static int read_below(const char *name, void *userdata)
{
        const Below *b = userdata;
        _cleanup_free_ char *path = NULL;
        int r;

        if (b->skip && strcmp(name, b->skip) == 0)
                return 0;
        if (asprintf(&path, "%s/%s", b->path, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = read_group(b->groups, path, b->index, b->deep, b->depth);
        return r < 0 ? r : 0;
}

int groups_read_way(Groups *g, const char *path, bool beside)
{
        _cleanup_free_ char *at = strdup(path);
        size_t top = owner_top(path), length = strlen(path);
        ssize_t parent = -1;
        int r = 0;

        if (!at)
                return -ENOMEM;
        for (size_t n = top ? top : length; r == 0; n += 1 + strcspn(path + n + 1, "/")) {
                ssize_t index = (ssize_t)g->n;

                at[n] = '\0';
                r = read_group(g, at, parent, n == length, 0);
                if (r == 0 && beside && n < length) {
                        _cleanup_free_ char *next = strndup(path + n + 1, strcspn(path + n + 1, "/"));
                        Below b = { g, at, index, next, false, 0 };
                        int fd = cgroup_open(at, NULL);

                        if (!next)
                                r = -ENOMEM;
                        else if (fd < 0)
                                r = 1;
                        else if (!cgroup_is_delegated(fd))
                                r = cgroup_foreach_child(fd, read_below, &b);
                        if (fd >= 0)
                                close(fd);
                }
                if (n == length)
                        break;
                at[n] = '/';
                parent = index;
        }
        return r == 1 ? -ENOENT : r;
}

/* --- tops --------------------------------------------------------------------------------------------- */

typedef struct Tops {
        const char *path;
        bool deep;
        top_t fn;
        void *userdata;
        unsigned depth;
} Tops;

static int tops_in(const Tops *t);

static bool is_slice(const char *name)
{
        size_t n = strlen(name);

        return n > 6 && strcmp(name + n - 6, ".slice") == 0;
}

static int top_child(const char *name, void *userdata)
{
        const Tops *t = userdata;
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", t->path, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (owner_top(path) > 0)
                return t->fn(path, t->userdata);
        if (t->deep && is_slice(name) && t->depth < DEPTH_MAX)
                return tops_in(&(Tops){ path, true, t->fn, t->userdata, t->depth + 1 });
        return 0;
}

static int tops_in(const Tops *t)
{
        int fd = cgroup_open(*t->path ? t->path : "/", NULL), r;

        if (fd < 0)
                return 0;
        r = cgroup_foreach_child(fd, top_child, (void *)t);
        close(fd);
        return r;
}

/* --- writing ------------------------------------------------------------------------------------------ */

void group_mark(Marks *marks, const ForeignGroup *g, const NodeSet *was, const NodeSet *set)
{
        int r = marks_put(marks, g->id, g->path, was, set);

        if (r < 0)
                log_warning("cannot record cpuset.mems of %s: %s; it will not be restored later", g->path,
                            strerror(-r));
}

static int write_group(Marks *marks, ForeignGroup *g, const NodeSet *value, const Promises *p)
{
        NodeSet set = nodeset_subtract(&g->target, &p->cdm);
        int r;

        if (owner_top(g->path) == 0) /* systemd owns it meanwhile */
                return 0;
        group_mark(marks, g, &g->before, &set);
        r = cgroup_write_mems(g->path, value);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        g->mems = *value;
        return 0;
}

int groups_write(Groups *g, const Promises *p)
{
        int r = 0;

        for (size_t i = g->n; i-- > 0;) {
                ForeignGroup *x = &g->array[i];
                NodeSet less = nodeset_intersect(&x->mems, &x->target);
                int k;

                if (!x->has_cpuset || nodeset_equal(&x->mems, &x->target))
                        continue;
                if (!nodeset_intersects(&less, &p->ordinary))
                        less = x->target;
                if (nodeset_equal(&x->mems, &less))
                        continue;
                k = write_group(g->marks, x, &less, p);
                r = r < 0 ? r : k;
        }
        for (size_t i = 0; r >= 0 && i < g->n; i++) {
                ForeignGroup *x = &g->array[i];

                if (x->has_cpuset && !nodeset_equal(&x->mems, &x->target))
                        r = write_group(g->marks, x, &x->target, p);
        }
        return r;
}

void group_enable_cpuset(Foreign *f, const char *path)
{
        if (strchr(path + 1, '/'))
                atomic_store(&f->in_slices, true);
        (void)cgroup_enable_cpuset_above(path);
}

void groups_decide(Groups *g, const Promises *p)
{
        foreign_decide(g->array, g->n, p->holds, p->n_holds, &p->ordinary, &p->cdm);
}

int groups_foreach_top(const char *slice, bool deep, top_t fn, void *userdata)
{
        return tops_in(&(Tops){ slice, deep, fn, userdata, 0 });
}
