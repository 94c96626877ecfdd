/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Walks the tree depth first. A cgroup may vanish at any time: cgroups that can no longer be opened or read
 * are skipped.
 *
 * The owner of a delegated subtree can nest cgroups to any depth, and each level costs a file descriptor. So
 * the walk stops at DEPTH_MAX. The cgroups below do not matter, because the unit above confines them. */

#define DEPTH_MAX 64

typedef struct TreeWalk {
        cgroup_leaf_t leaf;
        cgroup_inner_t inner;
        const NodeSet *nodes;
        void *userdata;
} TreeWalk;

static void walk_closedir_p(DIR **d)
{
        if (*d)
                closedir(*d);
}

/* Opens a stream that starts at the first entry of the directory fd; fd itself stays open. */
static DIR *walk_open_stream(int fd)
{
        int copy = openat(fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        DIR *d;

        if (copy < 0)
                return NULL;
        d = fdopendir(copy);
        if (!d)
                close(copy);
        return d;
}

/* Returns the next child cgroup, or NULL. */
static const char *walk_next_child(DIR *d)
{
        for (struct dirent *e; (e = readdir(d));) {
                if (e->d_type != DT_DIR || e->d_name[0] == '\0')
                        continue;
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        return e->d_name;
        }
        return NULL;
}

static int walk_open_child(DIR *d, const char *name)
{
        return openat(dirfd(d), name, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static bool walk_has_children(int fd)
{
        _cleanup_(walk_closedir_p) DIR *d = walk_open_stream(fd);

        return d && walk_next_child(d);
}

int cgroup_find_child(int fd, bool (*accept)(const char *name, void *userdata), void *userdata, char **ret)
{
        _cleanup_(walk_closedir_p) DIR *d = walk_open_stream(fd);
        _cleanup_free_ char *found = NULL;
        bool is_populated = false;

        for (const char *name; d && !is_populated && (name = walk_next_child(d));) {
                int child = accept(name, userdata) ? walk_open_child(d, name) : -1;

                if (child < 0)
                        continue;
                is_populated = cgroup_is_populated(child);
                close(child);
                if (found && !is_populated)
                        continue;
                free(found);
                found = strdup(name);
                if (!found)
                        return -ENOMEM;
        }
        if (!found)
                return -ENOENT;
        *ret = TAKE_PTR(found);
        return 0;
}

int cgroup_foreach_child(int fd, cgroup_child_t fn, void *userdata)
{
        _cleanup_(walk_closedir_p) DIR *d = walk_open_stream(fd);
        int r = 0;

        for (const char *name; d && r == 0 && (name = walk_next_child(d));)
                r = fn(name, userdata);
        return r;
}

/* True if users other than root and the user of this process can write. This process is root except in
 * tests. */
bool cgroup_stat_is_writable(const struct stat *st)
{
        bool owner = st->st_uid != 0 && st->st_uid != geteuid();
        bool group = st->st_mode & S_IWGRP && st->st_gid != 0 && st->st_gid != getegid();

        return owner || group || st->st_mode & S_IWOTH;
}

/* A cgroup in which other users can create cgroups or move processes counts as delegated, independent of the
 * attribute user.delegate, which its owner can remove. If only root can write, systemd or another program of
 * root has set the attribute (Delegate= without User=). */
bool cgroup_is_delegated(int fd)
{
        struct stat st;
        char value[2];

        if (fstat(fd, &st) < 0)
                return false;
        if (cgroup_stat_is_writable(&st) ||
            (fstatat(fd, "cgroup.procs", &st, AT_SYMLINK_NOFOLLOW) == 0 && cgroup_stat_is_writable(&st)))
                return true;
        return fgetxattr(fd, "user.delegate", value, sizeof(value)) == 1 && value[0] == '1';
}

bool cgroup_is_roots(int fd, bool may_be_marked)
{
        static const char *const files[] = { "cgroup.procs", "cgroup.subtree_control" };
        struct stat st;
        char value[2];

        if (fstat(fd, &st) < 0 || cgroup_stat_is_writable(&st))
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                if (fstatat(fd, files[i], &st, AT_SYMLINK_NOFOLLOW) < 0 || cgroup_stat_is_writable(&st))
                        return false;
        return may_be_marked || fgetxattr(fd, "user.delegate", value, sizeof(value)) < 0;
}

static bool walk_has_own_processes(int fd)
{
        _cleanup_free_ char *text = NULL;

        return cgroup_read_file(fd, "cgroup.procs", &text) >= 0 && text[0] != '\0';
}

static void walk_numa_add(NumaBytes *sum, const NumaBytes *b)
{
        sum->anon += b->anon;
        sum->file += b->file;
        sum->shmem += b->shmem;
        sum->other += b->other;
        sum->hugetlb += b->hugetlb;
}

static uint64_t walk_minus(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

/* Per-node sums of the children of one cgroup. */
typedef struct ChildSums {
        NumaBytes *array;
        size_t n;
} ChildSums;

static int child_sums_add(ChildSums *sums, int fd, const NodeSet *nodes)
{
        _cleanup_free_ NumaBytes *b = NULL;
        size_t n = 0;

        /* If the memory controller is not enabled there, the memory is charged to the parent. */
        if (cgroup_read_numa_all(fd, nodes, &b, &n) < 0)
                return 0;
        for (size_t i = 0; i < n; i++) {
                size_t j = 0;

                while (j < sums->n && sums->array[j].node != b[i].node)
                        j++;
                if (j == sums->n) {
                        NumaBytes *larger = realloc(sums->array, (j + 1) * sizeof(*larger));

                        if (!larger)
                                return -ENOMEM;
                        sums->array = larger;
                        sums->array[sums->n++] = (NumaBytes){ .node = b[i].node };
                }
                walk_numa_add(&sums->array[j], &b[i]);
        }
        return 0;
}

static void walk_subtract_children(NumaBytes *b, const ChildSums *sums)
{
        for (size_t j = 0; j < sums->n; j++) {
                if (sums->array[j].node != b->node)
                        continue;
                b->anon = walk_minus(b->anon, sums->array[j].anon);
                b->file = walk_minus(b->file, sums->array[j].file);
                b->shmem = walk_minus(b->shmem, sums->array[j].shmem);
                b->other = walk_minus(b->other, sums->array[j].other);
                b->hugetlb = walk_minus(b->hugetlb, sums->array[j].hugetlb);
        }
}

static int walk_call_inner(const TreeWalk *w, const char *path, int fd, const ChildSums *sums)
{
        _cleanup_free_ NumaBytes *own = NULL;
        size_t n = 0, kept = 0;

        if (cgroup_read_numa_all(fd, w->nodes, &own, &n) < 0)
                return 0;
        for (size_t i = 0; i < n; i++) {
                walk_subtract_children(&own[i], sums);
                if (numa_bytes_all(&own[i]) > 0)
                        own[kept++] = own[i];
        }
        return w->inner(path, fd, own, kept, w->userdata);
}

static int walk_below(const TreeWalk *w, const char *path, int fd, unsigned depth);

static int walk_children(const TreeWalk *w, const char *path, int fd, unsigned depth, ChildSums *sums)
{
        _cleanup_(walk_closedir_p) DIR *d = walk_open_stream(fd);
        int r = 0;

        for (const char *name; d && r == 0 && (name = walk_next_child(d));) {
                _cleanup_free_ char *child = NULL;
                int child_fd = walk_open_child(d, name);

                if (child_fd < 0)
                        continue;
                if (asprintf(&child, "%s/%s", path[1] ? path : "", name) < 0)
                        r = -ENOMEM;
                if (r == 0)
                        r = walk_below(w, child, child_fd, depth + 1);
                if (r == 0 && w->inner)
                        r = child_sums_add(sums, child_fd, w->nodes);
                close(child_fd);
        }
        return r;
}

/* A cgroup counts as a leaf if it confines the processes in and below it: it has no children, it is
 * delegated, or it has both processes and children. The root is never a leaf: it has kernel threads and
 * cannot be confined. */
static int walk_below(const TreeWalk *w, const char *path, int fd, unsigned depth)
{
        ChildSums sums = { 0 };
        bool is_root = path[1] == '\0';
        int r;

        if (depth > DEPTH_MAX)
                return 0;
        if (!is_root && (!walk_has_children(fd) || cgroup_is_delegated(fd) || walk_has_own_processes(fd)))
                return w->leaf ? w->leaf(path, fd, w->userdata) : 0;
        r = walk_children(w, path, fd, depth, &sums);
        if (r == 0 && w->inner)
                r = walk_call_inner(w, path, fd, &sums);
        free(sums.array);
        return r;
}

static int walk_all(const TreeWalk *w)
{
        int fd = cgroup_open("/", NULL), r;

        if (fd < 0)
                return fd;
        r = walk_below(w, "/", fd, 0);
        close(fd);
        return r;
}

int cgroup_foreach_leaf(cgroup_leaf_t fn, void *userdata)
{
        return walk_all(&(TreeWalk){ .leaf = fn, .userdata = userdata });
}

int cgroup_foreach_inner(const NodeSet *nodes, cgroup_inner_t fn, void *userdata)
{
        return walk_all(&(TreeWalk){ .inner = fn, .nodes = nodes, .userdata = userdata });
}

typedef struct PidList {
        pid_t *pids;
        size_t n, size;
} PidList;

static int pid_add(PidList *list, pid_t pid)
{
        if (list->n == list->size) {
                size_t size = list->size ? list->size * 2 : 64;
                pid_t *larger = realloc(list->pids, size * sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                list->pids = larger;
                list->size = size;
        }
        list->pids[list->n++] = pid;
        return 0;
}

/* 0 stands for a process of another PID namespace. Reading cgroup.procs of a threaded cgroup fails with
 * EOPNOTSUPP: an ancestor lists its processes. */
static int walk_read_own_pids(int fd, PidList *list)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = cgroup_read_file(fd, "cgroup.procs", &text);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (char *p = text, *end;; p = end) {
                long pid = strtol(p, &end, 10);

                if (end == p)
                        return 0;
                if (pid > 0 && pid <= INT32_MAX && (r = pid_add(list, (pid_t)pid)) < 0)
                        return r;
        }
}

static int walk_collect_pids(int fd, unsigned depth, PidList *list)
{
        _cleanup_(walk_closedir_p) DIR *d = NULL;
        int r;

        r = walk_read_own_pids(fd, list);
        if (r < 0 || depth > DEPTH_MAX)
                return r;
        d = walk_open_stream(fd);
        for (const char *name; d && r == 0 && (name = walk_next_child(d));) {
                int child_fd = walk_open_child(d, name);

                if (child_fd < 0)
                        continue;
                r = walk_collect_pids(child_fd, depth + 1, list);
                close(child_fd);
        }
        return r;
}

static int walk_compare_pids(const void *a, const void *b)
{
        pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

        return (x > y) - (x < y);
}

int cgroup_read_pids(int fd, pid_t **ret, size_t *ret_n)
{
        PidList list = { 0 };
        size_t kept = 0;
        int r;

        r = walk_collect_pids(fd, 0, &list);
        if (r < 0) {
                free(list.pids);
                return r;
        }
        if (list.n > 0)
                qsort(list.pids, list.n, sizeof(*list.pids), walk_compare_pids);
        /* A process that moved during the walk is listed twice. */
        for (size_t i = 0; i < list.n; i++)
                if (kept == 0 || list.pids[kept - 1] != list.pids[i])
                        list.pids[kept++] = list.pids[i];
        *ret = list.pids;
        *ret_n = kept;
        return 0;
}
