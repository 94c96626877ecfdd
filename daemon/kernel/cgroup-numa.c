/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bytes of a cgroup per node and kind, from memory.numa_stat and the hugetlb controller. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/kernel/cgroup.h"

uint64_t numa_bytes_sum(const NumaBytes *b)
{
        return b->anon + b->file + b->shmem + b->other;
}

uint64_t numa_bytes_all(const NumaBytes *b)
{
        return numa_bytes_sum(b) + b->hugetlb;
}

uint64_t numa_bytes_movable(const NumaBytes *b)
{
        return b->anon + b->file + b->shmem;
}

#define NUMA_KEY(key, field)                                                                                \
        {                                                                                                   \
                key, sizeof(key) - 1, offsetof(NumaBytes, field)                                            \
        }

/* The keys of memory.numa_stat that are needed, and the field of NumaBytes for each of them. "hugetlb" is there
 * with the cgroup2 mount option memory_hugetlb_accounting. */
static const struct {
        const char *key;
        size_t length;
        size_t field;
} numa_keys[] = {
        NUMA_KEY("anon", anon),
        NUMA_KEY("file", file),
        NUMA_KEY("shmem", shmem),
        NUMA_KEY("hugetlb", hugetlb),
        NUMA_KEY("anon_thp", thp),
        NUMA_KEY("file_thp", thp),
        NUMA_KEY("shmem_thp", thp),
        NUMA_KEY("kernel_stack", other),
        NUMA_KEY("pagetables", other),
        NUMA_KEY("sec_pagetables", other),
        NUMA_KEY("slab_reclaimable", other),
        NUMA_KEY("slab_unreclaimable", other),
};

static uint64_t *numa_field(NumaBytes *b, size_t field)
{
        return (uint64_t *)((char *)b + field);
}

static bool numa_find_field(const char *key, size_t n, size_t *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(numa_keys); i++)
                if (numa_keys[i].length == n && memcmp(numa_keys[i].key, key, n) == 0) {
                        *ret = numa_keys[i].field;
                        return true;
                }
        return false;
}

/* Parses "12=" and returns what follows; NULL: anything else. */
static const char *numa_parse_node(const char *word, int *ret_node)
{
        const char *p = word;
        int node = 0;

        for (; *p >= '0' && *p <= '9' && node < NODE_MAX; p++)
                node = 10 * node + (*p - '0');
        if (p == word || *p != '=' || node >= NODE_MAX)
                return NULL;
        *ret_node = node;
        return p + 1;
}

/* Parses "4096", which ends with a space or at the end of a line. Returns false for anything else. */
static bool numa_parse_bytes(const char *word, uint64_t *ret_bytes)
{
        char *end;

        if (word[0] < '0' || word[0] > '9')
                return false;
        *ret_bytes = strtoull(word, &end, 10);
        return !*end || *end == ' ' || *end == '\n';
}

static NumaBytes *numa_find(NumaBytes *array, size_t n, int node)
{
        for (size_t i = 0; i < n; i++)
                if (array[i].node == node)
                        return &array[i];
        return NULL;
}

/* Adds the words " N0=1 N2=2" of one line to a field. Most of them are of nodes that are not in the array. */
static void numa_add_line(const char *line, const char *end, size_t field, NumaBytes *array, size_t n)
{
        for (const char *p = line; (p = memchr(p, 'N', (size_t)(end - p))); p++) {
                const char *value;
                uint64_t bytes;
                NumaBytes *b;
                int node;

                if (p == line || p[-1] != ' ')
                        continue;
                value = numa_parse_node(p + 1, &node);
                b = value ? numa_find(array, n, node) : NULL;
                if (b && numa_parse_bytes(value, &bytes))
                        *numa_field(b, field) += bytes;
        }
}

static void numa_parse_stat(const char *text, NumaBytes *array, size_t n)
{
        for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
                size_t field;

                end = strchrnul(line, '\n');
                const char *space = memchr(line, ' ', (size_t)(end - line));
                if (space && numa_find_field(line, (size_t)(space - line), &field))
                        numa_add_line(space, end, field, array, n);
        }
}

/* "hugetlb.2MB.numa_stat" has one line, which includes all descendants: "total=4194304 N0=0 N2=4194304"
 * (since 5.17). */
static void numa_add_hugetlb_file(int fd, const char *name, NumaBytes *array, size_t n)
{
        _cleanup_free_ char *text = NULL;

        if (cgroup_read_file(fd, name, &text) >= 0)
                numa_add_line(text, strchrnul(text, '\n'), offsetof(NumaBytes, hugetlb), array, n);
}

static bool numa_has_hugetlb_controller(int fd)
{
        _cleanup_free_ char *text = NULL;

        return cgroup_read_file(fd, "cgroup.controllers", &text) >= 0 && strstr(text, "hugetlb") != NULL;
}

/* The hugetlb controller counts every huge page, so its value replaces that of the memory controller. */
static void numa_add_hugetlb(int fd, NumaBytes *array, size_t n)
{
        DIR *d;
        int copy;

        if (!numa_has_hugetlb_controller(fd))
                return;
        copy = openat(fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        d = copy < 0 ? NULL : fdopendir(copy);
        if (!d) {
                if (copy >= 0)
                        close(copy);
                return;
        }
        for (size_t i = 0; i < n; i++)
                array[i].hugetlb = 0;
        for (struct dirent *e; (e = readdir(d));) {
                size_t length = strlen(e->d_name), tail = strlen(".numa_stat");

                if (strncmp(e->d_name, "hugetlb.", 8) == 0 && length > tail &&
                    strcmp(e->d_name + length - tail, ".numa_stat") == 0)
                        numa_add_hugetlb_file(fd, e->d_name, array, n);
        }
        closedir(d);
}

/* fd_hugetlb: a cgroup whose hugetlb controller is read too, or -EBADF. */
static int numa_read_text(const char *text, const NodeSet *nodes, int fd_hugetlb, NumaBytes **ret,
                          size_t *ret_n)
{
        _cleanup_free_ NumaBytes *array = calloc(nodeset_count(nodes) + 1, sizeof(*array));
        size_t n = 0, kept = 0;

        if (!array)
                return -ENOMEM;
        NODESET_FOREACH (node, nodes)
                array[n++].node = node;
        numa_parse_stat(text, array, n);
        if (fd_hugetlb >= 0)
                numa_add_hugetlb(fd_hugetlb, array, n);
        for (size_t i = 0; i < n; i++) {
                /* The kernel includes shmem in `file`. */
                array[i].file -= array[i].file < array[i].shmem ? array[i].file : array[i].shmem;
                if (fd_hugetlb < 0)
                        array[i].hugetlb = 0;
                if (numa_bytes_all(&array[i]) > 0)
                        array[kept++] = array[i];
        }
        *ret = TAKE_PTR(array);
        *ret_n = kept;
        return 0;
}

static int numa_read_file(int fd, const NodeSet *nodes, int fd_hugetlb, NumaBytes **ret, size_t *ret_n)
{
        _cleanup_free_ char *text = NULL;

        int r = cgroup_read_file(fd, "memory.numa_stat", &text);
        return r < 0 ? r : numa_read_text(text, nodes, fd_hugetlb, ret, ret_n);
}

int cgroup_read_numa(int fd, const NodeSet *nodes, NumaBytes **ret, size_t *ret_n)
{
        return numa_read_file(fd, nodes, -EBADF, ret, ret_n);
}

int cgroup_read_numa_at(const char *path, const NodeSet *nodes, NumaBytes **ret, size_t *ret_n)
{
        _cleanup_free_ char *text = NULL;

        int r = cgroup_read_file_at(path, "memory.numa_stat", &text);
        return r < 0 ? r : numa_read_text(text, nodes, -EBADF, ret, ret_n);
}

int cgroup_read_numa_all(int fd, const NodeSet *nodes, NumaBytes **ret, size_t *ret_n)
{
        return numa_read_file(fd, nodes, fd, ret, ret_n);
}

int cgroup_sum_numa(int fd, const NodeSet *nodes, uint64_t (*bytes)(const NumaBytes *b), uint64_t *ret)
{
        _cleanup_free_ NumaBytes *array = NULL;
        uint64_t sum = 0;
        size_t n = 0;

        int r = cgroup_read_numa(fd, nodes, &array, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                sum += bytes(&array[i]);
        *ret = sum;
        return 0;
}
