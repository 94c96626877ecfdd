/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/loop/store.h"
#include "daemon/loop/store-escape.h"
#include "daemon/loop/store-vouch.h"

/* The files are reservation-ID, tenant-INODE, drained, pools and next-id, which holds the first id that is
 * not allocated yet. Ids are allocated in blocks, so that a grant costs one write; a restart skips the rest
 * of a block. */
#define STORE_PREFIX    "reservation-"
#define STORE_TENANT    "tenant-"
#define STORE_NEXT_ID   "next-id"
#define STORE_DRAINED   "drained"
#define STORE_POOLS     "pools"
#define STORE_BAD       ".bad"
#define STORE_TEMP      ".tmp"
#define STORE_ID_BLOCK  16
#define STORE_BYTES_MAX ((size_t)64 * 1024)
/* If next-id is lost, the used ids are unknown: continue far above the ids of the live reservations. */
#define STORE_ID_JUMP 65536

struct Store {
        int fd;
        uint32_t next_id;
        uint32_t id_end; /* ids below this one are allocated on disk */
};

static void store_fd_close(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static int store_make_directory(const char *path)
{
        char buf[PATH_MAX];

        if (strlen(path) >= sizeof(buf))
                return -ENAMETOOLONG;
        strcpy(buf, path);
        for (char *c = buf + 1;; c++) {
                if (*c && *c != '/')
                        continue;
                char was = *c;
                *c = '\0';
                if (mkdir(buf, 0755) < 0 && errno != EEXIST)
                        return -errno;
                *c = was;
                if (!was)
                        return 0;
        }
}

/* *ret is the text of the file, NUL-terminated. -EBADMSG: too long, or the text contains a NUL. */
static int store_read_text(int directory, const char *name, char **ret)
{
        _cleanup_(store_fd_close) int fd =
                openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        _cleanup_free_ char *buf = malloc(STORE_BYTES_MAX + 1);
        size_t n = 0;
        ssize_t k;

        if (fd < 0)
                return -errno;
        if (!buf)
                return -ENOMEM;
        while (n < STORE_BYTES_MAX && (k = read(fd, buf + n, STORE_BYTES_MAX - n)) != 0) {
                if (k < 0 && errno != EINTR)
                        return -errno;
                n += k > 0 ? (size_t)k : 0;
        }
        buf[n] = '\0';
        if (n == STORE_BYTES_MAX || strlen(buf) != n)
                return -EBADMSG;
        *ret = TAKE_PTR(buf);
        return 0;
}

static int store_write_all(int fd, const char *text)
{
        size_t left = strlen(text);

        while (left > 0) {
                ssize_t n = write(fd, text, left);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        text += n;
                        left -= (size_t)n;
                }
        }
        return 0;
}

static int store_replace_file(int directory, const char *name, const char *text)
{
        char temp[64];

        snprintf(temp, sizeof(temp), ".%s" STORE_TEMP, name);
        _cleanup_(store_fd_close) int fd =
                openat(directory, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        int r = store_write_all(fd, text);
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        if (r >= 0 && renameat(directory, temp, directory, name) < 0)
                r = -errno;
        if (r < 0) {
                (void)unlinkat(directory, temp, 0);
                return r;
        }
        return fsync(directory) < 0 ? -errno : 0;
}

int store_open(const char *directory, Store **ret)
{
        _cleanup_(store_free_p) Store *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->fd = -EBADF;
        int r = store_make_directory(directory);
        if (r < 0)
                return r;
        s->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->fd < 0)
                return -errno;
        s->next_id = s->id_end = 1;
        *ret = TAKE_PTR(s);
        return 0;
}

Store *store_free(Store *s)
{
        if (!s)
                return NULL;
        if (s->fd >= 0)
                close(s->fd);
        free(s);
        return NULL;
}

int store_next_id(Store *s, uint32_t *ret)
{
        if (s->next_id == s->id_end) {
                char text[16];

                /* 2^32 reservations in one boot are a thousand per second for seven weeks. */
                if (s->id_end > UINT32_MAX - STORE_ID_BLOCK)
                        return -ENOSPC;
                snprintf(text, sizeof(text), "%" PRIu32 "\n", s->id_end + STORE_ID_BLOCK);
                int r = store_replace_file(s->fd, STORE_NEXT_ID, text);
                if (r < 0)
                        return r;
                s->id_end += STORE_ID_BLOCK;
        }
        *ret = s->next_id++;
        return 0;
}

int store_write(Store *s, const Reservation *r, StorePhase phase)
{
        _cleanup_free_ char *text = NULL;
        char name[sizeof(STORE_PREFIX) + 10];

        int k = store_format(r, phase, &text);
        if (k < 0)
                return k;
        snprintf(name, sizeof(name), STORE_PREFIX "%" PRIu32, r->id);
        return store_replace_file(s->fd, name, text);
}

int store_remove(Store *s, uint32_t id)
{
        char name[sizeof(STORE_PREFIX) + 10];

        snprintf(name, sizeof(name), STORE_PREFIX "%" PRIu32, id);
        if (unlinkat(s->fd, name, 0) < 0)
                return errno == ENOENT ? 0 : -errno;
        return fsync(s->fd) < 0 ? -errno : 0;
}

int store_write_drained(Store *s, const NodeSet *nodes)
{
        char list[NODESET_STR_MAX], text[NODESET_STR_MAX + 1];

        snprintf(text, sizeof(text), "%s\n", nodeset_format(nodes, list));
        return store_replace_file(s->fd, STORE_DRAINED, text);
}

int store_write_pools(const Store *s, const char *text)
{
        return store_replace_file(s->fd, STORE_POOLS, text);
}

int store_read_pools(const Store *s, char **ret)
{
        int r = store_read_text(s->fd, STORE_POOLS, ret);

        if (r == -ENOENT)
                *ret = NULL;
        return r == -ENOENT ? 0 : r;
}

int store_read_drained(Store *s, NodeSet *ret)
{
        _cleanup_free_ char *text = NULL;

        int r = store_read_text(s->fd, STORE_DRAINED, &text);
        if (r == -ENOENT) {
                *ret = NODESET_EMPTY;
                return 0;
        }
        if (r < 0)
                return r;
        return nodeset_parse(text, ret) < 0 ? -EBADMSG : 0;
}

/* Returns the number after the prefix, or 0. This includes NAME.bad, whose id must not be reused either. */
static uint32_t store_name_id(const char *name, bool *ret_bad)
{
        char *end;

        if (strncmp(name, STORE_PREFIX, strlen(STORE_PREFIX)) != 0)
                return 0;
        name += strlen(STORE_PREFIX);
        if (*name < '1' || *name > '9')
                return 0;
        errno = 0;
        uint64_t v = strtoull(name, &end, 10);
        *ret_bad = strcmp(end, STORE_BAD) == 0;
        return errno || v > UINT32_MAX || (*end && !*ret_bad) ? 0 : (uint32_t)v;
}

static void store_set_aside(Store *s, const char *name)
{
        char bad[NAME_MAX + sizeof(STORE_BAD)];

        snprintf(bad, sizeof(bad), "%s" STORE_BAD, name);
        (void)renameat(s->fd, name, s->fd, bad);
}

/* True for the temporary files of store_replace_file(). */
static bool store_is_temp(const char *name)
{
        size_t n = strlen(name), k = strlen(STORE_TEMP);

        return name[0] == '.' && n > k && strcmp(name + n - k, STORE_TEMP) == 0;
}

#define TENANT_NAME_MAX (sizeof(STORE_TENANT) + 20)

static void store_tenant_name(uint64_t id, char name[static TENANT_NAME_MAX])
{
        snprintf(name, TENANT_NAME_MAX, STORE_TENANT "%" PRIu64, id);
}

int store_write_vouch(Store *s, const Vouch *v)
{
        _cleanup_free_ char *text = NULL;
        char name[TENANT_NAME_MAX];

        int r = store_format_vouch(v, &text);
        if (r < 0)
                return r;
        store_tenant_name(v->cgroup_id, name);
        return store_replace_file(s->fd, name, text);
}

int store_remove_vouch(Store *s, uint64_t cgroup_id)
{
        char name[TENANT_NAME_MAX];

        store_tenant_name(cgroup_id, name);
        return unlinkat(s->fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int store_load_vouch(Store *s, const char *name, uint64_t id, const StoreReader *reader,
                            void *userdata)
{
        _cleanup_(vouch_free_p) Vouch *v = NULL;
        _cleanup_free_ char *text = NULL;

        int r = store_read_text(s->fd, name, &text);
        if (r >= 0)
                r = store_parse_vouch(text, &v);
        if (r == -ENOMEM || r == -ENOENT)
                return r == -ENOENT ? 0 : r;
        if (r >= 0 && v->cgroup_id == id)
                return reader->vouch ? reader->vouch(TAKE_PTR(v), userdata) : 0;
        store_set_aside(s, name);
        reader->bad(name, "the labels and the user of its control group are damaged", userdata);
        return 0;
}

/* Returns the inode after the prefix; 0: not such a file. */
static uint64_t store_name_inode(const char *name)
{
        uint64_t id = 0;

        if (strncmp(name, STORE_TENANT, strlen(STORE_TENANT)) == 0)
                (void)store_parse_u64(name + strlen(STORE_TENANT), &id);
        return id;
}

static int store_load_one(Store *s, const char *name, uint32_t id, const StoreReader *reader, void *userdata)
{
        _cleanup_(reservation_free_p) Reservation *r = NULL;
        _cleanup_free_ char *text = NULL;
        const char *reason = "it cannot be read";
        StorePhase phase;

        int k = store_read_text(s->fd, name, &text);
        if (k >= 0)
                k = store_parse(text, &r, &phase, &reason);
        if (k == -ENOMEM || k == -ENOENT)
                return k == -ENOENT ? 0 : k;
        if (k >= 0 && r->id != id) {
                reason = "its name and its Id= differ";
                k = -EBADMSG;
        }
        if (k < 0) {
                store_set_aside(s, name);
                reader->bad(name, reason, userdata);
                return 0;
        }
        return reader->reservation(TAKE_PTR(r), phase, userdata);
}

/* New ids start after all allocated ids, and after every id that is found on disk. */
static int store_load_next_id(Store *s, uint32_t highest, const StoreReader *reader, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        uint32_t next = 0;
        char rest;

        int r = store_read_text(s->fd, STORE_NEXT_ID, &text);
        if (r == -ENOENT && highest == 0)
                next = 1;
        else if (r >= 0 && sscanf(text, "%" SCNu32 "%c", &next, &rest) == 2 && rest == '\n' &&
                 next > highest)
                ;
        else if (r == -ENOMEM)
                return r;
        else {
                next = highest > UINT32_MAX - STORE_ID_JUMP ? UINT32_MAX : highest + STORE_ID_JUMP;
                store_set_aside(s, STORE_NEXT_ID);
                reader->ids_lost(r == -ENOENT ? "it is missing"
                                 : r < 0      ? "it cannot be read"
                                              : "it does not hold a number above the ids that were used",
                                 next, userdata);
        }
        s->next_id = s->id_end = next;
        return 0;
}

static void store_close_dir(DIR **d)
{
        if (*d)
                closedir(*d);
}

int store_load(Store *s, const StoreReader *reader, void *userdata)
{
        _cleanup_(store_close_dir) DIR *d = NULL;
        uint32_t highest = 0;
        struct dirent *e;

        int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        d = fdopendir(fd);
        if (!d) {
                close(fd);
                return -ENOMEM;
        }
        while ((e = readdir(d))) {
                bool bad = false;
                if (store_is_temp(e->d_name))
                        (void)unlinkat(s->fd, e->d_name, 0);
                uint64_t inode = store_name_inode(e->d_name);
                int r = inode > 0 ? store_load_vouch(s, e->d_name, inode, reader, userdata) : 0;
                if (r < 0)
                        return r;
                uint32_t id = store_name_id(e->d_name, &bad);
                if (id > highest)
                        highest = id;
                if (id == 0 || bad)
                        continue;
                r = store_load_one(s, e->d_name, id, reader, userdata);
                if (r < 0)
                        return r;
        }
        return store_load_next_id(s, highest, reader, userdata);
}
