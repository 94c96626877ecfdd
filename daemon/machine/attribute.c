/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/machine/attribute.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/nodeset.h"

/* The longest attribute is the distance list of 1024 nodes (under 5 KiB). A longer file is not a sysfs
 * attribute and is refused. */
#define ATTRIBUTE_BYTES_MAX ((size_t)16 * 1024)

/* openat2(2) fails with EAGAIN if a rename or mount anywhere on the machine races with the lookup of
 * "..". */
#define TRIES_MAX 1000

static void attribute_close_p(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

int attribute_root_open(const char *root)
{
        int fd = open(root && root[0] ? root : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static int attribute_open_below(int root_fd, const char *path, int flags)
{
        struct open_how how = { .flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
        long fd = -1;

        for (int i = 0; i < TRIES_MAX; i++) {
                fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
                if (fd >= 0 || errno != EAGAIN)
                        break;
        }
        /* A kernel before 5.6, or a sandbox that does not allow the call. */
        if (fd < 0 && (errno == ENOSYS || errno == EPERM))
                fd = openat(root_fd, path, flags | O_CLOEXEC);
        return fd < 0 ? -errno : (int)fd;
}

/* Reads all of a small file. */
static int attribute_fd_read_text(int fd, char **ret)
{
        _cleanup_free_ char *text = malloc(ATTRIBUTE_BYTES_MAX + 1);
        struct stat st;
        size_t n = 0;

        if (!text)
                return -ENOMEM;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        for (;;) {
                ssize_t got = read(fd, text + n, ATTRIBUTE_BYTES_MAX + 1 - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                n += (size_t)got;
                if (n > ATTRIBUTE_BYTES_MAX)
                        return -EFBIG;
        }
        while (n > 0 && text[n - 1] == '\0')
                n--;
        text[n] = '\0';
        if (strlen(text) != n)
                return -EBADMSG;
        *ret = TAKE_PTR(text);
        return 0;
}

/* O_NONBLOCK: below --root a FIFO may be in place of the file. */
int attribute_open(int root_fd, const char *path)
{
        return attribute_open_below(root_fd, path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
}

int attribute_read(int root_fd, char **ret, const char *format, ...)
{
        _cleanup_(attribute_close_p) int fd = -EBADF;
        _cleanup_free_ char *path = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&path, format, ap);
        va_end(ap);
        if (r < 0) {
                path = NULL;
                return -ENOMEM;
        }
        fd = attribute_open(root_fd, path);
        return fd < 0 ? fd : attribute_fd_read_text(fd, ret);
}

const char *attribute_reason(int error)
{
        switch (error) {
        case -EBADMSG:
                return "holds binary data";
        case -EFBIG:
                return "is longer than any attribute of the kernel";
        case -EINVAL:
                return "is not a regular file";
        case -ENOENT:
        case -ENOTDIR:
                return "does not exist";
        case -ELOOP:
                return "is a link that leads in a circle";
        case -EACCES:
                return "may not be read by this user";
        default:
                return "cannot be read";
        }
}

int attribute_exists(int root_fd, const char *path)
{
        _cleanup_(attribute_close_p) int fd = attribute_open_below(root_fd, path, O_PATH);

        return fd < 0 ? fd : 0;
}

int attribute_read_link(int root_fd, char **ret, const char *format, ...)
{
        _cleanup_(attribute_close_p) int fd = -EBADF;
        _cleanup_free_ char *path = NULL;
        char target[PATH_MAX];
        va_list ap;
        ssize_t n;
        int r;

        va_start(ap, format);
        r = vasprintf(&path, format, ap);
        va_end(ap);
        if (r < 0) {
                path = NULL;
                return -ENOMEM;
        }
        fd = attribute_open_below(root_fd, path, O_PATH | O_NOFOLLOW);
        if (fd < 0)
                return fd;
        n = readlinkat(fd, "", target, sizeof(target));
        if (n < 0)
                return errno == ENOENT ? -EINVAL : -errno; /* ENOENT: not a link */
        if ((size_t)n == sizeof(target))
                return -ENAMETOOLONG;
        *ret = strndup(target, (size_t)n);
        return *ret ? 0 : -ENOMEM;
}

int attribute_number(const char *text, uint64_t *ret)
{
        unsigned long long v;
        char *end;

        text += strspn(text, " \t");
        if (!isdigit((unsigned char)*text))
                return -EINVAL;
        errno = 0;
        v = strtoull(text, &end, 10);
        if (errno)
                return -errno;
        if (end[strspn(end, " \t\r\n")] != '\0')
                return -EINVAL;
        *ret = v;
        return 0;
}

int attribute_name_number(const char *name, const char *prefix)
{
        size_t n = strlen(prefix);
        uint64_t v;

        if (strncmp(name, prefix, n) != 0 || strlen(name + n) > 4 || attribute_number(name + n, &v) < 0 ||
            isspace((unsigned char)name[n]) || v >= NODE_MAX)
                return -1;
        return (int)v;
}

static int attribute_is_visible(const struct dirent *e)
{
        return e->d_name[0] != '.';
}

int attribute_foreach(int root_fd, const char *path, attribute_entry_t fn, void *userdata)
{
        _cleanup_(attribute_close_p) int fd = attribute_open_below(root_fd, path, O_RDONLY | O_DIRECTORY);
        struct dirent **entries = NULL;
        int n, r = 0;

        if (fd < 0)
                return fd == -ENOMEM ? fd : 0;
        n = scandirat(fd, ".", &entries, attribute_is_visible, versionsort);
        if (n < 0)
                return errno == ENOMEM ? -ENOMEM : 0;
        for (int i = 0; i < n; i++) {
                if (r >= 0)
                        r = fn(root_fd, entries[i]->d_name, userdata);
                free(entries[i]);
        }
        free(entries);
        return r < 0 ? r : 0;
}
