/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-drain pause UNIT PID MIB FILE COUNT     PID of UNIT is vm-touch: how long does a release stop its thread, compared
 *                                            with one migrate_pages(2)? And which moves more in the same time?
 *   vm-drain many UNIT MIB NAME COUNT        the processes of UNIT have so much together: a release, compared with
 *                                            migratepages(8) of one after the other, and what stays of huge pages
 *
 * This runs unfenced: migratepages knows no node that it may not use.
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

/* How often a thread has slept, and how often another one took its processor. */
typedef struct Switches {
        uint64_t slept, preempted;
} Switches;

static Switches switches_of(pid_t pid)
{
        Switches n = { 0 };
        char path[64], line[256];

        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        FILE *f = fopen(path, "re");
        if (!f)
                fatal(path);
        while (fgets(line, sizeof(line), f)) {
                (void)sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &n.slept);
                (void)sscanf(line, "nonvoluntary_ctxt_switches: %" SCNu64, &n.preempted);
        }
        fclose(f);
        return n;
}

static void switches_add(Switches *sum, pid_t pid, const Switches *before)
{
        Switches now = switches_of(pid);

        sum->slept += now.slept - before->slept;
        sum->preempted += now.preempted - before->preempted;
}

static void measure_pause(const char *unit, pid_t pid, uint64_t mib, const char *file, size_t n)
{
        Pair *pauses = pairs_new(n), *rates = pairs_new(n), *rests = pairs_new(n);
        Switches of_release = { 0 }, of_call = { 0 }, of_rest = { 0 }, start;
        unsigned long from = 4, to = 1;
        Touch *t = touch_map(file);

        if (!t)
                fatal(file);
        for (size_t i = 0; i < n; i++) {
                uint32_t id = move_up(unit, &pid, 1, mib * MIB);
                uint64_t before = bytes_there(&pid, 1);
                t->longest_ms = 0;
                start = switches_of(pid);
                double begin = now_ms();
                if (migrate_pages(pid, sizeof(from) * 8, &from, &to) < 0)
                        fatal("migrate_pages");
                double took = now_ms() - begin;
                rates[i].reference = (double)(before - bytes_there(&pid, 1)) / MIB / took * 1e3;
                usleep(100 * 1000); /* a write that was stopped goes on */
                pauses[i].reference = t->longest_ms;
                switches_add(&of_call, pid, &start);
                release(id);

                id = move_up(unit, &pid, 1, mib * MIB);
                before = bytes_there(&pid, 1);
                t->longest_ms = 0;
                start = switches_of(pid);
                begin = now_ms();
                release(id);
                rates[i].ours = (double)(before - bytes_there(&pid, 1)) / MIB / (now_ms() - begin) * 1e3;
                usleep(100 * 1000);
                pauses[i].ours = t->longest_ms;
                switches_add(&of_release, pid, &start);

                /* As long as the reference took. */
                t->longest_ms = 0;
                start = switches_of(pid);
                usleep((useconds_t)(took * 1e3));
                switches_add(&of_rest, pid, &start);
                rests[i] = (Pair){ t->longest_ms, pauses[i].reference };
        }
        pairs_print(
                "longest pause of a thread of the drained process, which writes to its pages|the same under one "
                "`migrate_pages(2)`|<=0.1|ms",
                pauses, n);
        pairs_print(
                "longest pause of that thread while nothing moves, for as long as the reference took|the same reference||ms",
                rests, n);
        printf("text|That thread slept, which it does to wait for a page, and lost its processor to another thread, in all "
               "%zu rounds: %" PRIu64 " and %" PRIu64 " times by releases, %" PRIu64 " and %" PRIu64
               " times by migrate_pages(2), %" PRIu64 " and %" PRIu64 " times while nothing moved\n",
               n, of_release.slept, of_release.preempted, of_call.slept, of_call.preempted, of_rest.slept,
               of_rest.preempted);
        pairs_print(
                "throughput of that drain, with all of the release|of that `migrate_pages(2)`|>=0.9|MiB/s",
                rates, n);
}

/* The processes of a unit in system.slice. */
static size_t read_pids(const char *unit, pid_t *pids, size_t max)
{
        char path[256];
        size_t n = 0;
        long pid;

        snprintf(path, sizeof(path), "/sys/fs/cgroup/system.slice/%s/cgroup.procs", unit);
        FILE *f = fopen(path, "re");
        if (!f)
                fatal(path);
        while (n < max && fscanf(f, "%ld", &pid) == 1)
                pids[n++] = (pid_t)pid;
        fclose(f);
        return n;
}

static uint64_t huge_mib(const pid_t *pids, size_t n)
{
        uint64_t kib = 0;

        for (size_t i = 0; i < n; i++) {
                char path[64], line[256];

                snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pids[i]);
                FILE *f = fopen(path, "re");
                if (!f)
                        fatal(path);
                while (fgets(line, sizeof(line), f))
                        if (strncmp(line, "AnonHugePages:", 14) == 0)
                                kib += strtoull(line + 14, NULL, 10);
                fclose(f);
        }
        return kib / 1024;
}

static void migrate_each(const pid_t *pids, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                char pid[16];

                snprintf(pid, sizeof(pid), "%d", (int)pids[i]);
                (void)run_ms((const char *[]){ "migratepages", pid, "2", "0", NULL });
        }
}

/* With a process for each processor: the most that several processors can gain. */
static void migrate_beside(const pid_t *pids, size_t n)
{
        size_t n_movers = (size_t)sysconf(_SC_NPROCESSORS_ONLN);

        for (size_t i = 0; i < n_movers; i++) {
                size_t begin = n * i / n_movers, end = n * (i + 1) / n_movers;
                pid_t mover = fork();

                if (mover < 0)
                        fatal("fork");
                if (mover == 0) {
                        migrate_each(pids + begin, end - begin);
                        _exit(EXIT_SUCCESS);
                }
        }
        for (size_t i = 0; i < n_movers; i++) {
                int status;

                if (wait(&status) < 0 || status != 0)
                        fatal("migratepages");
        }
}

typedef enum Way { RELEASE, EACH, BESIDE, WAYS } Way;

static void measure_many(const char *unit, uint64_t mib, const char *name, size_t n)
{
        uint64_t huge[WAYS][2] = { { 0 } }; /* of all rounds: before and after */
        Pair *rates = pairs_new(n), *limits = pairs_new(n);
        pid_t pids[64];
        size_t n_pids = read_pids(unit, pids, sizeof(pids) / sizeof(pids[0]));
        char row[256];

        for (size_t i = 0; i < WAYS * n; i++) {
                Way way = (Way)(i % WAYS);
                Pair *rate = &rates[i / WAYS], *limit = &limits[i / WAYS];
                uint32_t id = move_up(unit, pids, n_pids, mib * MIB);
                uint64_t before = bytes_there(pids, n_pids);

                huge[way][0] += huge_mib(pids, n_pids);
                double begin = now_ms();
                if (way == RELEASE)
                        release(id);
                else if (way == EACH)
                        migrate_each(pids, n_pids);
                else
                        migrate_beside(pids, n_pids);
                double took = now_ms() - begin;
                *(way == RELEASE ? &rate->ours
                  : way == EACH  ? &rate->reference
                                 : &limit->ours) =
                        (double)(before - bytes_there(pids, n_pids)) / MIB / took * 1e3;
                huge[way][1] += huge_mib(pids, n_pids);
                limit->reference = rate->reference;
                if (way != RELEASE)
                        release(id);
        }
        snprintf(row, sizeof(row),
                 "throughput of a release, %s|`migratepages(8)`, process by process|>=1.5|MiB/s", name);
        pairs_print(row, rates, n);
        snprintf(row, sizeof(row),
                 "`migratepages(8)` on all processors at once, %s|process by process||MiB/s", name);
        pairs_print(row, limits, n);
        printf("text|%s: MiB of huge pages before and after a release %" PRIu64 " and %" PRIu64
               ", by migratepages %" PRIu64 " and %" PRIu64 "\n",
               name, huge[RELEASE][0] / n, huge[RELEASE][1] / n, huge[EACH][0] / n, huge[EACH][1] / n);
}

int main(int argc, char **argv)
{
        connect_bus();
        if (argc == 7 && strcmp(argv[1], "pause") == 0)
                measure_pause(argv[2], (pid_t)strtol(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
                              argv[5], strtoul(argv[6], NULL, 10));
        else if (argc == 6 && strcmp(argv[1], "many") == 0)
                measure_many(argv[2], strtoull(argv[3], NULL, 10), argv[4], strtoul(argv[5], NULL, 10));
        else {
                fprintf(stderr, "usage: see the top of vm-drain.c\n");
                return 2;
        }
        return 0;
}
