/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Drives the kernel and systemd rooms of cdmd against the real things, one verb a call, and says how long it
 * took and how long PID 1 left a D-Bus ping unanswered meanwhile. For tests in the guest.
 *
 * vm-apply info UNIT|PID|/CGROUP       what unit_get*() says
 * vm-apply grant UNIT NODES [FROM]     write, tell systemd, verify; with FROM: then move its pages from there up
 * vm-apply release UNIT NODES FROM     drain FROM, narrow to NODES, tell systemd, verify, evict, measure
 * vm-apply narrow UNIT NODES FROM      likewise without drain and without the write of the worker
 * vm-apply scope NAME SLICE PID        unit_start_scope()
 * vm-apply poke SLICE | reload         unit_poke(), unit_daemon_reload()
 * vm-apply watch SECONDS               unit_subscribe()
 * vm-apply observe NODES               observe_all()
 * vm-apply bench UNIT                  100 times unit_get() */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/fence/apply.h"
#include "daemon/kernel/observe.h"
#include "daemon/pid1/unit.h"

static sd_event *event;
static sd_bus *bus, *ping_bus;
static Worker *worker;
static Gate *gate;
static UnitInfo *unit;
static double started, ping_sent, ping_longest, loop_last, loop_longest;
static int left;

static double now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void quit(int code)
{
        double longest =
                ping_sent > 0 && now() - ping_sent > ping_longest ? now() - ping_sent : ping_longest;

        printf("took %.1f ms, longest ping %.1f ms, longest turn of the loop %.1f ms\n", now() - started,
               longest, loop_longest);
        sd_event_exit(event, code);
}

static void check(int r, const char *what)
{
        if (r >= 0)
                return;
        printf("%s: %s\n", what, strerror(-r));
        exit(1);
}

static void send_ping(void);

static int on_pong(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        double took = now() - ping_sent;

        ping_longest = took > ping_longest ? took : ping_longest;
        send_ping();
        return 0;
}

static void send_ping(void)
{
        ping_sent = now();
        check(sd_bus_call_method_async(ping_bus, NULL, "org.freedesktop.systemd1",
                                       "/org/freedesktop/systemd1", "org.freedesktop.DBus.Peer", "Ping",
                                       on_pong, NULL, ""),
              "ping");
}

static int on_turn(sd_event_source *s, uint64_t usec, void *userdata)
{
        double gap = now() - loop_last;

        loop_longest = gap > loop_longest ? gap : loop_longest;
        loop_last = now();
        sd_event_source_set_time_relative(s, 1000);
        sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        return 0;
}

static void start_measuring(void)
{
        sd_event_source *s;

        check(sd_bus_open_system(&ping_bus), "bus");
        check(sd_bus_attach_event(ping_bus, event, 0), "bus");
        started = loop_last = now();
        check(sd_event_add_time_relative(event, &s, CLOCK_MONOTONIC, 1000, 100, on_turn, NULL), "timer");
        send_ping();
}

static void print_info(int error, const UnitInfo *u)
{
        char list[NODESET_STR_MAX];

        if (error < 0) {
                printf("error %s\n", strerror(-error));
                return;
        }
        printf("name %s\nslice %s\ncgroup %s\nid %" PRIu64
               "\nload %s\nactive %s\njob %d\ndelegate %d\nuser %s\n"
               "allowed %s\n",
               u->name, u->slice, u->cgroup, u->cgroup_id, u->load_state, u->active_state, u->job_pending,
               u->delegate, u->user, nodeset_format(&u->allowed, list));
}

static void on_info(int error, UnitInfo *u, void *userdata)
{
        print_info(error, u);
        unit_info_free(u);
        quit(error < 0);
}

static void on_bench(int error, UnitInfo *u, void *userdata)
{
        unit_info_free(u);
        if (error < 0 || --left == 0)
                quit(error < 0);
        else
                check(unit_get(gate, GATE_OWN, userdata, on_bench, userdata, NULL), "unit_get");
}

static int on_get_all(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        if (sd_bus_message_is_method_error(m, NULL) || --left == 0)
                quit(0);
        else
                check(sd_bus_call_method_async(bus, NULL, "org.freedesktop.systemd1", userdata,
                                               "org.freedesktop.DBus.Properties", "GetAll", on_get_all,
                                               userdata, "s", "org.freedesktop.systemd1.Service"),
                      "GetAll");
        return 0;
}

static void on_done(int error, const char *message, void *userdata)
{
        printf("%s%s%s\n", error < 0 ? strerror(-error) : "done", message ? ": " : "",
               message ? message : "");
        quit(error < 0);
}

static void on_applied(Apply *a, const ApplyResult *r, void *userdata)
{
        printf("%s, moved %" PRIu64 " MiB, failed %" PRIu64 " KiB, evicted %" PRIu64 " MiB, undo %d\n",
               r->error < 0 ? r->message : "done", r->moved_bytes >> 20, r->failed_bytes >> 10,
               r->evicted_bytes >> 20, r->undo_error);
        for (size_t i = 0; i < r->n_residue; i++)
                printf("residue on %d: anon %" PRIu64 " file %" PRIu64 " shmem %" PRIu64 " other %" PRIu64
                       " KiB\n",
                       r->residue[i].node, r->residue[i].anon >> 10, r->residue[i].file >> 10,
                       r->residue[i].shmem >> 10, r->residue[i].other >> 10);
        apply_free(a);
        quit(r->error < 0);
}

static void add_step(Plan *plan, StepKind kind, const NodeSet *nodes, const NodeSet *from,
                     const NodeSet *inverse)
{
        plan->steps[plan->n_steps++] = (Step){
                .kind = kind,
                .nodes = *nodes,
                .from = *from,
                .has_inverse = inverse,
                .inverse_kind = kind,
                .inverse_nodes = inverse ? *inverse : NODESET_EMPTY,
        };
}

static void make_plan(const char *verb, const NodeSet *nodes, const NodeSet *from, const NodeSet *before,
                      Plan *plan)
{
        NodeSet up = nodeset_subtract(nodes, from);

        if (strcmp(verb, "grant") == 0) {
                add_step(plan, STEP_WRITE, nodes, from, before);
                add_step(plan, STEP_PROPERTY, nodes, from, before);
                add_step(plan, STEP_VERIFY, nodes, from, NULL);
                if (!nodeset_is_empty(from))
                        add_step(plan, STEP_MIGRATE, &up, from, NULL);
                return;
        }
        if (strcmp(verb, "release") == 0) {
                add_step(plan, STEP_DRAIN, nodes, from, NULL);
                add_step(plan, STEP_WRITE, nodes, from, NULL);
        }
        add_step(plan, STEP_PROPERTY, nodes, from, NULL);
        add_step(plan, STEP_VERIFY, nodes, from, NULL);
        add_step(plan, STEP_EVICT, nodes, from, NULL);
        add_step(plan, STEP_MEASURE, nodes, from, NULL);
}

static void on_unit(int error, UnitInfo *u, void *userdata)
{
        print_info(error, u);
        unit = u;
        sd_event_exit(event, error < 0);
}

static void apply(char *argv[])
{
        NodeSet nodes, from = NODESET_EMPTY, before = NODESET_EMPTY;
        Plan plan = { .n_steps = 0 };
        Apply *a;
        int fd;

        check(unit_get(gate, GATE_OWN, argv[2], on_unit, NULL, NULL), "unit_get");
        if (sd_event_loop(event) != 0)
                exit(1);
        sd_event_unref(event);
        check(nodeset_parse(argv[3], &nodes), "nodes");
        if (argv[4])
                check(nodeset_parse(argv[4], &from), "nodes");
        fd = cgroup_open(unit->cgroup, NULL);
        check(fd, unit->cgroup);
        check(cgroup_read_effective(fd, &before), "effective");
        make_plan(argv[1], &nodes, &from, &before, &plan);

        /* The first loop has ended; a second one starts afresh. */
        sd_bus_detach_event(bus);
        gate_free(gate);
        worker_free(worker);
        check(sd_event_new(&event), "event");
        check(sd_bus_attach_event(bus, event, 0), "bus");
        check(worker_new(event, 2, &worker), "worker");
        check(gate_new(event, bus, UNIT_TIMEOUT_USEC, &gate), "gate");
        start_measuring();
        check(apply_start(gate, worker, worker,
                          &(ApplyTarget){
                                  .unit = unit->name, .cgroup = unit->cgroup, .cgroup_id = unit->cgroup_id },
                          &plan, 0, on_applied, NULL, NULL, &a),
              "apply");
}

static void observe(const char *list)
{
        Observation *o;
        NodeSet nodes;

        check(nodeset_parse(list, &nodes), "nodes");
        started = now();
        check(observe_all("", &nodes, NULL, &o), "observe");
        for (size_t i = 0; i < o->n_holders; i++)
                printf("%d %s%s %" PRIu64 "\n", o->holders[i].bytes.node, o->holders[i].cgroup,
                       o->holders[i].inner ? " (inner)" : "", numa_bytes_all(&o->holders[i].bytes));
        for (size_t i = 0; i < o->n_nodes; i++) {
                Unattributed u;

                printf("node %d used %" PRIu64 " unattributed %" PRIu64 "\n", o->nodes[i].node,
                       o->nodes[i].size_bytes - o->nodes[i].free_bytes,
                       observation_unattributed(o, o->nodes[i].node, &u));
        }
        observation_free(o);
        quit(0);
}

static void on_unit_event(const char *name, const char *state, void *userdata)
{
        printf("event %s %s\n", name ? name : "-", state);
}

static int on_time(sd_event_source *s, uint64_t usec, void *userdata)
{
        quit(0);
        return 0;
}

static void watch(const char *seconds)
{
        sd_event_source *s;

        check(unit_subscribe(gate, on_unit_event, NULL, NULL), "subscribe");
        check(sd_event_add_time_relative(event, &s, CLOCK_MONOTONIC, strtoull(seconds, NULL, 10) * 1000000,
                                         0, on_time, NULL),
              "timer");
        started = now();
}

static void run(char *argv[])
{
        const char *verb = argv[1];
        UnitJobs *jobs;
        char *path;

        if (strcmp(verb, "grant") == 0 || strcmp(verb, "release") == 0 || strcmp(verb, "narrow") == 0) {
                apply(argv);
        } else if (strcmp(verb, "observe") == 0) {
                observe(argv[2]);
        } else if (strcmp(verb, "watch") == 0) {
                watch(argv[2]);
        } else if (strcmp(verb, "bench") == 0) {
                left = 100;
                started = now();
                check(unit_get(gate, GATE_OWN, argv[2], on_bench, argv[2], NULL), "unit_get");
        } else if (strcmp(verb, "bench-all") == 0) {
                left = 101;
                started = now();
                check(unit_path(argv[2], &path), "path");
                ping_bus = sd_bus_ref(bus);
                sd_bus_call_method_async(bus, NULL, "org.freedesktop.systemd1", path,
                                         "org.freedesktop.DBus.Properties", "GetAll", on_get_all, path, "s",
                                         "org.freedesktop.systemd1.Service");
        } else {
                start_measuring();
                if (strcmp(verb, "reload") == 0)
                        check(unit_daemon_reload(gate, on_done, NULL, NULL), "reload");
                else if (strcmp(verb, "poke") == 0) {
                        check(unit_find_member(argv[2], &path), "member");
                        check(unit_poke(gate, path, on_done, NULL, NULL), "poke");
                } else if (strcmp(verb, "scope") == 0) {
                        check(unit_jobs_new(bus, &jobs), "jobs");
                        check(unit_start_scope(gate, jobs, argv[2], argv[3], "a test", (pid_t)atoi(argv[4]),
                                               0, on_done, NULL, NULL),
                              "scope");
                } else if (argv[2][0] == '/')
                        check(unit_get_by_cgroup(gate, GATE_OWN, argv[2], on_info, NULL, NULL), "info");
                else if (strspn(argv[2], "0123456789") == strlen(argv[2]))
                        check(unit_get_by_pid(gate, GATE_OWN, (pid_t)atoi(argv[2]), on_info, NULL, NULL),
                              "info");
                else
                        check(unit_get(gate, GATE_OWN, argv[2], on_info, NULL, NULL), "info");
        }
}

int main(int argc, char *argv[])
{
        _cleanup_free_ char *error = NULL;
        int r;

        if (argc < 2)
                return 2;
        setvbuf(stdout, NULL, _IOLBF, 0);
        r = cgroup_setup("", &error);
        if (r < 0) {
                printf("%s (%s)\n", error, strerror(-r));
                return 1;
        }
        check(sd_event_new(&event), "event");
        check(sd_bus_open_system(&bus), "bus");
        check(sd_bus_set_close_on_exit(bus, false), "bus");
        check(sd_bus_attach_event(bus, event, 0), "bus");
        check(worker_new(event, 2, &worker), "worker");
        check(gate_new(event, bus, UNIT_TIMEOUT_USEC, &gate), "gate");
        run(argv);
        r = sd_event_loop(event);
        worker_free(worker);
        gate_free(gate);
        sd_bus_flush_close_unref(ping_bus);
        sd_bus_flush_close_unref(bus);
        sd_event_unref(event);
        unit_info_free(unit);
        return r;
}
