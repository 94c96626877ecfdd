/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-drain pause UNIT PID MIB FILE COUNT     PID of UNIT is vm-touch: how long does a release stop its thread, compared
 *                                            with one migrate_pages(2)? And which moves more in the same time?
 *
 * Prints rows (pairs.h). */

#include <errno.h>
#include <numaif.h>

#include "tests/vm/programs/calls.h"
#include "tests/vm/programs/touch.h"

static void fatal(const char *what)
{
        fprintf(stderr, "vm-drain: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

static Pair *pairs_new(size_t n)
{
        Pair *pairs = calloc(n, sizeof(*pairs));

        if (!pairs)
                fatal("calloc");
        return pairs;
}

/* --- pages -------------------------------------------------------------------------------------------- */

static uint64_t bytes_of(pid_t pid, int node)
{
        char path[64], line[4096], key[16];
        uint64_t bytes = 0;

        snprintf(path, sizeof(path), "/proc/%d/numa_maps", (int)pid);
        snprintf(key, sizeof(key), " N%d=", node);
        FILE *f = fopen(path, "re");
        if (!f)
                fatal(path);
        while (fgets(line, sizeof(line), f)) {
                const char *pages = strstr(line, key), *kib = strstr(line, "kernelpagesize_kB=");
                if (pages && kib)
                        bytes += strtoull(pages + 4, NULL, 10) * strtoull(kib + 18, NULL, 10) * 1024;
        }
        fclose(f);
        return bytes;
}

static uint64_t bytes_there(const pid_t *pids, size_t n)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < n; i++)
                bytes += bytes_of(pids[i], 2);
        return bytes;
}

/* Until all of it is there. */
static uint32_t move_up(const char *unit, const pid_t *pids, size_t n, uint64_t bytes)
{
        uint32_t id = request(unit, bytes, "2");

        for (int i = 0; bytes_there(pids, n) < bytes / 100 * 90; i++) {
                if (i > 300) {
                        fprintf(stderr, "vm-drain: only %" PRIu64 " bytes are on node 2\n",
                                bytes_there(pids, n));
                        exit(EXIT_FAILURE);
                }
                usleep(100 * 1000);
        }
        usleep(300 * 1000);
        return id;
}

/* --- rows --------------------------------------------------------------------------------------------- */

static void measure_pause(const char *unit, pid_t pid, uint64_t mib, const char *file, size_t n)
{
        Pair *pauses = pairs_new(n), *rates = pairs_new(n);
        unsigned long from = 4, to = 1;
        Touch *t = touch_map(file);

        if (!t)
                fatal(file);
        for (size_t i = 0; i < n; i++) {
                uint32_t id = move_up(unit, &pid, 1, mib * MIB);
                uint64_t before = bytes_there(&pid, 1);
                t->longest_ms = 0;
                double begin = now_ms();
                if (migrate_pages(pid, sizeof(from) * 8, &from, &to) < 0)
                        fatal("migrate_pages");
                rates[i].reference =
                        (double)(before - bytes_there(&pid, 1)) / MIB / (now_ms() - begin) * 1e3;
                usleep(100 * 1000); /* a write that was stopped goes on */
                pauses[i].reference = t->longest_ms;
                release(id);

                id = move_up(unit, &pid, 1, mib * MIB);
                before = bytes_there(&pid, 1);
                t->longest_ms = 0;
                begin = now_ms();
                release(id);
                rates[i].ours = (double)(before - bytes_there(&pid, 1)) / MIB / (now_ms() - begin) * 1e3;
                usleep(100 * 1000);
                pauses[i].ours = t->longest_ms;
        }
        pairs_print(
                "longest pause of a thread of the drained process, which writes to its pages|the same under one "
                "`migrate_pages(2)`|<=0.1|ms",
                pauses, n);
        pairs_print(
                "throughput of that drain, with all of the release|of that `migrate_pages(2)`|>=0.9|MiB/s",
                rates, n);
}

int main(int argc, char **argv)
{
        connect_bus();
        if (argc == 7 && strcmp(argv[1], "pause") == 0)
                measure_pause(argv[2], (pid_t)strtol(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
                              argv[5], strtoul(argv[6], NULL, 10));
        else {
                fprintf(stderr, "usage: see the top of vm-drain.c\n");
                return 2;
        }
        return 0;
}
