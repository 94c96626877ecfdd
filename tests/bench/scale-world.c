/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whole cdmds on private buses, with made-up machines and a made-up systemd (tests/bus): what the kernel and PID 1 cost
 * is not in the figures. Two worlds of different size take turns, so that what else the machine does meets both. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bench/scale.h"
#include "tests/vm/programs/pairs.h"
#include "tests/vm/programs/questions.h"

#define UNITS 1000u

uint64_t status_number(const World *w, const char *file, const char *key)
{
        char path[64], line[256];
        uint64_t value = 0;

        snprintf(path, sizeof(path), "/proc/%d/%s", w->cdmd, file);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f))
                if (strncmp(line, key, strlen(key)) == 0)
                        value = strtoull(line + strlen(key), NULL, 10);
        if (f)
                fclose(f);
        return value;
}

double cpu_ms(const World *w)
{
        struct timespec t = { 0 };
        clockid_t clock;

        if (clock_getcpuclockid(w->cdmd, &clock) != 0 || clock_gettime(clock, &t) < 0)
                fatal("clock", -errno);
        return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void world_enter(World *w)
{
        char path[128];

        setenv("DBUS_SYSTEM_BUS_ADDRESS", w->address, 1);
        snprintf(path, sizeof(path), "%s/notify", w->root);
        setenv("NOTIFY_SOCKET", path, 1);
}

/* What is told of events is not read, and would fill the queue of the client. */
void world_new(World *w)
{
        setenv("TMPDIR", "/dev/shm", 1); /* as /run: nothing waits for a disk */
        world_start(w);
        sd_bus_flush_close_unref(w->client);
        w->client = world_connect(w, geteuid());
}

/* What cdmd tells systemd: where nobody reads that, cdmd would wait in the end. */
static void drop_notices(World *w)
{
        char message[4096];

        while (recv(w->notify, message, sizeof(message), MSG_DONTWAIT) > 0)
                continue;
}

double restart_ms(World *w)
{
        world_enter(w);
        world_kill_cdmd(w, SIGTERM);
        drop_notices(w); /* READY=1 of a reload */
        double begin = now_ms();
        world_start_cdmd(w);
        return now_ms() - begin;
}

double grant_ms(World *w, double *ret_release)
{
        uint32_t id = 0;
        double begin = now_ms();
        int r = world_request(w->client, "cdm", BULK_BYTES, &id, 1, CDM_OPTION_UNIT, "s", "db.service");
        double took = now_ms() - begin;

        if (r < 0) {
                fprintf(stderr, "Request: %s\n", world_message);
                exit(EXIT_FAILURE);
        }
        begin = now_ms();
        must("Release", world_release(w->client, id));
        while (sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "GetReservation",
                                  NULL, NULL, "u", id) >= 0)
                usleep(200);
        if (ret_release)
                *ret_release = now_ms() - begin;
        return took;
}

void call(World *w, const char *member, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        va_list ap;

        must(member, sd_bus_message_new_method_call(w->client, &m, CDM_BUS_NAME, CDM_PATH,
                                                    CDM_INTERFACE_MANAGER, member));
        va_start(ap, types);
        if (*types)
                must(member, sd_bus_message_appendv(m, types, ap));
        va_end(ap);
        int r = sd_bus_call(w->client, m, 0, &error, NULL);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", member, error.message);
                exit(EXIT_FAILURE);
        }
}

double reload_ms(World *w)
{
        double begin = now_ms();

        call(w, "Reload", "");
        double took = now_ms() - begin;
        drop_notices(w);
        return took;
}

/* One page of what comes after that id: how many reservations are on it; *after is moved on, 0 after the last one. */
static int list_page(World *w, uint32_t *after)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int n = 0;

        int r = sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                   "ListReservations", NULL, &reply, "uua{sv}", *after, 1000, 0);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ua{sv})");
        while (r >= 0 && (r = sd_bus_message_skip(reply, "(ua{sv})")) > 0 && ++n)
                if ((r = sd_bus_message_at_end(reply, 0)) != 0)
                        break;
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "u", after);
        return r < 0 ? r : n;
}

/* All after that id, page by page: a page is shorter than what is asked for. */
static int list_rest(World *w, uint32_t after)
{
        int n = 0;

        do {
                int r = list_page(w, &after);
                if (r < 0)
                        return r;
                n += r;
        } while (after > 0);
        return n;
}

/* The last ones, at most 1,000. */
static double list_ms(World *w, uint32_t n)
{
        double begin = now_ms();
        int listed = list_rest(w, n > 1000 ? n - 1000 : 0);
        double took = now_ms() - begin;

        must("ListReservations", listed);
        if ((uint32_t)listed != (n > 1000 ? 1000 : n)) {
                fprintf(stderr, "ListReservations has %d of %" PRIu32 "\n", listed, n);
                exit(EXIT_FAILURE);
        }
        return took;
}

sd_bus *monitor_new(World *w)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *cdmd = NULL;
        const char *name;
        char rule[64];
        sd_bus *bus;

        must("cdmd", sd_bus_get_name_creds(w->client, CDM_BUS_NAME, SD_BUS_CREDS_UNIQUE_NAME, &cdmd));
        must("cdmd", sd_bus_creds_get_unique_name(cdmd, &name));
        must("monitor", sd_bus_new(&bus));
        must("monitor", sd_bus_set_address(bus, w->address));
        must("monitor", sd_bus_set_bus_client(bus, true));
        must("monitor", sd_bus_set_monitor(bus, true));
        must("monitor", sd_bus_start(bus));
        snprintf(rule, sizeof(rule), "sender='%s'", name);
        must("monitor",
             sd_bus_message_new_method_call(bus, &m, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                            "org.freedesktop.DBus.Monitoring", "BecomeMonitor"));
        must("monitor", sd_bus_message_append(m, "asu", 1, rule, 0));
        must("monitor", sd_bus_call(bus, m, 0, NULL, NULL));
        return bus;
}

unsigned monitor_read(sd_bus *monitor, uint64_t patience_usec)
{
        unsigned n = 0;
        int r;

        do {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

                r = sd_bus_process(monitor, &m);
                must("monitor", r);
                n += m && (sd_bus_message_is_signal(m, NULL, NULL) > 0 ||
                           sd_bus_message_is_method_call(m, NULL, NULL) > 0);
                if (r == 0)
                        r = sd_bus_wait(monitor, patience_usec);
        } while (r > 0);
        return n;
}

static void print_messages(Scale *s)
{
        sd_bus *monitor = monitor_new(&s->w);
        const uint64_t patience_usec = 300 * 1000;

        for (int i = 0; i < 10; i++)
                (void)grant_ms(&s->w, NULL);
        scale_point(s, "signals and calls of a grant and release", "messages",
                    monitor_read(monitor, patience_usec) / 10.0);
        (void)reload_ms(&s->w);
        scale_point(s, "signals and calls of a Reload", "messages", monitor_read(monitor, patience_usec));
        sd_bus_flush_close_unref(monitor);
}

void scale_fill(Scale *s)
{
        char name[64], cgroup[128];

        world_enter(&s->w);
        world_kill_cdmd(&s->w, SIGTERM);
        if (strcmp(s->of, "reservations") == 0) {
                world_put_reservations(&s->w, 1, s->n, s->n < UNITS ? s->n : UNITS);
                return;
        }
        for (uint32_t i = 0; i < s->n; i++) {
                snprintf(name, sizeof(name), "leaf-%" PRIu32 ".service", i);
                snprintf(cgroup, sizeof(cgroup), "/system.slice/%s", name);
                world_add_unit(&s->w, name, "system.slice", cgroup, "");
        }
}

void scale_point(const Scale *s, const char *what, const char *unit, double y)
{
        char curve[128];

        snprintf(curve, sizeof(curve), "%s, by %s", what, s->of);
        print_point(curve, unit, s->n, y);
}

void settle(const World *w)
{
        uint64_t before = 0;
        int n_same = 0;

        while (n_same < 3) {
                usleep(300 * 1000);
                uint64_t reads = status_number(w, "io", "syscr:");
                n_same = reads == before ? n_same + 1 : 0;
                before = reads;
        }
}

static void scale_print(Scale *s)
{
        double took[15];

        uint32_t asked = world_steer(&s->w, "Asked", 0);
        scale_point(s, "start to READY", "ms", restart_ms(&s->w));
        scale_point(s, "RSS of cdmd", "MiB", (double)status_number(&s->w, "status", "VmRSS:") / 1024);
        scale_point(s, "processor time of a start", "ms", cpu_ms(&s->w));
        scale_point(s, "reads of a start", "calls", (double)status_number(&s->w, "io", "syscr:"));
        scale_point(s, "calls of PID 1 by a start", "calls", world_steer(&s->w, "Asked", 0) - asked);

        (void)grant_ms(&s->w, NULL);
        settle(&s->w);
        uint64_t reads = status_number(&s->w, "io", "syscr:"), writes = status_number(&s->w, "io", "syscw:");
        double cpu = cpu_ms(&s->w);
        asked = world_steer(&s->w, "Asked", 0);
        for (size_t i = 0; i < ARRAY_SIZE(took); i++)
                took[i] = grant_ms(&s->w, NULL);
        double n = ARRAY_SIZE(took);
        scale_point(s, "Request, until answered", "ms", median(took, ARRAY_SIZE(took)));
        scale_point(s, "processor time of a grant and release", "ms", (cpu_ms(&s->w) - cpu) / n);
        scale_point(s, "reads of a grant and release", "calls",
                    (double)(status_number(&s->w, "io", "syscr:") - reads) / n);
        scale_point(s, "writes of a grant and release", "calls",
                    (double)(status_number(&s->w, "io", "syscw:") - writes) / n);
        scale_point(s, "calls of PID 1 by a grant and release", "calls",
                    (world_steer(&s->w, "Asked", 0) - asked) / n);
        cpu = cpu_ms(&s->w);
        for (size_t i = 0; i < 5; i++)
                took[i] = reload_ms(&s->w);
        scale_point(s, "Reload", "ms", median(took, 5));
        scale_point(s, "processor time of a Reload", "ms", (cpu_ms(&s->w) - cpu) / 5);
        settle(&s->w);
        print_messages(s);
        if (strcmp(s->of, "reservations") == 0) {
                for (size_t i = 0; i < ARRAY_SIZE(took); i++)
                        took[i] = list_ms(&s->w, s->n);
                scale_point(s, "a list of up to 1,000", "ms", median(took, ARRAY_SIZE(took)));
        }
}

void curves_of_worlds(const char *of, uint32_t last, uint32_t small, uint32_t large)
{
        static Scale a, b;
        char row[128];
        Pair pairs[25];

        a.n = b.n = 0;
        for (uint32_t n = 10; n <= last; n *= 10) {
                Scale *s = n == small ? &a : n == large ? &b : allocate(1, sizeof(Scale));
                s->of = of;
                s->n = n;
                world_new(&s->w);
                scale_fill(s);
                scale_print(s);
                if (n != small && n != large)
                        world_stop(&s->w);
        }
        if (!a.n || !b.n)
                return;
        settle(&a.w);
        settle(&b.w);
        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
                pairs[i] = (Pair){ grant_ms(&b.w, NULL), grant_ms(&a.w, NULL) };
        snprintf(row, sizeof(row), "`Request` with %" PRIu32 " %s|with %" PRIu32 "|<=2|ms", large, of,
                 small);
        pairs_print(row, pairs, ARRAY_SIZE(pairs));
        if (strcmp(of, "reservations") == 0) {
                for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
                        pairs[i] = (Pair){ list_ms(&b.w, large), list_ms(&a.w, small) };
                snprintf(row, sizeof(row), "a list of 1,000 out of %" PRIu32 " %s|out of %" PRIu32 "|<=2|ms",
                         large, of, small);
                pairs_print(row, pairs, ARRAY_SIZE(pairs));
        }
        world_stop(&a.w);
        world_stop(&b.w);
}

/* --- answers without I/O ------------------------------------------------------------------------------ */

static int answer_ping(World *w)
{
        return sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, "org.freedesktop.DBus.Peer", "Ping",
                                  NULL, NULL, NULL);
}

static int answer_all(World *w)
{
        return sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH_RESERVATION "/7",
                                  "org.freedesktop.DBus.Properties", "GetAll", NULL, NULL, "s",
                                  CDM_INTERFACE_RESERVATION);
}

static int answer_manager(World *w)
{
        return sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, "org.freedesktop.DBus.Properties",
                                  "GetAll", NULL, NULL, "s", CDM_INTERFACE_MANAGER);
}

static int answer_property(World *w)
{
        return sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH_RESERVATION "/7",
                                  "org.freedesktop.DBus.Properties", "Get", NULL, NULL, "ss",
                                  CDM_INTERFACE_RESERVATION, "Size");
}

static int answer_explain(World *w)
{
        return sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Explain", NULL,
                                  NULL, "sta{sv}", "cdm", BULK_BYTES, 1, CDM_OPTION_UNIT, "s", "db.service");
}

/* Refused by policy, which is no failure here. */
static int answer_denied(World *w)
{
        int r = sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Request", NULL,
                                   NULL, "sta{sv}", "cdm", 2 * GIB, 1, CDM_OPTION_UNIT, "s", "db.service");

        return r < 0 ? 0 : -EINVAL;
}

/* The least that an answer about a unit needs: a call of the daemon, and its questions. */
static int answer_least(World *w)
{
        int r = answer_ping(w);

        if (r >= 0)
                r = ask_who_calls(w->client);
        return r < 0 ? r : ask_what_unit_is(w->client, "db.service");
}

static int answer_get(World *w)
{
        return sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "GetReservation",
                                  NULL, NULL, "u", 7);
}

static int answer_list(World *w)
{
        int n = list_rest(w, 0);

        return n == 1000 ? n : -EIO;
}

static double rate(World *w, int (*answer)(World *w))
{
        unsigned n = 0;
        double begin = now_ms(), took;

        do {
                must("call", answer(w));
                n++;
                took = now_ms() - begin;
        } while (took < 20);
        return n * 1000 / took;
}

static void print_rates(World *w, const char *row, int (*ours)(World *w), int (*reference)(World *w),
                        double times)
{
        Pair pairs[100];

        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
                pairs[i] = (Pair){ rate(w, ours), rate(w, reference) / times };
        pairs_print(row, pairs, ARRAY_SIZE(pairs));
}

void measure_answers(void)
{
        static Scale s = { .of = "reservations", .n = 1000 };

        world_new(&s.w);
        scale_fill(&s);
        (void)restart_ms(&s.w);
        print_rates(&s.w, "`Get` of one property|`Ping` of cdmd|>=0.7|/s", answer_property, answer_ping, 1);
        print_rates(&s.w, "`GetReservation`|`Ping` of cdmd|>=0.7|/s", answer_get, answer_ping, 1);
        print_rates(&s.w, "`Explain`|`Ping` of cdmd|>=0.7|/s", answer_explain, answer_ping, 1);
        print_rates(&s.w, "a `Request` that policy denies|`Ping` of cdmd|>=0.7|/s", answer_denied,
                    answer_ping, 1);
        print_rates(
                &s.w,
                "`Explain`, as above|a `Ping` of cdmd and the questions to the bus and PID 1 on which its answer depends, asked by the same client alone||/s",
                answer_explain, answer_least, 1);
        print_rates(&s.w, "`GetAll` of the manager|`Ping` of cdmd||/s", answer_manager, answer_ping, 1);
        print_rates(
                &s.w,
                "a list of 1,000, by pages of `ListReservations`|1,000 `GetAll` of a reservation|>=0.7|/s",
                answer_list, answer_all, 1000);
        world_stop(&s.w);
}

/* world.c can only be used in a test. */
