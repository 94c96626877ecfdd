/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How long does taking memory away take, and how long does it keep PID 1 and cdmd from answering a Ping?
 *
 *   vm-release release UNIT PID MIB COUNT       PID of UNIT has so much: in turn Release, and narrowing by PID 1 alone
 *   vm-release threads UNIT OTHER THREADS COUNT UNIT and OTHER (Exempt=) have so many threads: in turn a Request and
 *                                               a Release of UNIT, and the same two changes of OTHER by PID 1 alone
 *
 * Both end when no page is left on the node. Prints rows (pairs.h). */

#include <pthread.h>
#include <stdatomic.h>

#include "tests/vm/programs/calls.h"
#include "tests/vm/programs/least.h"

#define ORDINARY 3
#define WIDE     7

/* --- pings -------------------------------------------------------------------------------------------- */

typedef struct Pinger {
        const char *name;
        pthread_t thread;
        atomic_bool ready, stop;
        double longest;
} Pinger;

static Pinger pid1 = { .name = "org.freedesktop.systemd1" }, cdmd = { .name = "org.cdmd1" };

static void *ping_thread(void *userdata)
{
        Pinger *p = userdata;
        sd_bus *own = NULL;

        must("bus", sd_bus_open_system(&own), NULL);
        must("bus", sd_bus_set_method_call_timeout(own, UINT64_C(600) * 1000 * 1000), NULL);
        while (!atomic_load(&p->stop)) {
                double begin = now_ms();

                must(p->name,
                     sd_bus_call_method(own, p->name, "/", "org.freedesktop.DBus.Peer", "Ping", NULL, NULL,
                                        ""),
                     NULL);
                double took = now_ms() - begin;
                /* The first one connects. */
                if (atomic_exchange(&p->ready, true))
                        p->longest = took > p->longest ? took : p->longest;
                usleep(2000);
        }
        sd_bus_flush_close_unref(own);
        return NULL;
}

static void ping_start(Pinger *p)
{
        p->longest = 0;
        p->ready = p->stop = false;
        if (pthread_create(&p->thread, NULL, ping_thread, p) != 0)
                exit(EXIT_FAILURE);
        while (!atomic_load(&p->ready))
                usleep(1000);
}

/* One that is unanswered now counts in full. */
static double ping_stop(Pinger *p)
{
        atomic_store(&p->stop, true);
        pthread_join(p->thread, NULL);
        return p->longest;
}

/* --- pages -------------------------------------------------------------------------------------------- */

/* What the process has on the node, by its page tables: memory.numa_stat lags behind. */
static uint64_t bytes_there(const char *pid)
{
        char path[64], line[4096];
        uint64_t bytes = 0;

        snprintf(path, sizeof(path), "/proc/%s/numa_maps", pid);
        FILE *f = fopen(path, "re");
        if (!f) {
                perror(path);
                exit(EXIT_FAILURE);
        }
        while (fgets(line, sizeof(line), f)) {
                const char *pages = strstr(line, " N2="), *kib = strstr(line, "kernelpagesize_kB=");
                if (pages && kib)
                        bytes += strtoull(pages + 4, NULL, 10) * strtoull(kib + 18, NULL, 10) * 1024;
        }
        fclose(f);
        return bytes;
}

static void fill(const char *unit, const char *pid, uint64_t bytes, uint32_t *ret_id)
{
        *ret_id = request(unit, bytes, "2");
        for (int i = 0; bytes_there(pid) < bytes / 100 * 95; i++) {
                if (i > 600) {
                        fprintf(stderr, "vm-release: only %" PRIu64 " bytes are on node 2\n",
                                bytes_there(pid));
                        exit(EXIT_FAILURE);
                }
                usleep(100 * 1000);
        }
        usleep(300 * 1000);
}

static void wait_empty(const char *pid)
{
        while (bytes_there(pid) > 0)
                usleep(10 * 1000);
}

/* --- rows --------------------------------------------------------------------------------------------- */

typedef enum Way { RELEASE, BARE, LEAST } Way;

/* pinged: PID 1 and cdmd are asked meanwhile, which takes processors away from all ways. */
static void release_once(const char *unit, const char *pid, uint64_t bytes, Way way, bool pinged,
                         double *ret_ms)
{
        uint32_t id;

        fill(unit, pid, bytes, &id);
        if (pinged) {
                ping_start(&pid1);
                ping_start(&cdmd);
        }
        double begin = now_ms();
        if (way == RELEASE)
                release(id);
        else if (way == BARE)
                set_nodes(unit, ORDINARY);
        else
                (void)least_ms(unit, ORDINARY, false);
        wait_empty(pid);
        *ret_ms = now_ms() - begin;
        if (pinged) {
                (void)ping_stop(&pid1);
                (void)ping_stop(&cdmd);
        }
        if (way != RELEASE)
                release(id);
}

static void measure_release(const char *unit, const char *pid, uint64_t mib, size_t n)
{
        Pair *total = calloc(n, sizeof(Pair)), *least = calloc(n, sizeof(Pair)),
             *one = calloc(n, sizeof(Pair)), *us = calloc(n, sizeof(Pair));
        char row[256];
        double took;

        if (!total || !least || !one || !us)
                exit(EXIT_FAILURE);
        for (size_t i = 0; i < n; i++) {
                release_once(unit, pid, mib * MIB, BARE, false, &total[i].reference);
                release_once(unit, pid, mib * MIB, RELEASE, false, &total[i].ours);
                least[i].ours = total[i].ours;
                release_once(unit, pid, mib * MIB, LEAST, false, &least[i].reference);
                release_once(unit, pid, mib * MIB, BARE, true, &took);
                one[i].reference = us[i].reference = pid1.longest;
                release_once(unit, pid, mib * MIB, RELEASE, true, &took);
                one[i].ours = pid1.longest;
                us[i].ours = cdmd.longest;
        }
        snprintf(row, sizeof(row),
                 "release of %" PRIu64
                 " MiB, until no page is left|bare narrowing of `cpuset.mems` by PID 1|<=1.1|ms",
                 mib);
        pairs_print(row, total, n);
        snprintf(row, sizeof(row),
                 "release of %" PRIu64
                 " MiB, as above|the least that a daemon in between has to do, by the same client alone||ms",
                 mib);
        pairs_print(row, least, n);
        const char *target = mib >= 1000 ? "<=0.05" : "";
        snprintf(row, sizeof(row),
                 "longest unanswered `Ping` of PID 1 during the release of %" PRIu64
                 " MiB|the same during bare narrowing|%s|ms",
                 mib, target);
        pairs_print(row, one, n);
        snprintf(row, sizeof(row),
                 "longest unanswered `Ping` of cdmd during the release of %" PRIu64
                 " MiB|that of PID 1 during bare narrowing|%s|ms",
                 mib, target);
        pairs_print(row, us, n);
}

static void measure_threads(const char *unit, const char *other, const char *threads, size_t n)
{
        Pair *grants = calloc(n, sizeof(Pair)), *releases = calloc(n, sizeof(Pair));
        char row[256];

        if (!grants || !releases)
                exit(EXIT_FAILURE);
        for (size_t i = 0; i < n; i++) {
                ping_start(&pid1);
                uint32_t id = request(unit, 64 * MIB, NULL);
                grants[i].ours = ping_stop(&pid1);
                ping_start(&pid1);
                release(id);
                releases[i].ours = ping_stop(&pid1);

                ping_start(&pid1);
                set_nodes(other, WIDE);
                grants[i].reference = ping_stop(&pid1);
                ping_start(&pid1);
                set_nodes(other, ORDINARY);
                releases[i].reference = ping_stop(&pid1);
                fprintf(stderr, "grant %.0f, bare %.0f; release %.0f, bare %.0f ms\n", grants[i].ours,
                        grants[i].reference, releases[i].ours, releases[i].reference);
        }
        snprintf(
                row, sizeof(row),
                "longest unanswered `Ping` of PID 1 during a grant to a process with %s threads|the same during bare "
                "`SetUnitProperties`|<=0.02|ms",
                threads);
        pairs_print(row, grants, n);
        snprintf(
                row, sizeof(row),
                "longest unanswered `Ping` of PID 1 during its release, %s threads|the same during bare narrowing|<=0.02|ms",
                threads);
        pairs_print(row, releases, n);
}

int main(int argc, char **argv)
{
        connect_bus();
        if (argc == 6 && strcmp(argv[1], "release") == 0) {
                measure_release(argv[2], argv[3], strtoull(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
        } else if (argc == 6 && strcmp(argv[1], "threads") == 0) {
                measure_threads(argv[2], argv[3], argv[4], strtoul(argv[5], NULL, 10));
        } else {
                fprintf(stderr, "usage: vm-release release UNIT PID MIB COUNT\n"
                                "       vm-release threads UNIT OTHER THREADS COUNT\n");
                return 2;
        }
        return 0;
}
