/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/oci/place.h"
#include "policy/macro.h"
#include "policy/word.h"

/* A path has at most PATH_MAX bytes. Lines of v1 hierarchies may precede it in /proc/PID/cgroup. */
#define CGROUP_FILE_MAX 65536
/* 340 lines, the kernel's limit. */
#define UID_MAP_MAX 16384

void oci_place_clear(OciPlace *p)
{
        free(p->cgroup);
        free(p->unit);
        *p = (OciPlace){ 0 };
}

/* Reads a short file below root into a string. */
static int read_file(const char *root, const char *path, size_t bytes_max, char **ret)
{
        _cleanup_free_ char *full = NULL, *text = malloc(bytes_max + 1);
        size_t n = 0;
        ssize_t k;

        if (!text || asprintf(&full, "%s%s", root, path) < 0)
                return -ENOMEM;
        int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        while ((k = read(fd, text + n, bytes_max - n)) > 0)
                n += (size_t)k;
        int r = k < 0 ? -errno : n == bytes_max ? -EFBIG : 0;
        close(fd);
        if (r < 0)
                return r;
        text[n] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

static int read_cgroup(const char *root, pid_t pid, char **ret)
{
        _cleanup_free_ char *text = NULL;
        char path[32], *save = NULL;

        snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
        int r = read_file(root, path, CGROUP_FILE_MAX, &text);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                if (strncmp(line, "0::/", 4) == 0)
                        return string_copy(line + 3, ret);
        return -ENODATA;
}

/* In the initial namespace the mapping is the identity. */
static int in_user_namespace(const char *root, bool *ret)
{
        _cleanup_free_ char *text = NULL;
        unsigned long inside, outside, count;

        int r = read_file(root, "/proc/self/uid_map", UID_MAP_MAX, &text);
        if (r == -ENOENT) /* a kernel without user namespaces */
                *ret = false;
        else if (r >= 0)
                *ret = sscanf(text, "%lu %lu %lu", &inside, &outside, &count) != 3 || inside != 0 ||
                       outside != 0 || count != UINT32_MAX;
        return r == -ENOENT ? 0 : r;
}

static bool is_user_manager(const char *name)
{
        size_t n = strspn(name + strlen("user@"), "0123456789");

        return n > 0 && strcmp(name + strlen("user@") + n, ".service") == 0;
}

/* Looks at each path component, for the manager of a user and for the first unit that is no slice. */
static int judge_names(char *names, OciPlace *p)
{
        char *save = NULL;

        for (char *name = strtok_r(names, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
                const char *unit = word_unit_of_name(name);

                if (strcmp(name, "..") == 0)
                        return -EXDEV; /* outside of the hook's cgroup namespace */
                if (strncmp(name, "user@", strlen("user@")) == 0 && is_user_manager(name))
                        p->users = true;
                if (!p->unit && (word_ends_with(unit, ".scope") || word_ends_with(unit, ".service")) &&
                    string_copy(unit, &p->unit) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* The uid outside of the container that the container's root is mapped to. */
static uid_t place_read_root(const char *root, pid_t pid)
{
        _cleanup_free_ char *text = NULL;
        unsigned long inside, outside;
        char path[32];

        snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
        if (read_file(root, path, UID_MAP_MAX, &text) < 0 ||
            sscanf(text, "%lu %lu", &inside, &outside) != 2 || inside != 0)
                return 0;
        return (uid_t)outside;
}

/* Checks the owner of the cgroup and of all its ancestors, from the top. Below the unit of the container, a
 * cgroup may also belong to the root of the container's user namespace: a runtime delegates it to the
 * container. */
static int judge_owners(const char *root, char *names, uid_t its_root, OciPlace *p)
{
        _cleanup_free_ char *top = NULL;
        bool below_unit = false;
        char *save = NULL;
        struct stat st;

        if (asprintf(&top, "%s/sys/fs/cgroup", root) < 0)
                return -ENOMEM;
        int fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
        for (char *name = strtok_r(names, "/", &save); fd >= 0 && name; name = strtok_r(NULL, "/", &save)) {
                int below = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                int error = errno;

                close(fd);
                errno = error;
                fd = below;
                if (fd >= 0 && fstat(fd, &st) >= 0 && st.st_uid != 0 &&
                    !(below_unit && st.st_uid == its_root))
                        p->users = true;
                below_unit = below_unit || (p->unit && strcmp(word_unit_of_name(name), p->unit) == 0);
        }
        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

int oci_place_read(const char *root, pid_t pid, OciPlace *ret)
{
        _cleanup_(oci_place_clear) OciPlace p = { 0 };
        _cleanup_free_ char *names = NULL, *again = NULL;
        bool apart = false;

        int r = read_cgroup(root, pid, &p.cgroup);
        if (r >= 0)
                r = string_copy(p.cgroup, &names);
        if (r >= 0)
                r = string_copy(p.cgroup, &again);
        if (r >= 0)
                r = in_user_namespace(root, &apart);
        p.users = apart;
        if (r >= 0)
                r = judge_names(names, &p);
        if (r >= 0 && !p.users)
                r = judge_owners(root, again, place_read_root(root, pid), &p);
        if (r < 0)
                return r;
        *ret = p;
        p = (OciPlace){ 0 };
        return 0;
}

int oci_place_mems(const char *root, const char *cgroup, NodeSet *ret)
{
        _cleanup_free_ char *path = NULL, *text = NULL;

        if (asprintf(&path, "/sys/fs/cgroup%s/cpuset.mems.effective", cgroup) < 0)
                return -ENOMEM;
        int r = read_file(root, path, NODESET_STR_MAX, &text);
        if (r >= 0)
                r = nodeset_parse(text, ret);
        return r;
}
