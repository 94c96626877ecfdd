/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/drain-maps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/kernel/memory.h"
#include "policy/macro.h"

static int drain_maps_open_pagemap(pid_t pid)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int drain_maps_reopen(DrainProcess *p)
{
        p->pagemap = drain_maps_open_pagemap(p->pid);
        return p->pagemap;
}

void drain_maps_close(DrainMaps *m)
{
        for (size_t i = 0; i < m->n_processes; i++) {
                if (m->processes[i].pagemap >= 0)
                        close(m->processes[i].pagemap);
                m->processes[i].pagemap = -EBADF;
        }
}

void drain_maps_clear(DrainMaps *m)
{
        drain_maps_close(m);
        free(m->processes);
        free(m->items);
        *m = (DrainMaps){ 0 };
}

/* Parses "7f0c prefer:2 anon=4 dirty=4 N0=1 N2=3 kernelpagesize_kB=4". Returns false if the mapping has no
 * page on `from`. */
static bool drain_maps_parse_numa_maps(char *line, const NodeSet *from, DrainMap *ret)
{
        DrainMap mapping = { .page_bytes = 4096, .is_all = true };
        char *save = NULL, *word, *end;

        word = strtok_r(line, " \n", &save);
        if (!word)
                return false;
        mapping.start = strtoull(word, &end, 16);
        if (*end)
                return false;
        while ((word = strtok_r(NULL, " \n", &save))) {
                uint64_t value;
                int node;

                if (sscanf(word, "kernelpagesize_kB=%" SCNu64, &value) == 1 && value >= 4)
                        mapping.page_bytes = value * 1024;
                if (sscanf(word, "N%d=%" SCNu64, &node, &value) != 2)
                        continue;
                if (node >= 0 && node < NODE_MAX && nodeset_contains(from, node))
                        mapping.pages += value;
                else
                        mapping.is_all = false;
        }
        if (mapping.pages == 0)
                return false;
        *ret = mapping;
        return true;
}

static FILE *drain_maps_open_proc(pid_t pid, const char *name)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        return fopen(path, "re");
}

static int drain_maps_add_entry(DrainMaps *m, const DrainMap *map)
{
        if (m->n_items == m->n_allocated) {
                size_t n = m->n_allocated ? 2 * m->n_allocated : 64;
                DrainMap *items = reallocarray(m->items, n, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                m->items = items;
                m->n_allocated = n;
        }
        m->items[m->n_items++] = *map;
        return 0;
}

static int drain_maps_add_process(DrainMaps *m, pid_t pid, int pagemap)
{
        DrainProcess *processes = reallocarray(m->processes, m->n_processes + 1, sizeof(*processes));

        if (!processes)
                return -ENOMEM;
        m->processes = processes;
        processes[m->n_processes++] = (DrainProcess){ pid, pagemap };
        return 0;
}

/* Fills in everything except `end` and `used`. */
static int drain_maps_read_numa_maps(DrainMaps *m, pid_t pid, const NodeSet *nodes)
{
        _cleanup_free_ char *line = NULL;
        size_t length = 0;
        FILE *f = drain_maps_open_proc(pid, "numa_maps");
        int r = 0;

        if (!f)
                return 0;
        while (r == 0 && getline(&line, &length, f) > 0) {
                DrainMap map;

                if (!drain_maps_parse_numa_maps(line, nodes, &map))
                        continue;
                map.process = m->n_processes;
                r = drain_maps_add_entry(m, &map);
        }
        fclose(f);
        return r;
}

/* Fills in `end` from maps, and also `used` from smaps, which begins each mapping with its line of maps.
 * These files and numa_maps list mappings in ascending order of address. The mapping of an exact buffer
 * keeps end 0, because its pages must not move. */
static void drain_maps_read_rest(pid_t pid, const char *file, DrainMap *maps, size_t n)
{
        _cleanup_free_ char *line = NULL;
        size_t length = 0, i = 0;
        DrainMap *current = NULL;
        uint64_t rss = 0, value;
        FILE *f = drain_maps_open_proc(pid, file);

        if (!f)
                return;
        while (getline(&line, &length, f) > 0) {
                uint64_t start, end;

                if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2) {
                        current = NULL;
                        while (i < n && maps[i].start < start)
                                i++;
                        if (i == n)
                                break;
                        if (maps[i].start == start) {
                                current = &maps[i++];
                                current->end = memory_is_mapped_by(line) ? 0 : end;
                        }
                } else if (sscanf(line, "Rss: %" SCNu64, &value) == 1) {
                        rss = value;
                } else if (current && rss > 0 && sscanf(line, "Referenced: %" SCNu64, &value) == 1) {
                        current->used = (unsigned)(100 * value / rss);
                }
        }
        fclose(f);
}

int drain_maps_add(DrainMaps *m, pid_t pid, const NodeSet *nodes, bool by_use)
{
        size_t first = m->n_items;

        int fd = drain_maps_open_pagemap(pid);
        if (fd < 0)
                return 0;
        int r = drain_maps_read_numa_maps(m, pid, nodes);
        if (r >= 0 && m->n_items > first) {
                drain_maps_read_rest(pid, by_use ? "smaps" : "maps", m->items + first, m->n_items - first);
                r = drain_maps_add_process(m, pid, fd);
                if (r >= 0)
                        return 0;
        }
        close(fd);
        m->n_items = first;
        return r;
}

static int drain_maps_compare_use(const void *a, const void *b)
{
        const DrainMap *x = a, *y = b;

        if (x->used != y->used)
                return x->used < y->used ? -1 : 1;
        if (x->process != y->process)
                return x->process < y->process ? -1 : 1;
        return x->start < y->start ? -1 : x->start > y->start;
}

void drain_maps_sort(DrainMaps *m)
{
        if (m->n_items > 1)
                qsort(m->items, m->n_items, sizeof(*m->items), drain_maps_compare_use);
}

void drain_maps_forget_use(pid_t pid)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)pid);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        /* On failure the whole memory counts as used, like that of a process that was never examined. */
        (void)!write(fd, "1", 1);
        close(fd);
}
