/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Copies the files that the readers of the machine and of the configuration use. Links of sysfs stay links,
 * because they show which device belongs where. Files that cannot be read are noted and left out. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/report.h"
#include "policy/cdm-names.h"

/* A report must be small enough for mail. A terabyte of memory has some 10,000 blocks with a few files
 * each. */
#define TREE_FILES_MAX      200000u
#define TREE_FILE_BYTES_MAX ((size_t)16 << 20)

static void tree_close(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static void tree_note(Report *r, const char *path, int error)
{
        if (error != -ENOENT)
                fprintf(r->missing, "%s: %s\n", path, strerror(-error));
}

/* True for files of the kernel, in which no names are replaced: they name no people, and a host name could
 * match the name of a node. */
static bool tree_is_kernels(const char *path)
{
        return strncmp(path, "sys/", 4) == 0 || strncmp(path, "proc/", 5) == 0;
}

/* Makes the parent folders of the path. */
static void tree_make_parents(Report *r, char *path)
{
        for (char *p = path; r->error == 0 && (p = strchr(p, '/')); p++) {
                *p = '\0';
                if (mkdirat(r->stage_fd, path, 0755) < 0 && errno != EEXIST)
                        r->error = -errno;
                *p = '/';
        }
}

/* Returns the path in the stage; NULL after an error. */
static char *tree_destination(Report *r, const char *path)
{
        char *to = NULL;
        size_t n;

        if (r->error < 0)
                return NULL;
        if (r->words && !tree_is_kernels(path)) {
                r->error = report_words_replace(r->words, path, strlen(path), &to, &n);
                if (r->error < 0)
                        return NULL;
        } else if (!(to = strdup(path)))
                r->error = -ENOMEM;
        if (to)
                tree_make_parents(r, to);
        return to;
}

static int tree_write_all(int fd, const char *text, size_t n)
{
        while (n > 0) {
                ssize_t k = write(fd, text, n);

                if (k < 0 && errno != EINTR)
                        return -errno;
                if (k > 0) {
                        text += k;
                        n -= (size_t)k;
                }
        }
        return 0;
}

void report_write(Report *r, const char *path, const char *text, size_t n)
{
        _cleanup_free_ char *to = tree_destination(r, path), *other = NULL;

        if (r->error == 0 && r->words && !tree_is_kernels(path)) {
                r->error = report_words_replace(r->words, text, n, &other, &n);
                text = other;
        }
        if (r->error < 0 || !to)
                return;
        _cleanup_(tree_close) int fd =
                openat(r->stage_fd, to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        r->error = fd < 0 ? -errno : tree_write_all(fd, text, n);
        r->n_files++;
}

int report_read(int fd, char **ret, size_t *ret_n)
{
        _cleanup_free_ char *text = NULL;
        size_t n = 0, size = 0;
        ssize_t k;

        do {
                if (n == size) {
                        char *more = realloc(text, size = size ? 2 * size : 4096);

                        if (!more)
                                return -ENOMEM;
                        text = more;
                }
                k = read(fd, text + n, size - n);
                if (k < 0 && errno != EINTR)
                        return -errno;
                n += k > 0 ? (size_t)k : 0;
        } while (k != 0 && n < TREE_FILE_BYTES_MAX);
        *ret = TAKE_PTR(text);
        *ret_n = n;
        return 0;
}

static void tree_copy_file(Report *r, const char *path)
{
        _cleanup_free_ char *text = NULL;
        struct stat st;
        size_t n;

        /* Non-blocking, because the file may be a FIFO without a writer. */
        _cleanup_(tree_close) int fd = openat(r->root_fd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        int error = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
        if (error == 0 && !S_ISREG(st.st_mode))
                return;
        if (error == 0)
                error = report_read(fd, &text, &n);
        if (error < 0)
                tree_note(r, path, error);
        else
                report_write(r, path, text, n);
}

static void tree_copy_link(Report *r, const char *path)
{
        char target[PATH_MAX];

        ssize_t n = readlinkat(r->root_fd, path, target, sizeof(target) - 1);
        if (n < 0) {
                tree_note(r, path, -errno);
                return;
        }
        target[n] = '\0';
        /* A configuration file may be a link to any file. A link to /dev/null is a mask. */
        if (!tree_is_kernels(path) && strcmp(target, "/dev/null") != 0) {
                tree_copy_file(r, path);
                return;
        }
        _cleanup_free_ char *to = tree_destination(r, path);
        if (to && r->error == 0 && symlinkat(target, r->stage_fd, to) < 0 && errno != EEXIST)
                r->error = -errno;
        r->n_files++;
}

/* Calls func for each name in the folder. */
static void tree_foreach(Report *r, const char *folder, int depth,
                         void (*func)(Report *r, const char *path, int depth))
{
        int fd = openat(r->root_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *e;

        if (!d) {
                tree_note(r, folder, -errno);
                tree_close(&fd);
                return;
        }
        while (r->error == 0 && r->n_files < TREE_FILES_MAX && (e = readdir(d))) {
                _cleanup_free_ char *path = NULL;

                /* Skip power management: it says nothing about memory, and some of its files are
                 * unreadable. */
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                    strcmp(e->d_name, "power") == 0)
                        continue;
                if (asprintf(&path, "%s/%s", folder, e->d_name) < 0) {
                        path = NULL;
                        r->error = -ENOMEM;
                        break;
                }
                func(r, path, depth);
        }
        closedir(d);
}

/* depth: the number of levels; 0: only a file or a link. */
static void tree_copy(Report *r, const char *path, int depth)
{
        struct stat st;

        if (fstatat(r->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                tree_note(r, path, -errno);
                return;
        }
        if (S_ISLNK(st.st_mode))
                tree_copy_link(r, path);
        else if (S_ISDIR(st.st_mode) && depth > 0)
                tree_foreach(r, path, depth - 1, tree_copy);
        else if (S_ISREG(st.st_mode) && (st.st_mode & 0444) != 0)
                tree_copy_file(r, path);
}

/* Resolves a link to a path below the root; false: the target is outside. */
static bool tree_follow(const Report *r, const char *path, char ret[static PATH_MAX])
{
        char target[PATH_MAX];
        const char *slash = strrchr(path, '/');
        ssize_t n = readlinkat(r->root_fd, path, target, sizeof(target) - 1);

        if (n <= 0 || target[0] == '/' || !slash)
                return false;
        target[n] = '\0';
        snprintf(ret, PATH_MAX, "%.*s", (int)(slash - path), path);
        for (const char *p = target; *p; p += strspn(p, "/")) {
                size_t k = strcspn(p, "/"), length = strlen(ret);

                if (k == 2 && p[0] == '.' && p[1] == '.') {
                        char *last = strrchr(ret, '/');

                        if (!last)
                                return false;
                        *last = '\0';
                } else if (length + k + 2 > PATH_MAX)
                        return false;
                else
                        snprintf(ret + length, PATH_MAX - length, "/%.*s", (int)k, p);
                p += k;
        }
        return true;
}

/* Copies a device of a bus: the link, and the files of the device itself. */
static void tree_copy_device(Report *r, const char *path, int depth)
{
        char device[PATH_MAX];

        tree_copy(r, path, depth);
        if (tree_follow(r, path, device))
                tree_copy(r, device, depth);
}

/* Copies only the files that say what and where a PCI device is. */
static void tree_copy_pci_device(Report *r, const char *path, int depth _unused_)
{
        static const char *const files[] = { "class", "device", "numa_node", "vendor" };
        char device[PATH_MAX];

        tree_copy(r, path, 0);
        for (size_t i = 0; i < ARRAY_SIZE(files) && tree_follow(r, path, device); i++) {
                size_t n = strlen(device);

                snprintf(device + n, sizeof(device) - n, "/%s", files[i]);
                tree_copy(r, device, 0);
        }
}

void report_copy_machine(Report *r)
{
        static const struct {
                const char *path;
                int depth;
        } trees[] = {
                { "sys/devices/system/node", 5 },
                { "sys/devices/system/memory", 2 },
                { "sys/devices/virtual/memory_tiering", 2 },
                { "sys/bus/dax/drivers", 3 },
                { "sys/kernel/mm/numa", 1 },
                { "sys/kernel/mm/hugepages", 2 },
                { "sys/fs/cgroup/cgroup.controllers", 0 },
                { "sys/fs/cgroup/cpuset.mems.effective", 0 },
                { "proc/driver/nvidia", 3 },
                { "proc/meminfo", 0 },
                { "proc/vmstat", 0 },
                { "proc/zoneinfo", 0 },
                { "proc/sys/kernel/numa_balancing", 0 },
                { "proc/sys/kernel/osrelease", 0 },
                { "etc/os-release", 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(trees); i++)
                tree_copy(r, trees[i].path, trees[i].depth);
        tree_foreach(r, "sys/bus/dax/devices", 1, tree_copy_device);
        tree_foreach(r, "sys/bus/cxl/devices", 1, tree_copy_device);
        tree_foreach(r, "sys/bus/pci/devices", 1, tree_copy_pci_device);
}

void report_copy_configuration(Report *r)
{
        static const char *const folders[] = {
                "etc/" CDM_CONFIG_DIR,
                "run/" CDM_CONFIG_DIR,
                "usr/lib/" CDM_CONFIG_DIR,
                CDM_STATE_DIR,
                CDM_LASTING_DIR,
                "run/systemd/system/service.d/10-cdmd-fence.conf",
                "run/systemd/system/scope.d/10-cdmd-fence.conf",
        };

        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                tree_copy(r, folders[i] + strspn(folders[i], "/"), 3);
}
