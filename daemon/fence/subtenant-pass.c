/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One pass over a unit. daemon/fence/subtenant.c explains the model. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/fence/subtenant-internal.h"
#include "daemon/kernel/cgroup.h"
#include "policy/word.h"

#define DEPTH_MAX 8 /* below a level */
#define MASK      (IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_ONLYDIR)

/* A new cgroup with the name of an ended tenant has no promise. */
static Promise *pass_promise(const Pass *p, const char *name, int fd)
{
        Promise *found = NULL;
        struct stat st;

        if (p->unit)
                HASH_FIND_STR(p->unit->tenants, name, found);
        if (found && found->id != 0 && fstat(fd, &st) >= 0 && st.st_ino != found->id)
                return NULL;
        return found;
}

static void pass_fail(Pass *p, int error, const char *path, const char *why)
{
        if (p->error < 0)
                return;
        p->error = error;
        if (asprintf(&p->message, "%s %s", path, why) < 0)
                p->message = NULL;
}

/* inotify returns the same watch if there is one already. A unit that cannot be watched is not opened
 * further. */
static void pass_watch(Pass *p, int fd, const char *path, const char *file, uint32_t mask)
{
        char self[64];

        if (p->watch < 0)
                return;
        snprintf(self, sizeof(self), "/proc/self/fd/%d%s", fd, file);
        int wd = inotify_add_watch(p->watch, self, mask), error = wd < 0 ? -errno : 0;
        if (error == -ENOENT)
                return;
        int *larger = wd < 0 ? NULL : reallocarray(p->wds, p->n_wds + 1, sizeof(*larger));
        if (!larger) {
                pass_fail(p, error < 0 ? error : -ENOMEM, path,
                          "cannot be watched: are there too many inotify watches?");
                return;
        }
        p->wds = larger;
        larger[p->n_wds++] = wd;
}

static uint64_t pass_bytes_on(int fd, const NodeSet *nodes)
{
        uint64_t bytes;

        return cgroup_sum_numa(fd, nodes, numa_bytes_sum, &bytes) < 0 ? 0 : bytes;
}

static void pass_found(Pass *p, const char *path, const NodeSet *open, uint64_t bytes, bool is_open)
{
        SubtenantFound *f = p->found;

        f->nodes = nodeset_union(&f->nodes, open);
        f->drained_bytes += bytes;
        f->is_open |= is_open;
        if (!f->cgroup)
                f->cgroup = strdup(path);
}

/* Sets the cgroup to its previous ordinary nodes plus the promised nodes. A smaller set of ordinary nodes
 * stays, because the manager of the unit chose it. The kernel moves the pages. */
static int pass_set(Pass *p, const char *path, int fd, const NodeSet *promised)
{
        NodeSet mems, effective, open, target;
        int r = cgroup_read_mems(fd, &mems);

        if (r < 0 || cgroup_read_effective(fd, &effective) < 0)
                return r < 0 ? r : -ENOENT;
        target = nodeset_intersect(&mems, &p->ordinary);
        if (nodeset_is_empty(&target))
                target = p->ordinary;
        target = nodeset_union(&target, promised);
        if (nodeset_equal(&mems, &target))
                return 0;
        open = nodeset_intersect(&effective, &p->cdm);
        open = nodeset_subtract(&open, promised);
        uint64_t before = nodeset_is_empty(&open) ? 0 : pass_bytes_on(fd, &open);
        r = cgroup_write_mems(path, &target);
        if (!nodeset_is_empty(&open) && r != -ENOENT) {
                uint64_t after = pass_bytes_on(fd, &open);

                pass_found(p, path, &open, before > after ? before - after : 0, r < 0);
        }
        return r;
}

typedef struct Children {
        Pass *pass;
        const char *path;
        int fd;
        const NodeSet *promised;
        const char *unit, *tenant;
        unsigned depth;
} Children;

/* Returns the directory of a child, and its path, to be freed by the caller. */
static int child_open(const Children *c, const char *name, char **ret_path)
{
        int fd = openat(c->fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        if (asprintf(ret_path, "%s/%s", c->path, name) < 0) {
                close(fd);
                return -ENOMEM;
        }
        return fd;
}

/* Widens cgroups below a level that the manager has narrowed. Cgroups that others than root can write are
 * left to their owners. */
static int widen_below(const char *name, void *userdata)
{
        const Children *c = userdata;
        _cleanup_free_ char *path = NULL;
        NodeSet mems;
        int fd = child_open(c, name, &path);

        if (fd < 0)
                return 0;
        if (cgroup_is_roots(fd, false)) {
                Children below = { c->pass, path, fd, c->promised, c->unit, c->tenant, c->depth + 1 };

                if (cgroup_read_mems(fd, &mems) == 0 && !nodeset_is_empty(&mems) &&
                    !nodeset_is_subset(c->promised, &mems)) {
                        mems = nodeset_union(&mems, c->promised);
                        (void)cgroup_write_mems(path, &mems);
                }
                if (below.depth < DEPTH_MAX)
                        (void)cgroup_foreach_child(fd, widen_below, &below);
        }
        close(fd);
        return 0;
}

static int pass_level(const char *name, void *userdata)
{
        const Children *c = userdata;
        Pass *p = c->pass;
        _cleanup_free_ char *path = NULL;
        int fd = child_open(c, name, &path);

        if (fd < 0)
                return 0;
        pass_watch(p, fd, path, "", MASK);
        /* If Subtree= was removed since, a level of a tenant with a promise keeps its nodes. */
        bool is = cgroup_is_roots(fd, false) &&
                  (subtree_has_level(p->subtrees, p->n_subtrees, c->unit, c->tenant, name) ||
                   !subtree_has_tenant(p->subtrees, p->n_subtrees, c->unit, c->tenant));
        const NodeSet *promised = is ? c->promised : &NODESET_EMPTY;
        (void)pass_set(p, path, fd, promised);
        if (!nodeset_is_empty(promised)) {
                Children below = { p, path, fd, promised, c->unit, c->tenant, 0 };

                (void)cgroup_foreach_child(fd, widen_below, &below);
        }
        close(fd);
        return 0;
}

/* True if Subtree= names levels of the tenant. A tenant without levels counts as its own level. */
static bool pass_has_levels(const Pass *p, const char *unit, const char *tenant)
{
        for (size_t i = 0; i < p->n_subtrees; i++)
                if (p->subtrees[i].level && subtree_has_tenant(&p->subtrees[i], 1, unit, tenant))
                        return true;
        return false;
}

static bool is_writable_by_others(int fd, const char *file)
{
        struct stat st;

        return fstatat(fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && cgroup_stat_is_writable(&st);
}

/* Stops when a closed unit has too many tenants: such a unit is not opened, so more writes are useless. */
static int pass_child(const char *name, void *userdata)
{
        const Children *c = userdata;
        Pass *p = c->pass;
        _cleanup_free_ char *path = NULL;

        if (p->n_tenants > SUBTENANTS_MAX && !p->is_open)
                return 1;
        int fd = child_open(c, name, &path);

        if (fd < 0) {
                if (fd == -ENOMEM)
                        p->error = fd;
                return 0;
        }
        Promise *h = pass_promise(p, name, fd);
        bool is = h || subtree_has_tenant(p->subtrees, p->n_subtrees, c->unit, name);
        bool is_roots = cgroup_is_roots(fd, false);
        const NodeSet *promised = h && is_roots ? &h->nodes : &NODESET_EMPTY;
        pass_watch(p, fd, path, "", MASK);
        if (h) {
                pass_watch(p, fd, path, "/cgroup.events", IN_MODIFY);
                h->is_alive = cgroup_is_populated(fd);
        }
        p->n_tenants += is;
        if (is_writable_by_others(fd, "cpuset.mems"))
                pass_fail(p, -EPERM, path, "can be opened by a user, who may write its cpuset.mems");
        int r = pass_set(p, path, fd, promised);
        if (r == -ENOENT && faccessat(c->fd, name, F_OK, 0) == 0)
                pass_fail(p, -EOPNOTSUPP, path, "has no cpuset controller: its parent does not enable it");
        else if (r < 0 && r != -ENOENT)
                pass_fail(p, r, path, "cannot be closed");
        if (is) {
                bool has_levels = pass_has_levels(p, c->unit, name);
                Children below = { p, path, fd, promised, c->unit, name, 0 };

                if (has_levels)
                        (void)cgroup_foreach_child(fd, pass_level, &below);
                else if (!nodeset_is_empty(promised))
                        (void)cgroup_foreach_child(fd, widen_below, &below);
        }
        close(fd);
        return 0;
}

/* Writes the unit's own set, after its descendants have the desired sets. */
static int pass_unit_mems(Pass *p, const char *unit_path, int fd, const NodeSet *given_up,
                          SubtenantUnit *ret)
{
        NodeSet mems, needed = promise_unit_nodes(p->unit), gone = nodeset_subtract(given_up, &needed),
                      target;
        int r = cgroup_read_mems(fd, &mems);

        if (r < 0)
                return r;
        target = nodeset_subtract(&mems, &gone);
        if (p->error == 0 && !nodeset_is_empty(&mems))
                target = nodeset_union(&target, &needed);
        if (!nodeset_intersects(&target, &p->ordinary))
                target = mems;
        if (!nodeset_equal(&target, &mems))
                r = cgroup_write_mems(unit_path, &target);
        p->written = r >= 0 ? target : NODESET_EMPTY;
        if (r >= 0 && ret) {
                free(ret->name);
                *ret = (SubtenantUnit){ .name = strdup(word_unit_of_path(unit_path)), .nodes = target };
        }
        return r;
}

int subtenant_pass_unit(Pass *p, const char *unit_path, const NodeSet *given_up, SubtenantUnit *ret)
{
        NodeSet effective;
        int fd = cgroup_open(unit_path, NULL);

        if (fd < 0)
                return fd;
        Children c = { .pass = p, .path = unit_path, .fd = fd, .unit = word_unit_of_path(unit_path) };
        p->n_tenants = 0;
        if (!cgroup_is_roots(fd, true))
                pass_fail(p, -EPERM, unit_path, "can be written by users other than root");
        p->is_open = cgroup_read_effective(fd, &effective) >= 0 && nodeset_intersects(&effective, &p->cdm);
        pass_watch(p, fd, unit_path, "", MASK);
        (void)cgroup_foreach_child(fd, pass_child, &c);
        if (p->n_tenants > SUBTENANTS_MAX)
                pass_fail(p, -E2BIG, unit_path, "has more than 1024 tenants");
        int r = pass_unit_mems(p, unit_path, fd, given_up, ret);
        close(fd);
        return r;
}

/* --- lifting ------------------------------------------------------------------------------------------ */

typedef struct Lift {
        Pass *pass;
        const NodeSet *all;
        unsigned depth;
        const char *path;
        int fd;
} Lift;

static int lift_child(const char *name, void *userdata)
{
        const Lift *l = userdata;
        Children c = { .path = l->path, .fd = l->fd };
        _cleanup_free_ char *path = NULL;
        NodeSet mems;
        int fd = child_open(&c, name, &path);

        if (fd < 0)
                return 0;
        if (cgroup_read_mems(fd, &mems) == 0 && nodeset_is_subset(&l->pass->ordinary, &mems) &&
            !nodeset_is_subset(l->all, &mems))
                (void)cgroup_write_mems(path, l->all);
        if (l->depth == 0) {
                Lift below = { l->pass, l->all, 1, path, fd };

                (void)cgroup_foreach_child(fd, lift_child, &below);
        }
        close(fd);
        return 0;
}

void subtenant_pass_lift(Pass *p, const char *unit_path, int fd, const NodeSet *all)
{
        Lift children = { p, all, 0, unit_path, fd };

        (void)cgroup_foreach_child(fd, lift_child, &children);
}
