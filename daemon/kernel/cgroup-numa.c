/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bytes of a cgroup per node and kind, from memory.numa_stat and the hugetlb controller. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

/* Returns the field of NumaBytes for a key of memory.numa_stat; NULL: the key is not needed. */
static uint64_t *numa_field(NumaBytes *b, const char *key, size_t n)
{
        static const char *const other[] = { "kernel_stack", "pagetables", "sec_pagetables",
                                             "slab_reclaimable", "slab_unreclaimable" };

        if (n == 4 && memcmp(key, "anon", n) == 0)
                return &b->anon;
        if (n == 4 && memcmp(key, "file", n) == 0)
                return &b->file;
        if (n == 5 && memcmp(key, "shmem", n) == 0)
                return &b->shmem;
        /* With the cgroup2 mount option memory_hugetlb_accounting. */
        if (n == 7 && memcmp(key, "hugetlb", n) == 0)
                return &b->hugetlb;
        if (n > 4 && memcmp(key + n - 4, "_thp", 4) == 0)
                return &b->thp;
        for (size_t i = 0; i < ARRAY_SIZE(other); i++)
                if (n == strlen(other[i]) && memcmp(key, other[i], n) == 0)
                        return &b->other;
        return NULL;
}

/* Parses "N12=4096". Returns false for anything else. */
static bool numa_parse_node_bytes(const char *word, int *ret_node, uint64_t *ret_bytes)
{
        unsigned long node;
        char *end;

        if (word[0] != 'N' || word[1] < '0' || word[1] > '9')
                return false;
        node = strtoul(word + 1, &end, 10);
        if (*end != '=' || end[1] < '0' || end[1] > '9' || node >= NODE_MAX)
                return false;
        *ret_bytes = strtoull(end + 1, &end, 10);
        if (*end)
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

/* Parses one line, "anon N0=1 N2=2". Modifies the line. */
static void numa_parse_line(char *line, NumaBytes *array, size_t n)
{
        NumaBytes probe = { 0 };
        char *save = NULL, *key = strtok_r(line, " ", &save);

        if (!key || !numa_field(&probe, key, strlen(key)))
                return;
        for (char *word; (word = strtok_r(NULL, " ", &save));) {
                NumaBytes *b;
                uint64_t bytes;
                int node;

                if (!numa_parse_node_bytes(word, &node, &bytes))
                        continue;
                b = numa_find(array, n, node);
                if (b)
                        *numa_field(b, key, strlen(key)) += bytes;
        }
}

/* "hugetlb.2MB.numa_stat" has one line, which includes all descendants: "total=4194304 N0=0 N2=4194304"
 * (since 5.17). */
static void numa_add_hugetlb_file(int fd, const char *name, NumaBytes *array, size_t n)
{
        _cleanup_free_ char *text = NULL;
        char *save = NULL;

        if (cgroup_read_file(fd, name, &text) < 0)
                return;
        for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
                NumaBytes *b;
                uint64_t bytes;
                int node;

                if (!numa_parse_node_bytes(word, &node, &bytes))
                        continue;
                b = numa_find(array, n, node);
                if (b)
                        b->hugetlb += bytes;
        }
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

static int numa_read_stat(int fd, const NodeSet *nodes, bool all, NumaBytes **ret, size_t *ret_n)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_free_ NumaBytes *array = NULL;
        size_t n = 0, kept = 0;
        char *save = NULL;
        int r;

        r = cgroup_read_file(fd, "memory.numa_stat", &text);
        if (r < 0)
                return r;
        array = calloc(nodeset_count(nodes) + 1, sizeof(*array));
        if (!array)
                return -ENOMEM;
        NODESET_FOREACH (node, nodes)
                array[n++].node = node;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                numa_parse_line(line, array, n);
        if (all)
                numa_add_hugetlb(fd, array, n);
        for (size_t i = 0; i < n; i++) {
                /* The kernel includes shmem in `file`. */
                array[i].file -= array[i].file < array[i].shmem ? array[i].file : array[i].shmem;
                if (!all)
                        array[i].hugetlb = 0;
                if (numa_bytes_all(&array[i]) > 0)
                        array[kept++] = array[i];
        }
        *ret = TAKE_PTR(array);
        *ret_n = kept;
        return 0;
}

int cgroup_read_numa(int fd, const NodeSet *nodes, NumaBytes **ret, size_t *ret_n)
{
        return numa_read_stat(fd, nodes, false, ret, ret_n);
}

int cgroup_read_numa_all(int fd, const NodeSet *nodes, NumaBytes **ret, size_t *ret_n)
{
        return numa_read_stat(fd, nodes, true, ret, ret_n);
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
