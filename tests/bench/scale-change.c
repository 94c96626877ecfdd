/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a machine does by itself, at scale: a node goes while reservations lie on the node, a cgroup comes that systemd
 * does not own, and a machine has many nodes. cdmd's log is not read here. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bench/scale.h"
#include "tests/vm/programs/pairs.h"

#define QUIET_MS 500
#define NODE     "/sys/devices/system/node/"

static double restart_silently(World *w)
{
        int copy = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (copy < 0 || null < 0 || dup2(null, STDERR_FILENO) < 0)
                fatal("stderr", -errno);
        double took = restart_ms(w);
        if (dup2(copy, STDERR_FILENO) < 0)
                fatal("stderr", -errno);
        close(copy);
        close(null);
        return took;
}

/* --- a node goes -------------------------------------------------------------------------------------- */

/* What the event loop of cdmd has computed since cdmd was started. */
static double loop_ms(const World *w)
{
        return (double)status_number(w, "schedstat", "") / 1e6;
}

typedef struct Change {
        double state_ms; /* until the last reservation has the state */
        double done_ms;  /* until cdmd has nothing more to do */
        double ping_ms;  /* the longest one */
        double loop_ms;  /* the most that the event loop has computed during one */
        double cpu_ms;
        unsigned n_messages;
} Change;

static void change_ping(World *w, Change *c)
{
        double begin = now_ms(), loop = loop_ms(w);
        int r = sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, "org.freedesktop.DBus.Peer", "Ping",
                                   NULL, NULL, NULL);
        double took = now_ms() - begin;

        must("Ping", r);
        loop = loop_ms(w) - loop;
        c->ping_ms = took > c->ping_ms ? took : c->ping_ms;
        c->loop_ms = loop > c->loop_ms ? loop : c->loop_ms;
}

/* Until cdmd has read nothing for a while. monitor: NULL, messages are not counted. */
static void change_watch(Scale *s, const char *state, sd_bus *monitor, Change *c)
{
        double begin = now_ms(), quiet = begin;
        uint64_t before = 0;

        while (now_ms() < quiet + QUIET_MS || c->state_ms == 0) {
                change_ping(&s->w, c);
                if (c->state_ms == 0 && strcmp(world_reservation(&s->w, s->n, "State"), state) == 0)
                        c->state_ms = now_ms() - begin;
                uint64_t reads = status_number(&s->w, "io", "syscr:");
                unsigned n = monitor ? monitor_read(monitor, 0) : 0;
                if (reads != before || n > 0)
                        quiet = now_ms();
                before = reads;
                c->n_messages += n;
                usleep(1000);
        }
        c->done_ms = quiet - begin;
}

static Change change(Scale *s, const char *member, const char *state, sd_bus *monitor)
{
        const char *types = strcmp(member, "Reload") == 0 ? NULL : "u";
        double cpu = cpu_ms(&s->w);
        Change c = { 0 };

        must(member, sd_bus_call_method_async(s->w.client, NULL, CDM_BUS_NAME, CDM_PATH,
                                              CDM_INTERFACE_MANAGER, member, NULL, NULL, types, 2));
        change_watch(s, state, monitor, &c);
        c.cpu_ms = cpu_ms(&s->w) - cpu;
        return c;
}

static void put_node2(World *w, bool there)
{
        world_put(w, NODE "has_memory", there ? "0-3\n" : "0-1,3\n");
        world_put(w, NODE "node2/meminfo",
                  there ? "Node 2 MemTotal: 2097152 kB\nNode 2 MemFree: 2097152 kB\n"
                        : "Node 2 MemTotal: 0 kB\nNode 2 MemFree: 0 kB\n");
}

/* A reload reads the nodes, as an event of udev would have cdmd do. */
static const struct {
        const char *what, *member, *state;
        bool there;
} changes[] = {
        { "a node goes", "Reload", "degraded", false },
        { "the node comes back", "Reload", "active", true },
        { "DrainNode", "DrainNode", "degraded", true },
        { "UndrainNode", "UndrainNode", "active", true },
};

static void change_point(const Scale *s, size_t i, const char *what, const char *unit, double y)
{
        char text[96];

        snprintf(text, sizeof(text), "%s: %s", changes[i].what, what);
        scale_point(s, text, unit, y);
}

/* First without a monitor, which keeps the bus busy. */
static void print_change(Scale *s, size_t i, sd_bus *monitor)
{
        char until[64];

        put_node2(&s->w, changes[i].there);
        Change c = change(s, changes[i].member, changes[i].state, monitor);
        if (monitor) {
                change_point(s, i, "signals and calls", "messages", c.n_messages);
                return;
        }
        snprintf(until, sizeof(until), "until all are %s", changes[i].state);
        change_point(s, i, until, "ms", c.state_ms);
        change_point(s, i, "until all is done", "ms", c.done_ms);
        change_point(s, i, "longest Ping", "ms", c.ping_ms);
        change_point(s, i, "event loop during a Ping, at most", "ms", c.loop_ms);
        change_point(s, i, "processor time", "ms", c.cpu_ms);
}

void measure_vanishing(uint32_t last)
{
        for (uint32_t n = 10; n <= last; n *= 10) {
                Scale *s = allocate(1, sizeof(Scale));

                *s = (Scale){ .of = "reservations", .n = n };
                world_new(&s->w);
                scale_fill(s);
                (void)restart_silently(&s->w);
                settle(&s->w);
                for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
                        print_change(s, i, NULL);
                sd_bus *monitor = monitor_new(&s->w);
                for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
                        print_change(s, i, monitor);
                sd_bus_flush_close_unref(monitor);
                world_stop(&s->w);
        }
}

/* --- a cgroup that systemd does not own ---------------------------------------------------------------- */

static void put_foreign(World *w, uint32_t i, char path[static 64])
{
        char file[96];

        snprintf(path, 64, "/sys/fs/cgroup/box-%" PRIu32, i);
        snprintf(file, sizeof(file), "%s/cpuset.mems.effective", path);
        world_put(w, file, "0-3\n");
        snprintf(file, sizeof(file), "%s/cpuset.mems", path);
        world_put(w, file, "\n");
}

static double fence_ms(World *w, uint32_t i)
{
        char path[64], file[96];
        double begin = now_ms();

        put_foreign(w, i, path);
        snprintf(file, sizeof(file), "%s/cpuset.mems", path);
        while (strcmp(world_get(w, file), "0-1") != 0)
                usleep(100);
        return now_ms() - begin;
}

static void print_foreign(Scale *s)
{
        uint64_t reads = status_number(&s->w, "io", "syscr:");
        double took[15], cpu = cpu_ms(&s->w), n = ARRAY_SIZE(took);
        sd_bus *monitor = monitor_new(&s->w);

        for (uint32_t i = 0; i < ARRAY_SIZE(took); i++)
                took[i] = fence_ms(&s->w, s->n + i);
        settle(&s->w);
        scale_point(s, "a new one, until fenced", "ms", median(took, ARRAY_SIZE(took)));
        scale_point(s, "processor time of a new one", "ms", (cpu_ms(&s->w) - cpu) / n);
        scale_point(s, "reads of a new one", "calls",
                    (double)(status_number(&s->w, "io", "syscr:") - reads) / n);
        scale_point(s, "signals and calls of a new one", "messages", monitor_read(monitor, 0) / n);
        sd_bus_flush_close_unref(monitor);
}

void measure_foreign(uint32_t last)
{
        char path[64];

        for (uint32_t n = 10; n <= last; n *= 10) {
                Scale *s = allocate(1, sizeof(Scale));

                *s = (Scale){ .of = "foreign cgroups", .n = n };
                world_new(&s->w);
                world_enter(&s->w);
                world_kill_cdmd(&s->w, SIGTERM);
                for (uint32_t i = 0; i < n; i++)
                        put_foreign(&s->w, i, path);
                scale_point(s, "start to READY", "ms", restart_silently(&s->w));
                settle(&s->w);
                print_foreign(s);
                world_stop(&s->w);
        }
}

/* --- many nodes --------------------------------------------------------------------------------------- */

#define MANY_NODES 64 /* with CDM; two more have CPUs */

static void put_node(World *w, int node)
{
        char command[512], path[96], text[128];

        snprintf(command, sizeof(command), "cp -r %s" NODE "node3 %s" NODE "node%d", w->root, w->root, node);
        if (system(command) != 0)
                fatal(command, -EIO);
        snprintf(path, sizeof(path), NODE "node%d/meminfo", node);
        snprintf(text, sizeof(text), "Node %d MemTotal: 2097152 kB\nNode %d MemFree: 2097152 kB\n", node,
                 node);
        world_put(w, path, text);
        snprintf(path, sizeof(path), "/sys/bus/dax/devices/dax%d.0/target_node", node);
        snprintf(text, sizeof(text), "%d\n", node);
        world_put(w, path, text);
        snprintf(path, sizeof(path), "/sys/bus/dax/drivers/kmem/dax%d.0", node);
        world_put(w, path, "");
}

/* The kernel has all nodes in each file. */
static void put_many_nodes(World *w)
{
        char list[32], *stat = NULL;
        size_t size;
        FILE *f = open_memstream(&stat, &size);

        if (!f)
                fatal("open_memstream", -ENOMEM);
        for (int node = 4; node < 2 + MANY_NODES; node++)
                put_node(w, node);
        snprintf(list, sizeof(list), "0-%d\n", 1 + MANY_NODES);
        world_put(w, NODE "online", list);
        world_put(w, NODE "possible", list);
        world_put(w, NODE "has_memory", list);
        snprintf(list, sizeof(list), "2-%d\n", 1 + MANY_NODES);
        world_put(w, "/sys/devices/virtual/memory_tiering/memory_tier1/nodelist", list);
        for (int i = 0; i < 2; i++) {
                fputs(i == 0 ? "anon" : "\nfile", f);
                for (int node = 0; node < 2 + MANY_NODES; node++)
                        fprintf(f, " N%d=0", node);
        }
        fputc('\n', f);
        fclose(f);
        world_put(w, "/sys/fs/cgroup/system.slice/db.service/memory.numa_stat", stat);
        free(stat);
}

void measure_nodes(void)
{
        Pair start[15], grant[25], release[25];
        static World many, few;

        world_new(&few);
        world_new(&many);
        world_enter(&many);
        world_kill_cdmd(&many, SIGTERM);
        put_many_nodes(&many);
        for (size_t i = 0; i < ARRAY_SIZE(start); i++)
                start[i] = (Pair){ restart_silently(&many), restart_silently(&few) };
        settle(&many);
        settle(&few);
        for (size_t i = 0; i < ARRAY_SIZE(grant); i++) {
                grant[i].ours = grant_ms(&many, &release[i].ours);
                grant[i].reference = grant_ms(&few, &release[i].reference);
        }
        pairs_print("start to READY with 64 CDM nodes|with 2||ms", start, ARRAY_SIZE(start));
        pairs_print("`Request` with 64 CDM nodes|with 2|<=2|ms", grant, ARRAY_SIZE(grant));
        pairs_print("`Release`, until gone, with 64 CDM nodes|with 2|<=2|ms", release, ARRAY_SIZE(release));
        world_stop(&many);
        world_stop(&few);
}
