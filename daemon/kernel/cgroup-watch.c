/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/cgroup-watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/loop/slice.h"

/* A directory is watched first and read afterwards: a cgroup that is created in between is found twice and
 * reported once. A new directory is read too, because there is no event for cgroups that were created in it
 * before the watch.
 *
 * IN_CLOSE_WRITE and not IN_MODIFY: the kernel sends IN_MODIFY on its own for cgroup.events and
 * memory.events, which would wake cdmd for every process that starts or exits. (Measured on 6.1 and 7.3:
 * cgroupfs reports write(2), mkdir and rmdir like any other file system. When a cgroup is removed, 6.1 sends
 * no IN_IGNORED, but IN_DELETE from its parent.)
 *
 * The tree may be large, and thousands of cgroups may appear at the same time. Directories that must still
 * be read or watched wait in two lists. They are processed in portions: the first one in the turn in which
 * the events are read, then one per turn of the event loop, also at startup. Events before the whole tree is
 * watched are reported as WATCH_LOST. */

#define MASK          (IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_ONLYDIR)
#define PORTION       32  /* directories that are read, watched or forgotten per turn: about 1 ms */
#define PORTION_FIRST 256 /* the same for watch_new() */
/* The bytes read per turn: about a hundred events. */
#define EVENT_BYTES 4096
/* While this many cgroups wait to be watched, no more events are read. Events that do not fit into the queue
 * of the kernel are then lost, and reported as such. */
#define FOUND_MAX 16384
/* A watch pins the inode of its directory in kernel memory, about 1 KiB, and counts against
 * fs.inotify.max_user_watches, which root's programs share. More cgroups than this are not watched. */
#define DIRS_MAX 65536

typedef struct Dir Dir;
struct Dir {
        int wd;
        bool delegated;
        bool pending; /* must be read */
        unsigned generation;
        UT_hash_handle by_wd, by_path;
        Dir *prev, *next;             /* in `pending` */
        Dir *prev_known, *next_known; /* in `known` */
        Dir *parent, *children, *older, *younger;
        char path[];
};

/* A cgroup that must be watched. */
typedef struct Found Found;
struct Found {
        Found *prev, *next;
        bool is_new; /* from an event: the parent may have been delegated since it was read */
        char path[];
};

struct Watch {
        sd_event_source *io;
        Slice *slice;
        int fd;
        Dir *by_wd, *by_path;
        Dir *known; /* all directories; those that the current or last full scan has not found come first */
        Dir *pending;
        Found *found;
        size_t n_found;
        unsigned generation; /* number of the current or last full scan */
        bool sweeping;       /* the scan has not yet removed vanished cgroups */
        bool silent;         /* the first scan is not complete */
        bool incomplete;
        watch_event_cb cb;
        void *userdata;
};

static const char *const event_names[_WATCH_EVENT_MAX] = {
        [WATCH_CREATED] = "created",
        [WATCH_REMOVED] = "removed",
        [WATCH_MEMS_WRITTEN] = "mems-written",
        [WATCH_CONTROLLERS_WRITTEN] = "controllers-written",
        [WATCH_LOST] = "lost",
};

const char *watch_event_to_string(WatchEvent v)
{
        return v < _WATCH_EVENT_MAX ? event_names[v] : NULL;
}

static void watch_tell(Watch *w, WatchEvent event, const char *path)
{
        if (!w->silent)
                w->cb(event, path, w->userdata);
}

static Dir *watch_find_path(Watch *w, const char *path)
{
        Dir *d;

        HASH_FIND(by_path, w->by_path, path, strlen(path), d);
        return d;
}

static Dir *watch_find_wd(Watch *w, int wd)
{
        Dir *d;

        HASH_FIND(by_wd, w->by_wd, &wd, sizeof(wd), d);
        return d;
}

static Dir *watch_find_parent(Watch *w, const char *path)
{
        const char *slash = strrchr(path, '/');
        size_t n = slash > path ? (size_t)(slash - path) : 1;
        Dir *d;

        if (!path[1])
                return NULL;
        HASH_FIND(by_path, w->by_path, path, n, d);
        return d;
}

static void dir_free(Watch *w, Dir *d)
{
        Dir *child, *next;

        if (d->parent)
                DL_DELETE2(d->parent->children, d, older, younger);
        DL_FOREACH_SAFE2(d->children, child, next, younger)
        child->parent = NULL;
        HASH_DELETE(by_wd, w->by_wd, d);
        HASH_DELETE(by_path, w->by_path, d);
        DL_DELETE2(w->known, d, prev_known, next_known);
        if (d->pending)
                DL_DELETE(w->pending, d);
        free(d);
}

static void dir_remove(Watch *w, Dir *d)
{
        _cleanup_free_ char *path = strdup(d->path);

        (void)inotify_rm_watch(w->fd, d->wd);
        dir_free(w, d);
        if (path)
                watch_tell(w, WATCH_REMOVED, path);
}

static void watch_look_at(Watch *w, Dir *d)
{
        if (d->pending)
                return;
        d->pending = true;
        DL_APPEND(w->pending, d);
}

/* Adds the watch by descriptor: the path may name another cgroup later, and the directory that is read must
 * be the one that is watched. -ENOENT: it is gone. */
static int watch_path(Watch *w, const char *path)
{
        char self[32];
        int fd, wd, r;

        fd = cgroup_open(path, NULL);
        if (fd < 0)
                return fd;
        snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        wd = inotify_add_watch(w->fd, self, MASK);
        r = -errno;
        close(fd);
        return wd < 0 ? r : wd;
}

/* The full scan has found the directory, and must read its children next. */
static void dir_confirm(Watch *w, Dir *d)
{
        d->generation = w->generation;
        DL_DELETE2(w->known, d, prev_known, next_known);
        DL_APPEND2(w->known, d, prev_known, next_known);
        watch_look_at(w, d);
}

static int dir_new(Watch *w, const char *path, int wd)
{
        size_t n = strlen(path);
        Dir *d = calloc(1, sizeof(*d) + n + 1);

        if (!d)
                return -ENOMEM;
        memcpy(d->path, path, n + 1);
        d->wd = wd;
        d->generation = w->generation;
        d->parent = watch_find_parent(w, path);
        if (d->parent)
                DL_APPEND2(d->parent->children, d, older, younger);
        HASH_ADD(by_wd, w->by_wd, wd, sizeof(d->wd), d);
        HASH_ADD(by_path, w->by_path, path, n, d);
        DL_APPEND2(w->known, d, prev_known, next_known);
        watch_look_at(w, d);
        watch_tell(w, WATCH_CREATED, path);
        return 0;
}

static int dir_add(Watch *w, const char *path)
{
        Dir *d, *old;
        int wd;

        if (HASH_CNT(by_path, w->by_path) >= DIRS_MAX && !watch_find_path(w, path)) {
                w->incomplete = true;
                return 0;
        }
        wd = watch_path(w, path);
        if (wd == -ENOSPC)
                w->incomplete = true;
        if (wd < 0)
                return wd == -ENOMEM ? wd : 0;
        d = watch_find_wd(w, wd);
        if (d) { /* known: found again by a full scan */
                if (d->generation != w->generation)
                        dir_confirm(w, d);
                return 0;
        }
        old = watch_find_path(w, path); /* the new cgroup was seen before the IN_DELETE of the old one */
        if (old)
                dir_remove(w, old);
        return dir_new(w, path, wd);
}

typedef struct Parent {
        Watch *watch;
        const char *path;
} Parent;

static int found_add(Watch *w, const char *path, bool is_new)
{
        size_t n = strlen(path);
        Found *f = calloc(1, sizeof(*f) + n + 1);

        if (!f)
                return -ENOMEM;
        f->is_new = is_new;
        memcpy(f->path, path, n + 1);
        DL_APPEND(w->found, f);
        w->n_found++;
        return 0;
}

static void found_free(Watch *w, Found *f)
{
        DL_DELETE(w->found, f);
        w->n_found--;
        free(f);
}

static int watch_read_child(const char *name, void *userdata)
{
        const Parent *p = userdata;
        _cleanup_free_ char *path = NULL;
        const Dir *known;

        if (asprintf(&path, "%s/%s", p->path[1] ? p->path : "", name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        known = watch_find_path(p->watch, path);
        return known && known->generation == p->watch->generation ? 0 : found_add(p->watch, path, false);
}

static void watch_forget_below(Watch *w, Dir *d)
{
        while (d->children) {
                Dir *lowest = d->children;

                while (lowest->children)
                        lowest = lowest->children;
                (void)inotify_rm_watch(w->fd, lowest->wd);
                dir_free(w, lowest);
        }
}

/* Cgroups below a delegated cgroup belong to the delegatee. systemd marks a cgroup as delegated some time
 * after creating it, but before the delegatee starts. */
static bool watch_is_delegated(Watch *w, Dir *d)
{
        int fd;

        if (d->delegated)
                return true;
        fd = cgroup_open(d->path, NULL);
        if (fd < 0)
                return false;
        d->delegated = cgroup_is_delegated(fd);
        close(fd);
        if (!d->delegated)
                return false;
        watch_forget_below(w, d);
        return true;
}

static int dir_read(Watch *w, Dir *d)
{
        _cleanup_free_ char *path = strdup(d->path); /* d may be freed while its children are reported */
        Parent p = { w, path };
        int fd, r;

        if (!path)
                return -ENOMEM;
        if (watch_is_delegated(w, d))
                return 0;
        fd = cgroup_open(path, NULL);
        if (fd < 0)
                return 0;
        r = cgroup_foreach_child(fd, watch_read_child, &p);
        close(fd);
        return r;
}

/* Forgets one directory that the full scan has not found. */
static void watch_sweep_next(Watch *w)
{
        if (w->known && w->known->generation != w->generation)
                dir_remove(w, w->known);
        else
                w->sweeping = false;
}

/* Watches the next found cgroup, unless its parent has been delegated meanwhile. */
static int watch_found(Watch *w)
{
        Found *f = w->found;
        Dir *parent = watch_find_parent(w, f->path);
        int r = 0;

        if (parent && !(f->is_new ? watch_is_delegated(w, parent) : parent->delegated))
                r = dir_add(w, f->path);
        found_free(w, f);
        return r;
}

static int watch_read_next(Watch *w)
{
        Dir *d = w->pending;

        DL_DELETE(w->pending, d);
        d->pending = false;
        return dir_read(w, d);
}

/* When out of memory, sets `incomplete`: the missing directories are only read by the next full scan, which
 * may never come. */
static void watch_next(Watch *w)
{
        int r = 0;

        if (w->found)
                r = watch_found(w);
        else if (w->pending)
                r = watch_read_next(w);
        else
                watch_sweep_next(w);
        if (r < 0)
                w->incomplete = true;
}

static bool watch_has_work(const Watch *w)
{
        return w->found || w->pending || w->sweeping;
}

static void watch_work(Watch *w, size_t n_max)
{
        for (size_t n = 0; watch_has_work(w) && n < n_max; n++)
                watch_next(w);
}

/* Schedules the next portion, and waits for events. */
static void watch_wait(Watch *w)
{
        bool more = watch_has_work(w), full = w->n_found >= FOUND_MAX;

        slice_set(w->slice, more);
        (void)sd_event_source_set_enabled(w->io, full ? SD_EVENT_OFF : SD_EVENT_ON);
        if (!more && w->silent) {
                w->silent = false;
                watch_tell(w, WATCH_LOST, "/");
        }
}

static void watch_on_slice(void *userdata)
{
        Watch *w = userdata;

        watch_work(w, PORTION);
        watch_wait(w);
}

static void watch_lost(Watch *w)
{
        Dir *root = watch_find_path(w, "/");

        w->generation++;
        w->sweeping = true;
        if (root)
                dir_confirm(w, root);
        watch_tell(w, WATCH_LOST, "/");
}

static void watch_child_came_or_went(Watch *w, Dir *d, const struct inotify_event *e)
{
        _cleanup_free_ char *path = NULL;
        Dir *child;

        if (asprintf(&path, "%s/%s", d->path[1] ? d->path : "", e->name) < 0) {
                path = NULL;
                w->incomplete = true;
                return;
        }
        if (e->mask & IN_CREATE) {
                if (!d->delegated && found_add(w, path, true) < 0)
                        w->incomplete = true;
                return;
        }
        child = watch_find_path(w, path);
        if (child)
                dir_remove(w, child);
}

static void watch_on_event(Watch *w, const struct inotify_event *e)
{
        Dir *d = watch_find_wd(w, e->wd);

        if (e->mask & IN_Q_OVERFLOW)
                watch_lost(w);
        else if (!d) /* removed already */
                return;
        else if (e->mask & IN_IGNORED)
                dir_remove(w, d);
        else if (e->mask & IN_ISDIR && e->len > 0)
                watch_child_came_or_went(w, d, e);
        else if (e->mask & IN_CLOSE_WRITE && e->len > 0 && strcmp(e->name, "cpuset.mems") == 0)
                watch_tell(w, WATCH_MEMS_WRITTEN, d->path);
        else if (e->mask & IN_CLOSE_WRITE && e->len > 0 && strcmp(e->name, "cgroup.subtree_control") == 0)
                watch_tell(w, WATCH_CONTROLLERS_WRITTEN, d->path);
}

static int watch_on_io(sd_event_source *source _unused_, int fd, uint32_t revents _unused_, void *userdata)
{
        _Alignas(struct inotify_event) char buffer[EVENT_BYTES];
        Watch *w = userdata;
        ssize_t n = read(fd, buffer, sizeof(buffer));

        for (const char *p = buffer; n > 0 && p < buffer + n;) {
                const struct inotify_event *e = (const void *)p;

                p += sizeof(*e) + e->len;
                watch_on_event(w, e);
        }
        watch_work(w, PORTION);
        watch_wait(w);
        return 0;
}

int watch_new(sd_event *event, watch_event_cb cb, void *userdata, Watch **ret)
{
        _cleanup_(watch_free_p) Watch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (Watch){ .cb = cb, .userdata = userdata, .silent = true };
        w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (w->fd < 0)
                return -errno;
        r = dir_add(w, "/");
        if (r < 0)
                return r;
        watch_work(w, PORTION_FIRST);
        w->silent = watch_has_work(w);
        r = sd_event_add_io(event, &w->io, w->fd, EPOLLIN, watch_on_io, w);
        if (r >= 0)
                r = slice_new(event, watch_on_slice, w, &w->slice);
        if (r < 0)
                return r;
        slice_set(w->slice, w->silent);
        *ret = TAKE_PTR(w);
        return 0;
}

Watch *watch_free(Watch *w)
{
        Dir *d, *next;

        if (!w)
                return NULL;
        sd_event_source_disable_unref(w->io);
        slice_free(w->slice);
        HASH_ITER (by_path, w->by_path, d, next)
                dir_free(w, d);
        while (w->found)
                found_free(w, w->found);
        if (w->fd >= 0)
                close(w->fd);
        free(w);
        return NULL;
}

size_t watch_count(const Watch *w)
{
        return HASH_CNT(by_path, w->by_path);
}

bool watch_is_incomplete(const Watch *w)
{
        return w->incomplete;
}
