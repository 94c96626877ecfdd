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

/* The keys of memory.numa_stat that are needed, and the field of NumaBytes for each of them. "hugetlb" is there
 * with the cgroup2 mount option memory_hugetlb_accounting. */
static const struct {
        const char *key;
        size_t field;
} numa_keys[] = {
        { "anon", offsetof(NumaBytes, anon) },
        { "file", offsetof(NumaBytes, file) },
        { "shmem", offsetof(NumaBytes, shmem) },
        { "hugetlb", offsetof(NumaBytes, hugetlb) },
        { "anon_thp", offsetof(NumaBytes, thp) },
        { "file_thp", offsetof(NumaBytes, thp) },
        { "shmem_thp", offsetof(NumaBytes, thp) },
        { "kernel_stack", offsetof(NumaBytes, other) },
        { "pagetables", offsetof(NumaBytes, other) },
        { "sec_pagetables", offsetof(NumaBytes, other) },
        { "slab_reclaimable", offsetof(NumaBytes, other) },
        { "slab_unreclaimable", offsetof(NumaBytes, other) },
};

static uint64_t *numa_field(NumaBytes *b, size_t field)
{
        return (uint64_t *)((char *)b + field);
}

static bool numa_find_field(const char *key, size_t n, size_t *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(numa_keys); i++)
                if (strncmp(numa_keys[i].key, key, n) == 0 && !numa_keys[i].key[n]) {
                        *ret = numa_keys[i].field;
                        return true;
                }
        return false;
}

/* Parses "12=4096", which ends with a space or at the end of a line. Returns false for anything else. */
static bool numa_parse_node_bytes(const char *word, int *ret_node, uint64_t *ret_bytes)
{
        unsigned long node;
        char *end;

        if (word[0] < '0' || word[0] > '9')
                return false;
        node = strtoul(word, &end, 10);
        if (*end != '=' || end[1] < '0' || end[1] > '9' || node >= NODE_MAX)
                return false;
        *ret_bytes = strtoull(end + 1, &end, 10);
        if (*end && *end != ' ' && *end != '\n')
                return false;
        *ret_node = (int)node;
        return true;
}

static NumaBytes *numa_find(NumaBytes *array, size_t n, int node)
{
        for (size_t i = 0; i < n; i++)
                if (array[i].node == node)
                        return &array[i];
        return NULL;
}

/* Adds the words " N0=1 N2=2" of one line to a field. */
static void numa_add_line(const char *line, const char *end, size_t field, NumaBytes *array, size_t n)
{
        for (const char *p = line; (p = memchr(p, 'N', (size_t)(end - p))); p++) {
                NumaBytes *b;
                uint64_t bytes;
                int node;

                if (p == line || p[-1] != ' ' || !numa_parse_node_bytes(p + 1, &node, &bytes))
                        continue;
                b = numa_find(array, n, node);
                if (b)
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
