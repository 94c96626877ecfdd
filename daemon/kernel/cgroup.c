/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/cgroup.h"

/* cgroup_init() is a function of libcgroup; cdmd's is cgroup_setup(). */
#include <libcgroup.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Reads use file descriptors of directories, so that a new cgroup with the same name is not read by mistake.
 * Writes of cpuset.mems use libcgroup, which takes paths: the caller compares inodes before and after.
 *
 * Below a root directory given for tests, sys/fs/cgroup is a tree of plain files. There the kernel is
 * imitated in one point: a write of cpuset.mems is copied to cpuset.mems.effective. */

#define CGROUP_MOUNT   "/sys/fs/cgroup"
#define ATTRIBUTE_MAX  (16U << 20) /* bytes: cgroup.procs of a million processes still fits */
#define ADVICE_UNIFIED "boot with systemd.unified_cgroup_hierarchy=1 on the kernel command line"

/* Set once by cgroup_setup(), before there are other threads. */
static int hierarchy_fd = -EBADF;
static bool hierarchy_is_plain;

static void cgroup_close_p(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}
#define _cleanup_close_ _cleanup_(cgroup_close_p)

_printf_(2, 3) static void set_error(char **ret_error, const char *format, ...)
{
        char *text = NULL;
        va_list ap;

        if (!ret_error)
                return;
        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        *ret_error = text;
}

/* Doubles the buffer as needed, because files of cgroupfs report no size. */
int cgroup_read_file(int fd, const char *name, char **ret)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int file = -EBADF;
        size_t size = 4096, length = 0;

        file = openat(fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
        if (file < 0)
                return errno == ENODEV || errno == ENOTDIR ? -ENOENT : -errno;
        text = malloc(size);
        if (!text)
                return -ENOMEM;
        for (;;) {
                ssize_t n = read(file, text + length, size - 1 - length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) /* ENODEV: the cgroup was removed while it was open */
                        return errno == ENODEV ? -ENOENT : -errno;
                if (n == 0)
                        break;
                length += (size_t)n;
                if (length < size - 1)
                        continue;
                if (size >= ATTRIBUTE_MAX)
                        return -E2BIG;
                size *= 2;
                char *larger = realloc(text, size);
                if (!larger)
                        return -ENOMEM;
                text = larger;
        }
        text[length] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

static bool cgroup_has_word(const char *list, const char *word)
{
        size_t n = strlen(word);

        for (const char *p = list; (p = strstr(p, word)); p += n)
                if ((p == list || p[-1] == ' ') && strchr(" \n", p[n]))
                        return true;
        return false;
}

static int cgroup_check_controllers(int fd, const char *where, char **ret_error)
{
        static const char *const needed[] = { "cpuset", "memory" };
        _cleanup_free_ char *controllers = NULL;
        int r;

        r = cgroup_read_file(fd, "cgroup.controllers", &controllers);
        if (r == -ENOENT) {
                set_error(ret_error, "%s is not a cgroup v2 hierarchy: " ADVICE_UNIFIED, where);
                return -EOPNOTSUPP;
        }
        if (r < 0) {
                set_error(ret_error, "cannot read %s/cgroup.controllers: %s", where, strerror(-r));
                return r;
        }
        for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
                if (cgroup_has_word(controllers, needed[i]))
                        continue;
                set_error(ret_error,
                          "the %s controller is not available in %s: the kernel was built without it, it is "
                          "disabled with cgroup_disable=, or a cgroup v1 hierarchy has taken it",
                          needed[i], where);
                return -ENOENT;
        }
        return 0;
}

/* Checks the file system on the real machine: only cgroup v2 is accepted. */
static int cgroup_check_mount(int fd, char **ret_error)
{
        struct statfs fs;

        if (fstatfs(fd, &fs) < 0) {
                int r = -errno;

                set_error(ret_error, "cannot tell what is mounted on " CGROUP_MOUNT ": %s", strerror(-r));
                return r;
        }
        if (fs.f_type == CGROUP2_SUPER_MAGIC)
                return 0;
        set_error(ret_error, "this system uses cgroup v1 (or a hybrid of v1 and v2) on " CGROUP_MOUNT
                             ", where memory nodes cannot be denied to other programs: " ADVICE_UNIFIED);
        return -EOPNOTSUPP;
}

static int cgroup_start_libcgroup(char **ret_error)
{
        int r = cgroup_init();

        if (r == 0)
                return 0;
        set_error(ret_error, "libcgroup cannot use the cgroup hierarchy: %s",
                  r == ECGOTHER ? strerror(cgroup_get_last_errno()) : cgroup_strerror(r));
        return -EIO;
}

int cgroup_setup(const char *root, char **ret_error)
{
        _cleanup_free_ char *where = NULL;
        _cleanup_close_ int fd = -EBADF;
        bool plain = root[0] != '\0';
        int r;

        if (asprintf(&where, "%s" CGROUP_MOUNT, root) < 0)
                return -ENOMEM;
        fd = open(where, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                set_error(ret_error, "there is no cgroup hierarchy in %s: %s", where, strerror(errno));
                return -EOPNOTSUPP;
        }
        r = plain ? 0 : cgroup_check_mount(fd, ret_error);
        if (r >= 0)
                r = cgroup_check_controllers(fd, where, ret_error);
        if (r >= 0 && !plain)
                r = cgroup_start_libcgroup(ret_error);
        if (r < 0)
                return r;
        if (hierarchy_fd >= 0)
                close(hierarchy_fd);
        hierarchy_fd = TAKE_FD(fd);
        hierarchy_is_plain = plain;
        return 0;
}

bool cgroup_path_is_normal(const char *path)
{
        if (path[0] != '/')
                return false;
        if (path[1] == '\0')
                return true;
        for (const char *p = path; *p;) {
                size_t n = strcspn(++p, "/");

                if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
                        return false;
                p += n;
        }
        return true;
}

int cgroup_open(const char *path, uint64_t *ret_id)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (hierarchy_fd < 0)
                return -ENODEV;
        if (!cgroup_path_is_normal(path))
                return -EINVAL;
        fd = openat(hierarchy_fd, path[1] ? path + 1 : ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOTDIR || errno == ENODEV || errno == ELOOP ? -ENOENT : -errno;
        if (ret_id) {
                if (fstat(fd, &st) < 0)
                        return -errno;
                *ret_id = st.st_ino;
        }
        return TAKE_FD(fd);
}

int cgroup_read_file_at(const char *path, const char *name, char **ret)
{
        _cleanup_free_ char *file = NULL;

        if (hierarchy_fd < 0)
                return -ENODEV;
        if (!cgroup_path_is_normal(path))
                return -EINVAL;
        if (asprintf(&file, "%s/%s", path[1] ? path + 1 : ".", name) < 0)
                return -ENOMEM;
        return cgroup_read_file(hierarchy_fd, file, ret);
}

bool cgroup_is_made_by_root(const char *path)
{
        _cleanup_free_ char *above = strdup(path);
        bool is_roots = above;

        while (is_roots && above[1]) {
                struct stat st;
                char *end = strrchr(above, '/');

                end[end == above ? 1 : 0] = '\0'; /* the last one is "/" */
                int fd = cgroup_open(above, NULL);
                is_roots = fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == 0 &&
                           (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
                if (fd >= 0)
                        close(fd);
        }
        return is_roots;
}

static int cgroup_read_nodes(int fd, const char *name, NodeSet *ret)
{
        _cleanup_free_ char *text = NULL;
        int r = cgroup_read_file(fd, name, &text);

        return r < 0 ? r : nodeset_parse(text, ret);
}

uid_t cgroup_mems_owner(int fd)
{
        struct stat st;

        return fstatat(fd, "cpuset.mems", &st, 0) < 0 ? 0 : st.st_uid;
}

int cgroup_read_mems(int fd, NodeSet *ret)
{
        return cgroup_read_nodes(fd, "cpuset.mems", ret);
}

int cgroup_read_effective(int fd, NodeSet *ret)
{
        return cgroup_read_nodes(fd, "cpuset.mems.effective", ret);
}

static int cgroup_write_file(int fd, const char *name, const char *text)
{
        _cleanup_close_ int file = openat(fd, name, O_WRONLY | O_CLOEXEC | O_NOCTTY);

        if (file < 0)
                return errno == ENODEV ? -ENOENT : -errno;
        if (write(file, text, strlen(text)) < 0)
                return errno == ENODEV ? -ENOENT : -errno;
        return 0;
}

/* Replaces the file atomically, as the kernel would: no reader finds it empty. */
static int cgroup_replace_file(int fd, const char *name, const char *text)
{
        static const char temp[] = ".temp";
        _cleanup_close_ int file = -1;

        if (faccessat(fd, name, F_OK, 0) < 0)
                return -errno;
        file = openat(fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (file < 0 || write(file, text, strlen(text)) < 0 || renameat(fd, temp, fd, name) < 0)
                return -errno;
        return 0;
}

static int cgroup_write_mems_plain(const char *path, const char *list)
{
        _cleanup_close_ int fd = cgroup_open(path, NULL);
        int r;

        if (fd < 0)
                return fd;
        r = cgroup_replace_file(fd, "cpuset.mems", list);
        return r < 0 ? r : cgroup_replace_file(fd, "cpuset.mems.effective", list);
}

/* libcgroup reports every failed open as ECGROUPVALUENOTEXIST; the most likely reason is that the cgroup is
 * gone. A failed write is ECGOTHER, and cgroup_get_last_errno() returns the errno. */
static int cgroup_error_from_libcgroup(int error)
{
        int saved = cgroup_get_last_errno();

        switch (error) {
        case 0:
                return 0;
        case ECGOTHER:
                return saved == ENODEV ? -ENOENT : saved > 0 ? -saved : -EIO;
        case ECGROUPVALUENOTEXIST:
        case ECGROUPNOTEXIST:
        case ECGROUPNOTCREATED:
        case ECGROUPSUBSYSNOTMOUNTED:
                return -ENOENT;
        case ECGROUPNOTALLOWED:
        case ECGROUPNOTOWNER:
                return -EPERM;
        default:
                return -EIO;
        }
}

static int cgroup_write_mems_libcgroup(const char *path, const char *list)
{
        struct cgroup_controller *controller;
        struct cgroup *group;
        int r;

        group = cgroup_new_cgroup(path + 1);
        if (!group)
                return -ENOMEM;
        controller = cgroup_add_controller(group, "cpuset");
        r = controller ? cgroup_set_value_string(controller, "cpuset.mems", list) : ECGFAIL;
        if (r == 0)
                r = cgroup_modify_cgroup(group);
        r = cgroup_error_from_libcgroup(r);
        cgroup_free(&group);
        return r;
}

int cgroup_write_mems(const char *path, const NodeSet *nodes)
{
        char list[NODESET_STR_MAX];

        if (hierarchy_fd < 0)
                return -ENODEV;
        /* An empty set means the parent's set, which no caller wants. The root has no such file. */
        if (!cgroup_path_is_normal(path) || !path[1] || nodeset_is_empty(nodes))
                return -EINVAL;
        nodeset_format(nodes, list);
        return hierarchy_is_plain ? cgroup_write_mems_plain(path, list)
                                  : cgroup_write_mems_libcgroup(path, list);
}

/* libcgroup cannot write an empty value. */
int cgroup_clear_mems(const char *path)
{
        _cleanup_close_ int fd = cgroup_open(path, NULL);

        if (fd < 0)
                return fd;
        return hierarchy_is_plain ? cgroup_replace_file(fd, "cpuset.mems", "\n")
                                  : cgroup_write_file(fd, "cpuset.mems", "\n");
}

bool cgroup_enables_cpuset(int fd)
{
        _cleanup_free_ char *enabled = NULL;

        return cgroup_read_file(fd, "cgroup.subtree_control", &enabled) >= 0 &&
               cgroup_has_word(enabled, "cpuset");
}

int cgroup_enable_cpuset(int fd)
{
        return cgroup_enables_cpuset(fd) ? 0 : cgroup_write_file(fd, "cgroup.subtree_control", "+cpuset");
}

int cgroup_enable_cpuset_above(const char *path)
{
        _cleanup_free_ char *at = strdup(path);
        int r = at ? 0 : -ENOMEM;

        for (char *p = at; r == 0 && (p = strchr(p, '/')); p++) {
                int fd;

                *p = '\0';
                fd = cgroup_open(*at ? at : "/", NULL);
                r = fd < 0 ? fd : cgroup_enable_cpuset(fd);
                if (fd >= 0)
                        close(fd);
                *p = '/';
        }
        return r;
}

int cgroup_read_populated(int fd, bool *ret)
{
        _cleanup_free_ char *text = NULL;

        int r = cgroup_read_file(fd, "cgroup.events", &text);
        if (r < 0)
                return r;
        *ret = strncmp(text, "populated 1", 11) == 0 || strstr(text, "\npopulated 1");
        return 0;
}

bool cgroup_is_populated(int fd)
{
        bool is_populated = false;

        (void)cgroup_read_populated(fd, &is_populated);
        return is_populated;
}

int cgroup_reclaim(int fd, uint64_t bytes)
{
        static atomic_bool no_swappiness; /* kernels before 6.11 */
        char text[64];
        int r;

        if (!atomic_load(&no_swappiness)) {
                snprintf(text, sizeof(text), "%" PRIu64 " swappiness=0", bytes);
                r = cgroup_write_file(fd, "memory.reclaim", text);
                if (r != -EINVAL)
                        return r;
        }
        snprintf(text, sizeof(text), "%" PRIu64, bytes);
        r = cgroup_write_file(fd, "memory.reclaim", text);
        if (r >= 0 || r == -EAGAIN)
                atomic_store(&no_swappiness, true);
        return r;
}
