/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/fence/foreign-mark.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "daemon/kernel/cgroup.h"

/* The name of a file is the inode. The first line is WAS;SET, the second line is the path. A file is written
 * to a temporary name and renamed. fsync is not needed, because /run is in memory. */
#define NAME_MAX_BYTES sizeof("ffffffffffffffff.tmp")
#define TEMP_SUFFIX    ".tmp"
#define TEXT_MAX       (2 * NODESET_STR_MAX + 4096 + 4)
#define SURPLUS_MIN    64 /* this many marks without a cgroup are always tolerated */

typedef struct Mark {
        uint64_t id;
        NodeSet was, set;
        UT_hash_handle hh;
        char path[];
} Mark;

struct Marks {
        int fd;
        Mark *by_id;
        size_t n_after_sweep;
};

static void mark_close(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static void mark_closedir(DIR **d)
{
        if (*d)
                closedir(*d);
}

static const char *mark_name(uint64_t id, char buf[static NAME_MAX_BYTES])
{
        snprintf(buf, NAME_MAX_BYTES, "%016" PRIx64, id);
        return buf;
}

static Mark *mark_find(const Marks *m, uint64_t id)
{
        Mark *x;

        HASH_FIND(hh, m->by_id, &id, sizeof(id), x);
        return x;
}

static void mark_forget(Marks *m, Mark *x)
{
        HASH_DELETE(hh, m->by_id, x);
        free(x);
}

/* Replaces an older mark of this inode. */
static int mark_remember(Marks *m, uint64_t id, const char *path, const NodeSet *was, const NodeSet *set)
{
        size_t n = strlen(path) + 1;
        Mark *x = calloc(1, sizeof(*x) + n), *old = mark_find(m, id);

        if (!x)
                return -ENOMEM;
        x->id = id;
        x->was = *was;
        x->set = *set;
        memcpy(x->path, path, n);
        if (old)
                mark_forget(m, old);
        HASH_ADD(hh, m->by_id, id, sizeof(x->id), x);
        return 0;
}

static bool mark_has_cgroup(const Mark *x)
{
        uint64_t id = 0;
        int fd = cgroup_open(x->path, &id);

        if (fd < 0)
                return fd != -ENOENT;
        close(fd);
        return id == x->id;
}

static void marks_sweep(Marks *m)
{
        Mark *x, *next;

        HASH_ITER (hh, m->by_id, x, next)
                if (!mark_has_cgroup(x))
                        marks_remove(m, x->id);
        m->n_after_sweep = HASH_COUNT(m->by_id);
}

/* --- files -------------------------------------------------------------------------------------------- */

static int mark_write(const Marks *m, uint64_t id, const char *text)
{
        char name[NAME_MAX_BYTES], temp[NAME_MAX_BYTES + sizeof(TEMP_SUFFIX)];
        size_t n = strlen(text);
        int r = 0;

        snprintf(temp, sizeof(temp), "%s" TEMP_SUFFIX, mark_name(id, name));
        _cleanup_(mark_close) int fd =
                openat(m->fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        errno = EIO;
        if (write(fd, text, n) != (ssize_t)n || renameat(m->fd, temp, m->fd, name) < 0)
                r = -errno;
        if (r < 0)
                (void)unlinkat(m->fd, temp, 0);
        return r;
}

static int mark_read(Marks *m, const char *name)
{
        char text[TEXT_MAX + 1], *end;
        NodeSet was, set;
        ssize_t n;
        uint64_t id = strtoull(name, &end, 16);

        if (*end || end != name + 16)
                return -EBADMSG;
        _cleanup_(mark_close) int fd = openat(m->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        n = read(fd, text, TEXT_MAX);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        char *semicolon = strchr(text, ';'), *line = strchr(text, '\n');
        char *last = line ? strchr(line + 1, '\n') : NULL;
        if (!semicolon || !last || semicolon > line)
                return -EBADMSG;
        *semicolon = *line = *last = '\0';
        if (nodeset_parse(text, &was) < 0 || nodeset_parse(semicolon + 1, &set) < 0)
                return -EBADMSG;
        return mark_remember(m, id, line + 1, &was, &set);
}

static int marks_read(Marks *m)
{
        int copy = openat(m->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(mark_closedir) DIR *d = copy >= 0 ? fdopendir(copy) : NULL;

        if (!d) {
                int r = -errno;
                mark_close(&copy);
                return r;
        }
        for (struct dirent *e; (e = readdir(d));) {
                if (e->d_name[0] == '.')
                        continue;
                int r = mark_read(m, e->d_name);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        (void)unlinkat(m->fd, e->d_name, 0);
        }
        return 0;
}

int marks_new(const char *directory, Marks **ret)
{
        _cleanup_(marks_free_p) Marks *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        m->fd = -EBADF;
        if (mkdir(directory, 0700) < 0 && errno != EEXIST)
                return -errno;
        m->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (m->fd < 0)
                return -errno;
        int r = marks_read(m);
        if (r < 0)
                return r;
        marks_sweep(m);
        *ret = TAKE_PTR(m);
        return 0;
}

Marks *marks_free(Marks *m)
{
        Mark *x, *next;

        if (!m)
                return NULL;
        HASH_ITER (hh, m->by_id, x, next)
                mark_forget(m, x);
        mark_close(&m->fd);
        free(m);
        return NULL;
}

bool marks_get(const Marks *m, uint64_t id, const char *path, NodeSet *ret_was, NodeSet *ret_set)
{
        const Mark *x = mark_find(m, id);

        if (!x || strcmp(x->path, path) != 0)
                return false;
        *ret_was = x->was;
        *ret_set = x->set;
        return true;
}

int marks_put(Marks *m, uint64_t id, const char *path, const NodeSet *was, const NodeSet *set)
{
        char a[NODESET_STR_MAX], b[NODESET_STR_MAX];
        _cleanup_free_ char *text = NULL;
        NodeSet had_was, had_set;

        if (marks_get(m, id, path, &had_was, &had_set) && nodeset_equal(&had_was, was) &&
            nodeset_equal(&had_set, set))
                return 0;
        if (asprintf(&text, "%s;%s\n%s\n", nodeset_format(was, a), nodeset_format(set, b), path) < 0) {
                text = NULL;
                return -ENOMEM;
        }
        if (strlen(text) > TEXT_MAX)
                return -ENAMETOOLONG;
        if (HASH_COUNT(m->by_id) >= 2 * m->n_after_sweep + SURPLUS_MIN)
                marks_sweep(m);
        int r = mark_write(m, id, text);
        return r < 0 ? r : mark_remember(m, id, path, was, set);
}

void marks_remove(Marks *m, uint64_t id)
{
        char name[NAME_MAX_BYTES];
        Mark *x = mark_find(m, id);

        if (!x)
                return;
        (void)unlinkat(m->fd, mark_name(id, name), 0);
        mark_forget(m, x);
}
