/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/owner.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <uthash.h>

#include "daemon/kernel/cgroup.h"
#include "policy/macro.h"
#include "policy/word.h"

/* A small bound is enough: only root can create a cgroup in a slice, and one entry covers all its
 * descendants. */
#define ENTRIES_MAX 1024
/* When the table is full, this many entries are checked, and removed if their cgroup is gone. */
#define SWEEP_PORTION 16
#define ROOT_SLICE    "-.slice"

typedef struct OwnerEntry {
        UT_hash_handle hh;
        uint64_t id; /* inode */
        char path[];
} OwnerEntry;

static pthread_mutex_t owner_lock = PTHREAD_MUTEX_INITIALIZER;
static OwnerEntry *owner_entries;

static OwnerEntry *owner_entry_find(const char *path, size_t n)
{
        OwnerEntry *e;

        HASH_FIND(hh, owner_entries, path, n, e);
        return e;
}

static void owner_entry_free(OwnerEntry *e)
{
        HASH_DEL(owner_entries, e);
        free(e);
}

/* systemd sets trusted.invocation_id as well, but reading that needs CAP_SYS_ADMIN. */
bool owner_is_doubtful(int fd)
{
        struct stat st;

        return fstat(fd, &st) < 0 || cgroup_stat_is_writable(&st) ||
               fgetxattr(fd, "user.invocation_id", NULL, 0) < 0;
}

static int owner_inode(const char *path, uint64_t *ret)
{
        int fd = cgroup_open(path, ret);

        if (fd < 0)
                return fd;
        close(fd);
        return 0;
}

bool owner_is_foreign(const char *path, size_t n)
{
        _cleanup_free_ char *copy = NULL;
        uint64_t id = 0, now;

        pthread_mutex_lock(&owner_lock);
        const OwnerEntry *e = owner_entry_find(path, n);
        if (e) {
                id = e->id;
                copy = strdup(e->path);
        }
        pthread_mutex_unlock(&owner_lock);
        int fd = copy ? cgroup_open(copy, &now) : -EBADF;
        if (fd < 0)
                return false;
        bool is_same = now == id && owner_is_doubtful(fd);
        close(fd);
        return is_same;
}

static bool owner_is_named(const char *name, size_t n, const char *unit)
{
        const char *own = word_unit_of_name(name);

        n -= (size_t)(own - name);
        return strlen(unit) == n && memcmp(own, unit, n) == 0;
}

/* Returns the length of the part of path that is the unit's cgroup; -1: none. The first matching component
 * is the right one, because a slice never contains a slice of the same name. */
static ssize_t owner_prefix(const char *path, const char *unit)
{
        if (!unit || strcmp(unit, ROOT_SLICE) == 0)
                return 0;
        for (const char *p = path; *p == '/';) {
                const char *name = p + 1;
                size_t n = strcspn(name, "/");

                p = name + n;
                if (owner_is_named(name, n, unit))
                        return p - path;
        }
        return -1;
}

static bool owner_is_slice(const char *unit)
{
        const char *dot = unit ? strrchr(unit, '.') : NULL;

        return !unit || (dot && strcmp(dot, ".slice") == 0);
}

/* Removes the entries of the first n bytes of path and of its ancestors: systemd owns these cgroups. */
static void owner_forget_way(const char *path, size_t n)
{
        for (size_t i = 1; i <= n; i++) {
                OwnerEntry *e = path[i] == '/' || path[i] == '\0' ? owner_entry_find(path, i) : NULL;

                if (e)
                        owner_entry_free(e);
        }
}

/* Checks the next few entries, and drops those whose cgroup is gone without an event. The other ones are
 * appended at the end of the table. */
static void owner_sweep(void)
{
        unsigned n = HASH_COUNT(owner_entries);
        uint64_t id;

        for (unsigned i = 0; i < SWEEP_PORTION && i < n; i++) {
                OwnerEntry *e = owner_entries;

                HASH_DEL(owner_entries, e);
                if (owner_inode(e->path, &id) == 0 && id == e->id)
                        HASH_ADD(hh, owner_entries, path, strlen(e->path), e);
                else
                        free(e);
        }
}

/* Adds an entry for the first n bytes of path. If path is still the cgroup with inode id, its ancestors are
 * unchanged too. */
static int owner_note(const char *path, size_t n, uint64_t id)
{
        OwnerEntry *old = owner_entry_find(path, n), *e;
        uint64_t now;

        if (!old && HASH_COUNT(owner_entries) >= ENTRIES_MAX)
                owner_sweep();
        if (!old && HASH_COUNT(owner_entries) >= ENTRIES_MAX)
                return -ENOSPC;
        e = calloc(1, sizeof(*e) + n + 1);
        if (!e)
                return -ENOMEM;
        memcpy(e->path, path, n);
        int fd = cgroup_open(e->path, &e->id), r = fd < 0 ? fd : owner_is_doubtful(fd) ? 0 : -EEXIST;
        if (fd >= 0)
                close(fd);
        if (r == 0)
                r = owner_inode(path, &now);
        if (r == 0 && now != id)
                r = -ESTALE;
        if (old)
                owner_entry_free(old);
        if (r < 0) {
                free(e);
                return r;
        }
        HASH_ADD(hh, owner_entries, path, n, e);
        return 0;
}

int owner_learn(const char *path, uint64_t id, const char *unit)
{
        ssize_t n = owner_prefix(path, unit);
        int r = 0;

        if (n < 0)
                return 0;
        pthread_mutex_lock(&owner_lock);
        owner_forget_way(path, (size_t)n);
        if (owner_is_slice(unit) && path[n] == '/' && path[n + 1] != '\0') {
                size_t top = (size_t)n + 1 + strcspn(path + n + 1, "/");

                r = owner_note(path, top, id);
                r = r == 0 ? (int)top : r == -EEXIST ? 0 : r;
        }
        pthread_mutex_unlock(&owner_lock);
        return r;
}

void owner_forget(const char *path)
{
        pthread_mutex_lock(&owner_lock);
        OwnerEntry *e = owner_entry_find(path, strlen(path));
        if (e)
                owner_entry_free(e);
        pthread_mutex_unlock(&owner_lock);
}

char *owner_find(const char *unit)
{
        char *found = NULL;
        OwnerEntry *e, *next;

        pthread_mutex_lock(&owner_lock);
        HASH_ITER (hh, owner_entries, e, next) {
                const char *name = strrchr(e->path, '/') + 1;

                if (owner_is_named(name, strlen(name), unit)) {
                        found = strdup(e->path);
                        break;
                }
        }
        pthread_mutex_unlock(&owner_lock);
        return found;
}

size_t owner_count(void)
{
        pthread_mutex_lock(&owner_lock);
        size_t n = HASH_COUNT(owner_entries);
        pthread_mutex_unlock(&owner_lock);
        return n;
}

/* --- names
 * ------------------------------------------------------------------------------------------------ */

static bool owner_name_ends(const char *s, size_t n, const char *suffix)
{
        size_t m = strlen(suffix);

        return n > m && memcmp(s + n - m, suffix, m) == 0;
}

bool owner_name_is_unit(const char *name, size_t n)
{
        static const char *const suffixes[] = { ".service", ".scope", ".socket", ".mount", ".swap" };

        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
                if (owner_name_ends(name, n, suffixes[i]))
                        return true;
        return false;
}

bool owner_name_is_slice(const char *name, size_t n)
{
        return owner_name_ends(name, n, ".slice");
}

size_t owner_top(const char *path)
{
        const char *p = path;

        while (*p == '/') {
                const char *name = p + 1;
                size_t n = strcspn(name, "/");

                p = name + n;
                if (n == 0)
                        return 0;
                if (owner_is_foreign(path, (size_t)(p - path)))
                        return (size_t)(p - path);
                if (owner_name_is_unit(name, n))
                        return 0;
                if (!owner_name_is_slice(name, n))
                        return (size_t)(p - path);
        }
        return 0;
}

size_t owner_unit_length(const char *path)
{
        for (const char *p = path; *p == '/';) {
                const char *name = p + 1;
                size_t n = strcspn(name, "/");

                p = name + n;
                if (owner_is_foreign(path, (size_t)(p - path)))
                        return 0;
                if (!owner_name_is_slice(name, n))
                        return owner_name_is_unit(name, n) ? (size_t)(p - path) : 0;
        }
        return 0;
}
