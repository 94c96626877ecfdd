/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A hostile number of everything, on a bus with the limits of the system bus: 512 matches and 128 open calls
 * a connection (the defaults of dbus-daemon, which the private bus has as well). Whatever comes, cdmd keeps
 * its connection, others are served, and calls are answered. */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/loop/event-limit.h"
#include "daemon/loop/match.h"
#include "daemon/loop/peers.h"
#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

/* Fewer than the 128 that the bus allows each. */
#define OPEN_MAX 120
/* One that is silent for so long is not slow: the test is to fail, not to hang. */
#define SILENT_MS (120 * 1000)

static World w;

static void start(void)
{
        world_start(&w);
}

static void stop(void)
{
        world_stop(&w);
}

/* --- many calls -------------------------------------------------------------------------------------------
 */

/* What came back from calls that were sent without waiting. */
typedef struct Tally {
        unsigned sent, ok, failed;
        char error[128], message[512]; /* of the last that failed */
} Tally;

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);
        Tally *t = userdata;

        if (e) {
                t->failed++;
                snprintf(t->error, sizeof(t->error), "%s", e->name);
                snprintf(t->message, sizeof(t->message), "%s", e->message ? e->message : "");
        } else
                t->ok++;
        return 0;
}

static void send_request(sd_bus *bus, Tally *t, const char *unit, uint64_t size)
{
        ck_assert_int_ge(sd_bus_call_method_async(bus, NULL, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                  "Request", on_reply, t, "sta{sv}", "cdm", size, 1,
                                                  CDM_OPTION_UNIT, "s", unit),
                         0);
        t->sent++;
}

static void send_reload(sd_bus *bus, Tally *t)
{
        ck_assert_int_ge(sd_bus_call_method_async(bus, NULL, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                  "Reload", on_reply, t, NULL),
                         0);
        t->sent++;
}

static void process(sd_bus *bus)
{
        int r = sd_bus_process(bus, NULL);

        ck_assert_int_ge(r, 0);
        if (r == 0)
                ck_assert_int_ge(sd_bus_wait(bus, 1000), 0);
}

static void wait_answers(sd_bus *bus, const Tally *t, unsigned n)
{
        while (t->ok + t->failed < n)
                process(bus);
}

static void assert_alive(void)
{
        int status;

        ck_assert_msg(waitpid(w.cdmd, &status, WNOHANG) == 0, "cdmd has ended");
}

static uint32_t grant(const char *unit)
{
        uint32_t id = 0;
        int r = world_request(w.client, "cdm", GIB / 64, &id, 1, CDM_OPTION_UNIT, "s", unit);

        ck_assert_msg(r == 0, "%s: %s", world_error, world_message);
        return id;
}

/* Some user of this machine but root: the bus knows no others. */
static uid_t some_user(unsigned i)
{
        unsigned k = 0;

        for (;;) {
                struct passwd *p;
                setpwent();
                while ((p = getpwent()))
                        if (p->pw_uid != 0 && k++ == i)
                                return p->pw_uid;
                ck_assert_uint_ge(k, 6);
        }
}

static void close_all(sd_bus **bus, size_t n)
{
        for (size_t i = 0; i < n; i++)
                sd_bus_flush_close_unref(bus[i]);
}

/* cdmd has read whatever was sent on this connection before. */
static void ping(sd_bus *bus)
{
        ck_assert_int_ge(sd_bus_call_method(bus, CDM_BUS_NAME, CDM_PATH, "org.freedesktop.DBus.Peer", "Ping",
                                            NULL, NULL, NULL),
                         0);
}

/* Calls that wait for a polkit that hangs: more than the bus allows matches. requests: of one user for
 * another's unit; else reloads of many users. */
static void wait_for_polkit(bool requests)
{
        enum { BUSES = 5 };
        Tally t[BUSES] = { 0 };
        sd_bus *bus[BUSES];

        world_start_polkit(&w, "hang");
        for (int b = 0; b < BUSES; b++) {
                bus[b] = world_connect(&w, requests ? USER_NOBODY : some_user((unsigned)b));
                for (int i = 0; i < OPEN_MAX; i++)
                        if (requests)
                                send_request(bus[b], &t[b], "db.service", GIB / 64);
                        else
                                send_reload(bus[b], &t[b]);
                ping(bus[b]);
                grant("train.service");
                assert_alive();
        }
        /* They go, and cdmd has nothing to do with them any more. */
        close_all(bus, BUSES);
        grant("train.service");
        ck_assert_str_eq(world_get(&w, "/sys/fs/cgroup/system.slice/db.service/cpuset.mems"), "0-1");
        assert_alive();
}

START_TEST(requests_without_number_wait_for_polkit)
{
        wait_for_polkit(true);
}
END_TEST

START_TEST(reloads_without_number_wait_for_polkit)
{
        wait_for_polkit(false);
}
END_TEST

/* A question that polkit does not answer is open at the bus for as long as polkit is there, also when the
 * one who asked went away: users and their connections come and go, and PID 1 must stay within reach. */
START_TEST(questions_that_nobody_answers_stay_few)
{
        enum { USERS = 60, EACH = 6 };

        world_start_polkit(&w, "hang");
        for (int u = 0; u < USERS; u++) {
                sd_bus *bus = world_connect(&w, some_user((unsigned)u));
                Tally t = { 0 };

                for (int i = 0; i < EACH; i++)
                        send_reload(bus, &t);
                ck_assert_int_ge(sd_bus_flush(bus), 0);
                if (u < 6) /* the places that there are */
                        for (int i = 0; i < 4; i++)
                                ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_MANAGE);
                uint32_t id = grant("train.service");
                ck_assert_int_eq(world_release(w.client, id), 0);
                world_wait_event(&w, "released", id);
                sd_bus_flush_close_unref(bus);
        }
        assert_alive();
        /* polkit is started anew, and all is well. */
        world_start_polkit(&w, "yes");
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        uint32_t id;
        ck_assert_int_eq(world_request(bus, "cdm", GIB / 64, &id, 1, CDM_OPTION_UNIT, "s", "db.service"), 0);
        sd_bus_flush_close_unref(bus);
}
END_TEST

/* Nobody waits for ever: each is told what to look at. */
START_TEST(who_waits_for_a_polkit_that_hangs_is_told_so)
{
        enum { N = 8 };
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        Tally t = { 0 };

        world_start_polkit(&w, "hang");
        /* Later than cdmd. */
        ck_assert_int_ge(sd_bus_set_method_call_timeout(bus, UINT64_C(120) * 1000 * 1000), 0);
        for (int i = 0; i < N; i++)
                send_reload(bus, &t);
        wait_answers(bus, &t, N);
        ck_assert_uint_eq(t.failed, N);
        ck_assert_str_eq(t.error, CDM_ERROR_DENIED);
        ck_assert_msg(strstr(t.message, "systemctl status polkit"), "%s", t.message);
        assert_alive();
        sd_bus_flush_close_unref(bus);
}
END_TEST

/* --- many that wait ---------------------------------------------------------------------------------------
 */

enum { WAITERS = 560 };

/* All of the pool is db's; WAITERS requests wait for it, of as many connections as that takes. */
static uint32_t fill_queue(sd_bus *bus, unsigned n)
{
        uint32_t first = 0, id;

        world_put(&w, "/etc/cdm/cdmd.conf", "[Reservations]\nQueueMax=4096\nMaxPerUser=4096\n");
        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=infinity\nPriority=100\nOnFull=queue\n");
        ck_assert_int_eq(world_request(w.client, "cdm", world_available(&w), &first, 1, CDM_OPTION_UNIT, "s",
                                       "db.service"),
                         0);
        for (unsigned i = 0; i < n; i++) {
                int r = world_request(bus, "cdm", GIB / 64, &id, 2, CDM_OPTION_UNIT, "s", "train.service",
                                      CDM_OPTION_QUEUE, "t", UINT64_MAX);
                ck_assert_msg(r == 0, "waiter %u: %s: %s", i, world_error, world_message);
        }
        return first;
}

static unsigned count_state(const char *state)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *path, *interface, *key, *value;
        unsigned n = 0;

        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH,
                                            "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL,
                                            &m, NULL),
                         0);
        ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}"), 0);
        while (sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}") > 0) {
                ck_assert_int_ge(sd_bus_message_read(m, "o", &path), 0);
                ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', "{sa{sv}}"), 0);
                while (sd_bus_message_enter_container(m, 'e', "sa{sv}") > 0) {
                        ck_assert_int_ge(sd_bus_message_read(m, "s", &interface), 0);
                        ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', "{sv}"), 0);
                        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                                ck_assert_int_ge(sd_bus_message_read(m, "s", &key), 0);
                                if (strcmp(interface, CDM_INTERFACE_RESERVATION) == 0 &&
                                    strcmp(key, "State") == 0) {
                                        ck_assert_int_ge(sd_bus_message_read(m, "v", "s", &value), 0);
                                        n += strcmp(value, state) == 0;
                                } else
                                        ck_assert_int_ge(sd_bus_message_skip(m, "v"), 0);
                                ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
                        }
                        ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
                        ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
                }
                ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
                ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
        }
        return n;
}

/* What cdmctl says of them. */
static unsigned count_listed(void)
{
        unsigned n = 0;
        char line[512];
        FILE *f = popen(BUILD_DIR "/cdmctl list --no-legend --no-pager", "r");

        ck_assert_ptr_nonnull(f);
        while (fgets(line, sizeof(line), f))
                n += strstr(line, "queued") != NULL;
        ck_assert_int_eq(pclose(f), 0);
        return n;
}

/* More than the bus allows matches, and after a restart more than it allows open calls. */
START_TEST(waiters_without_number)
{
        sd_bus *bus = world_connect(&w, geteuid());

        fill_queue(bus, WAITERS);
        ck_assert_uint_eq(count_state("queued"), WAITERS);
        assert_alive();
        world_kill_cdmd(&w, SIGKILL);
        world_start_cdmd(&w);
        ck_assert_uint_eq(count_state("queued"), WAITERS);
        ck_assert_uint_eq(count_listed(), WAITERS);
        assert_alive();
        /* They all end with their client, of which the bus tells once. */
        sd_bus_flush_close_unref(bus);
        while (count_state("queued") > 0)
                ;
        assert_alive();
}
END_TEST

/* The bus drops cdmd: it ends, is started again as systemd would, and has lost nobody who waits. */
START_TEST(a_connection_that_is_lost)
{
        int status;
        uint32_t first = fill_queue(w.client, 3);

        struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, w.cdmd, 0), .events = POLLIN };
        ck_assert_int_ge(p.fd, 0);
        world_cut_cdmd(&w);
        ck_assert_msg(poll(&p, 1, SILENT_MS) == 1, "cdmd goes on without a bus");
        close(p.fd);
        ck_assert_int_eq(waitpid(w.cdmd, &status, 0), w.cdmd);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%x", (unsigned)status);
        world_start_cdmd(&w);
        ck_assert_uint_eq(count_state("queued"), 3);
        ck_assert_int_eq(world_release(w.client, first), 0);
        while (count_state("active") < 3)
                ;
}
END_TEST

/* cdmctl waits, cdmd comes and goes twice, and then there is room. */
START_TEST(cdmctl_waits_through_restarts)
{
        uint32_t first = fill_queue(w.client, 0);
        int status;

        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                execl(BUILD_DIR "/cdmctl", "cdmctl", "request", "cdm", "16M", "--unit", "train.service",
                      "--queue", NULL);
                _exit(127);
        }
        while (count_state("queued") < 1)
                ;
        for (int i = 0; i < 2; i++) {
                world_kill_cdmd(&w, SIGKILL);
                world_start_cdmd(&w);
                ck_assert_uint_eq(count_state("queued"), 1);
        }
        ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0);
        ck_assert_int_eq(world_release(w.client, first), 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
        ck_assert_uint_eq(count_state("active"), 1);
}
END_TEST

/* --- many scopes ------------------------------------------------------------------------------------------
 */

/* cdmctl run, again and again, while PID 1 has so much to do that no job ends. */
START_TEST(scopes_without_number)
{
        enum { SCOPES = 600, BUSES = SCOPES / OPEN_MAX };
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        sd_bus *bus[BUSES];
        Tally t[BUSES] = { 0 };
        unsigned n = 0;

        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=infinity\n");
        world_add_unit(&w, "session-4.scope", "user-0.slice", "/user.slice/user-0.slice/session-4.scope",
                       "");
        world_be(&w, 0, "/user.slice/user-0.slice/session-4.scope");
        world_steer(&w, "HoldJobs", 1);
        for (int b = 0; b < BUSES; b++) {
                bus[b] = world_connect(&w, 0);
                for (int i = 0; i < OPEN_MAX; i++) {
                        ck_assert_int_ge(sd_bus_call_method_async(bus[b], NULL, CDM_BUS_NAME, CDM_PATH,
                                                                  CDM_INTERFACE_MANAGER, "Request", on_reply,
                                                                  &t[b], "sta{sv}", "cdm",
                                                                  UINT64_C(64) << 10, 2, CDM_OPTION_PIDFD,
                                                                  "h", pidfd, CDM_OPTION_SCOPE, "b", 1),
                                         0);
                        ck_assert_int_ge(sd_bus_flush(bus[b]), 0);
                        n++;
                        while (world_steer(&w, "Scopes", 0) < n && t[b].failed == 0)
                                ck_assert_int_ge(sd_bus_process(bus[b], NULL), 0);
                        ck_assert_msg(t[b].failed == 0, "scope %u: %s: %s", n, t[b].error, t[b].message);
                }
        }
        assert_alive();
        world_steer(&w, "HoldJobs", 0);
        for (int b = 0; b < BUSES; b++)
                /* Only one process asks, which can be in one scope at the end: the others are refused. */
                wait_answers(bus[b], &t[b], OPEN_MAX);
        assert_alive();
        grant("train.service");
        close_all(bus, BUSES);
        close(pidfd);
}
END_TEST

/* --- long calls -------------------------------------------------------------------------------------------
 */

static sd_bus_message *new_call(const char *path, const char *interface, const char *member)
{
        sd_bus_message *m;

        ck_assert_int_ge(sd_bus_message_new_method_call(w.client, &m, CDM_BUS_NAME, path, interface, member),
                         0);
        return m;
}

static const char *letters(size_t n)
{
        static char text[32 << 10];

        MUST(n < sizeof(text));
        memset(text, 'a', n);
        text[n] = '\0';
        return text;
}

/* Consumes the call. */
static void call_fails(sd_bus_message *m, const char *error_name, const char *part)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        ck_assert_int_lt(sd_bus_call(w.client, m, 0, &error, NULL), 0);
        ck_assert_msg(strcmp(error.name, error_name) == 0 && strstr(error.message, part), "%s: %s",
                      error.name, error.message);
        sd_bus_message_unref(m);
}

static void is_too_long(sd_bus_message *m)
{
        call_fails(m, SD_BUS_ERROR_LIMITS_EXCEEDED, "16384");
}

/* Arrays without elements have nearly no bytes, and take as long to read as anything else. */
START_TEST(empty_containers_make_a_call_long)
{
        sd_bus_message *m = new_call(CDM_PATH, CDM_INTERFACE_MANAGER, "Request");

        MUST(sd_bus_message_append(m, "st", "cdm", GIB) >= 0);
        MUST(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        MUST(sd_bus_message_open_container(m, 'e', "sv") >= 0);
        MUST(sd_bus_message_append(m, "s", "x") >= 0);
        MUST(sd_bus_message_open_container(m, 'v', "aay") >= 0);
        MUST(sd_bus_message_open_container(m, 'a', "ay") >= 0);
        for (int i = 0; i < 3000; i++)
                MUST(sd_bus_message_append(m, "ay", 0) >= 0);
        for (int i = 0; i < 4; i++)
                MUST(sd_bus_message_close_container(m) >= 0);
        is_too_long(m);
}
END_TEST

START_TEST(a_list_asked_for_at_length)
{
        sd_bus_message *m = new_call(CDM_PATH, CDM_INTERFACE_MANAGER, "ListReservations");

        MUST(sd_bus_message_append(m, "uu", 0, 10) >= 0);
        MUST(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        for (int i = 0; i < 2000; i++)
                MUST(sd_bus_message_append(m, "{sv}", CDM_FILTER_UID, "u", 0) >= 0);
        MUST(sd_bus_message_close_container(m) >= 0);
        is_too_long(m);
}
END_TEST

/* Properties and objects, too, whether cdmd answers at once or has the call wait. */
START_TEST(long_questions_for_properties)
{
        static const char *const properties[] = { "Used", "Labels", "State" };
        char path[64];
        sd_bus_message *m;

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, grant("train.service"));
        for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
                m = new_call(path, "org.freedesktop.DBus.Properties", "Get");
                MUST(sd_bus_message_append(m, "sss", CDM_INTERFACE_RESERVATION, properties[i],
                                           letters(20000)) >= 0);
                is_too_long(m);
        }
        m = new_call(CDM_PATH, "org.freedesktop.DBus.Properties", "Get");
        MUST(sd_bus_message_append(m, "sss", CDM_INTERFACE_MANAGER, "FenceState", letters(20000)) >= 0);
        is_too_long(m);
        m = new_call(CDM_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");
        MUST(sd_bus_message_append(m, "s", letters(20000)) >= 0);
        is_too_long(m);
        m = new_call(CDM_PATH, "org.freedesktop.DBus.Properties", "GetAll");
        MUST(sd_bus_message_append(m, "s", letters(20000)) >= 0);
        is_too_long(m);
}
END_TEST

/* sd-bus looks up each part of a path, and all of that again for each thing that can be there. */
START_TEST(no_object_has_a_long_path)
{
        char path[1024] = "";
        sd_bus_message *m;

        while (strlen(path) + 2 < sizeof(path))
                strcat(path, "/a");
        m = new_call(path, "org.freedesktop.DBus.Introspectable", "Introspect");
        call_fails(m, SD_BUS_ERROR_UNKNOWN_OBJECT, "so long a path");
}
END_TEST

/* The longest name of a pool makes the longest path of an object. */
START_TEST(the_longest_path_is_one_of_a_pool)
{
        static const char name[] = "----------------------------------------------------------------";
        _cleanup_free_ char *path = NULL, *text = NULL;
        char file[128];

        ck_assert_uint_eq(strlen(name), 64);
        snprintf(file, sizeof(file), "/etc/cdm/pools.d/%s.conf", name);
        world_put(&w, file, "[Pool]\nNodes=2-3\n");
        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=1G\n");
        ck_assert_int_ge(sd_bus_path_encode(CDM_PATH_POOL, name, &path), 0);
        ck_assert_int_ge(sd_bus_get_property_string(w.client, CDM_BUS_NAME, path, CDM_INTERFACE_POOL, "Name",
                                                    NULL, &text),
                         0);
        ck_assert_str_eq(text, name);
}
END_TEST

START_TEST(a_call_may_have_ten_kilobytes)
{
        sd_bus_message *m = new_call(CDM_PATH, CDM_INTERFACE_MANAGER, "Request");

        MUST(sd_bus_message_append(m, "sta{sv}", letters(10000), GIB, 1, CDM_OPTION_UNIT, "s",
                                   "train.service") >= 0);
        call_fails(m, CDM_ERROR_NO_SUCH_POOL, "aaa");
        m = new_call(CDM_PATH, "org.freedesktop.DBus.Properties", "GetAll");
        MUST(sd_bus_message_append(m, "s", letters(10000)) >= 0);
        call_fails(m, SD_BUS_ERROR_UNKNOWN_INTERFACE, "aaa");
}
END_TEST

/* --- many calls of GetManagedObjects ----------------------------------------------------------------------
 */

enum { OBJECTS = 900, FLOOD_EACH = 4, FLOOD_MAX = 8 };

typedef struct Flood {
        sd_bus *bus[FLOOD_MAX];
        Tally t;
} Flood;

static void start_objects(void)
{
        start();
        world_kill_cdmd(&w, SIGTERM);
        world_put_reservations(&w, 1, OBJECTS, 1);
        world_start_cdmd(&w);
}

/* The bus has passed on whatever was sent on this connection, and what it had for this connection has been
 * read. */
static void settle(sd_bus *bus)
{
        ck_assert_int_ge(sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                            "org.freedesktop.DBus", "GetId", NULL, NULL, NULL),
                         0);
        while (sd_bus_process(bus, NULL) > 0)
                ;
}

static void flood_settle(Flood *f, unsigned n)
{
        for (unsigned b = 0; b < n; b++)
                settle(f->bus[b]);
}

/* n connections. None of their calls is over the limit of a connection. */
static void flood(Flood *f, unsigned n, bool introspect)
{
        const char *path = introspect ? CDM_PATH_RESERVATION : CDM_PATH;
        const char *interface =
                introspect ? "org.freedesktop.DBus.Introspectable" : "org.freedesktop.DBus.ObjectManager";
        const char *member = introspect ? "Introspect" : "GetManagedObjects";

        *f = (Flood){ 0 };
        for (unsigned b = 0; b < n; b++) {
                f->bus[b] = world_connect(&w, geteuid());
                for (int i = 0; i < FLOOD_EACH; i++, f->t.sent++)
                        ck_assert_int_ge(sd_bus_call_method_async(f->bus[b], NULL, CDM_BUS_NAME, path,
                                                                  interface, member, on_reply, &f->t, NULL),
                                         0);
                ck_assert_int_ge(sd_bus_flush(f->bus[b]), 0);
        }
}

static void wait_flood(Flood *f, unsigned n, unsigned n_answers)
{
        while (f->t.ok + f->t.failed < n_answers)
                flood_settle(f, n);
}

static void stop_cdmd(void)
{
        int status;

        ck_assert_int_eq(kill(w.cdmd, SIGSTOP), 0);
        ck_assert_int_eq(waitpid(w.cdmd, &status, WUNTRACED), w.cdmd);
        ck_assert(WIFSTOPPED(status));
}

/* One who asks when many others are being answered is not the last one to get an answer. */
START_TEST(a_ping_passes_lists_of_objects)
{
        enum { BUSES = 4, SENT = BUSES * FLOOD_EACH };
        Tally pings = { 0 };
        Flood f;

        ping(w.client);
        for (;;) {
                flood(&f, BUSES, false);
                wait_flood(&f, BUSES, 1);
                stop_cdmd();
                flood_settle(&f, BUSES);
                if (f.t.ok + f.t.failed <= SENT / 2)
                        break;
                /* The test was too slow: few are left to be passed. */
                ck_assert_int_eq(kill(w.cdmd, SIGCONT), 0);
                wait_flood(&f, BUSES, SENT);
                close_all(f.bus, BUSES);
        }
        ck_assert_int_ge(sd_bus_call_method_async(w.client, NULL, CDM_BUS_NAME, CDM_PATH,
                                                  "org.freedesktop.DBus.Peer", "Ping", on_reply, &pings,
                                                  NULL),
                         0);
        settle(w.client);
        ck_assert_int_eq(kill(w.cdmd, SIGCONT), 0);
        wait_answers(w.client, &pings, 1);
        ck_assert_uint_eq(pings.ok, 1);
        flood_settle(&f, BUSES);
        ck_assert_uint_lt(f.t.ok + f.t.failed, SENT);
        wait_flood(&f, BUSES, SENT);
        ck_assert_msg(f.t.failed == 0, "%s: %s", f.t.error, f.t.message);
        close_all(f.bus, BUSES);
}
END_TEST

static void few_lists_wait(bool introspect)
{
        Flood f;

        ping(w.client);
        stop_cdmd();
        flood(&f, FLOOD_MAX, introspect);
        flood_settle(&f, FLOOD_MAX);
        ck_assert_int_eq(kill(w.cdmd, SIGCONT), 0);
        wait_flood(&f, FLOOD_MAX, f.t.sent);
        ck_assert_uint_ge(f.t.ok, 16);
        ck_assert_uint_gt(f.t.failed, 0);
        ck_assert_str_eq(f.t.error, CDM_ERROR_BUSY);
        ck_assert_msg(strstr(f.t.message, "GetManagedObjects and Introspect"), "%s", f.t.message);
        ck_assert_uint_eq(count_state("active"), OBJECTS);
        close_all(f.bus, FLOOD_MAX);
}

START_TEST(lists_of_objects_have_a_limit)
{
        few_lists_wait(false);
        few_lists_wait(true);
}
END_TEST

/* --- many events ------------------------------------------------------------------------------------------
 */

static unsigned n_denied, n_migrated, n_fenced, n_told; /* n_told: granted, draining, released */
static uint64_t n_left_out;

static int on_event(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *kind, *key;
        uint32_t id;

        ck_assert_int_ge(sd_bus_message_read(m, "su", &kind, &id), 0);
        if (strcmp(kind, "granted") == 0 || strcmp(kind, "draining") == 0 || strcmp(kind, "released") == 0)
                n_told++;
        else if (strcmp(kind, "denied") == 0)
                n_denied++;
        else if (strcmp(kind, "migrated") == 0)
                n_migrated++;
        else if (strcmp(kind, "fenced") == 0)
                n_fenced++;
        else
                return 0;
        ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', "{sv}"), 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                uint64_t v = 0;
                ck_assert_int_ge(sd_bus_message_read(m, "s", &key), 0);
                if (strcmp(key, "left-out") == 0)
                        ck_assert_int_ge(sd_bus_message_read(m, "v", "t", &v), 0);
                else
                        ck_assert_int_ge(sd_bus_message_skip(m, "v"), 0);
                n_left_out += v;
                ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
        }
        return 0;
}

/* One who is refused without end is told so each time; everybody else hears of it now and then, and how
 * often it was. */
START_TEST(refusals_without_number)
{
        enum { N = 300 };
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        unsigned n = 0;

        ck_assert_int_ge(sd_bus_match_signal(w.client, NULL, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                             "Event", on_event, NULL),
                         0);
        world_start_polkit(&w, "yes");
        world_set_policy(&w, "[Match]\nPool=*\nUnit=db.service\n[Grant]\nLimit=1G\n");
        n_denied = 0;
        n_left_out = 0;
        uint32_t id;
        time_t before = time(NULL);
        for (; n < N; n++) {
                ck_assert_int_lt(
                        world_request(bus, "cdm", GIB, &id, 1, CDM_OPTION_UNIT, "s", "train.service"), 0);
                ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        }
        (void)world_reservation(&w, 1000, "State"); /* all signals have come before this answer */
        while (sd_bus_process(w.client, NULL) > 0)
                ;
        ck_assert_uint_ge(n_denied, EVENT_LIMIT_BURST);
        ck_assert_uint_le(n_denied, EVENT_LIMIT_BURST + (unsigned)(time(NULL) - before) + 1);
        /* A second later the next one gets through. */
        while (n_left_out == 0) {
                usleep(100 * 1000);
                (void)world_request(bus, "cdm", GIB, &id, 1, CDM_OPTION_UNIT, "s", "train.service");
                n++;
                (void)world_reservation(&w, 1000, "State");
                while (sd_bus_process(w.client, NULL) > 0)
                        ;
        }
        ck_assert_uint_le(n_left_out + n_denied, n);
        sd_bus_flush_close_unref(bus);
}
END_TEST

#define THEIRS_MEMS "/sys/fs/cgroup/theirs/cpuset.mems"

/* In a made-up tree a write of cdmd makes a new file, which is root's. */
static void open_theirs(uid_t owner)
{
        _cleanup_free_ char *path = NULL;

        ck_assert_int_ge(asprintf(&path, "%s" THEIRS_MEMS, w.root), 0);
        world_put(&w, "/sys/fs/cgroup/theirs/cpuset.mems.effective", "0-3\n");
        if (owner != 0)
                ck_assert_int_eq(chown(path, owner, (gid_t)-1), 0);
        world_put(&w, THEIRS_MEMS, "0-3\n");
        world_wait_file(&w, THEIRS_MEMS, "0-1");
        (void)world_reservation(&w, 1000, "State");
        while (sd_bus_process(w.client, NULL) > 0)
                ;
}

/* A control group whose set a user may write is closed each time, and told now and then. */
START_TEST(sets_opened_without_number)
{
        if (geteuid() != 0)
                return;
        ck_assert_int_ge(sd_bus_match_signal(w.client, NULL, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                             "Event", on_event, NULL),
                         0);
        world_put(&w, "/sys/fs/cgroup/theirs/memory.numa_stat", "anon N0=4096\n");
        world_put(&w, "/sys/fs/cgroup/theirs/cgroup.procs", "");
        open_theirs(0);
        n_fenced = 0;
        n_left_out = 0;
        time_t before = time(NULL);
        for (unsigned n = 0; n < 100; n++)
                open_theirs(USER_NOBODY);
        ck_assert_uint_ge(n_fenced, EVENT_LIMIT_BURST);
        /* The first one may still be that of root. */
        ck_assert_uint_le(n_fenced, EVENT_LIMIT_BURST + (unsigned)(time(NULL) - before) + 2);
        while (n_left_out == 0) {
                usleep(100 * 1000);
                open_theirs(USER_NOBODY);
        }
}
END_TEST

/* One who takes and gives back without end: whoever listens hears of all, and the journal has a part. */
START_TEST(grants_without_number)
{
        enum { N = 40 };
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        uint32_t id;

        world_start_polkit(&w, "yes");
        ck_assert_int_ge(sd_bus_match_signal(w.client, NULL, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                             "Event", on_event, NULL),
                         0);
        n_told = 0;
        n_left_out = 0;
        for (unsigned i = 0; i < N; i++) {
                int r = world_request(bus, "cdm", GIB / 64, &id, 1, CDM_OPTION_UNIT, "s", "train.service");
                ck_assert_msg(r == 0, "%s: %s", world_error, world_message);
                ck_assert_int_eq(world_release(bus, id), 0);
                while (n_told < 3 * (i + 1))
                        process(w.client);
        }
        ck_assert_uint_eq(n_told, 3 * N);
        /* The next one that is in the journal tells how many are not. */
        while (n_left_out == 0) {
                usleep(100 * 1000);
                (void)world_request(bus, "cdm", GIB / 64, &id, 1, CDM_OPTION_UNIT, "s", "train.service");
                (void)world_release(bus, id);
                (void)world_reservation(&w, 1000, "State");
                while (sd_bus_process(w.client, NULL) > 0)
                        ;
        }
        sd_bus_flush_close_unref(bus);
}
END_TEST

static void listen_to_events(void)
{
        ck_assert_int_ge(sd_bus_match_signal(w.client, NULL, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                             "Event", on_event, NULL),
                         0);
        n_denied = n_told = n_migrated = 0;
        n_left_out = 0;
}

/* Of all that cdmd has told up to now. */
static void hear(void)
{
        (void)world_reservation(&w, 1000, "State");
        while (sd_bus_process(w.client, NULL) > 0)
                ;
}

/* One who gives up what waits: whoever waits for an end hears of each. */
START_TEST(ends_of_what_waits_without_number)
{
        enum { N = 40 };
        sd_bus *bus = world_connect(&w, USER_NOBODY);

        world_start_polkit(&w, "yes");
        uint32_t first = fill_queue(bus, N);
        listen_to_events();
        for (uint32_t id = first + 1; id <= first + N; id++)
                ck_assert_int_eq(world_release(bus, id), 0);
        hear();
        ck_assert_uint_eq(n_told, N);
        sd_bus_flush_close_unref(bus);
}
END_TEST

START_TEST(moves_without_number)
{
        enum { N = 300 };
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        char path[64];
        uint32_t id;

        world_start_polkit(&w, "yes");
        world_granted(world_request(bus, "cdm", GIB / 64, &id, 1, CDM_OPTION_UNIT, "s", "train.service"));
        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        listen_to_events();
        time_t before = time(NULL);
        for (unsigned i = 0; i < N; i++)
                ck_assert_int_ge(sd_bus_call_method(bus, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION,
                                                    "Migrate", NULL, NULL, NULL),
                                 0);
        hear();
        ck_assert_uint_ge(n_migrated, 1);
        ck_assert_uint_le(n_migrated, EVENT_LIMIT_BURST + (unsigned)(time(NULL) - before) + 1);
        sd_bus_flush_close_unref(bus);
}
END_TEST

/* --- many reservations of one tenant ----------------------------------------------------------------------
 */

enum { OF_ONE = 200 };

static unsigned n_strengths[OF_ONE + 1]; /* how often clients heard of the strength of each */

static int on_properties(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
        const char *interface, *key;
        uint32_t id;

        if (sscanf(sd_bus_message_get_path(m), CDM_PATH_RESERVATION "/%" SCNu32, &id) != 1 || id > OF_ONE)
                return 0;
        ck_assert_int_ge(sd_bus_message_read(m, "s", &interface), 0);
        ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', "{sv}"), 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                ck_assert_int_ge(sd_bus_message_read(m, "s", &key), 0);
                n_strengths[id] += strcmp(key, "Strength") == 0;
                ck_assert_int_ge(sd_bus_message_skip(m, "v"), 0);
                ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
        }
        return 0;
}

/* Until clients have heard of each so often. */
static void wait_strengths(unsigned n)
{
        for (uint32_t id = 1; id <= OF_ONE; id++)
                while (n_strengths[id] < n) {
                        int r = sd_bus_process(w.client, NULL);

                        ck_assert_int_ge(r, 0);
                        if (r == 0)
                                ck_assert_msg(sd_bus_wait(w.client, UINT64_C(1000) * SILENT_MS) > 0,
                                              "nobody is told of reservation %u", id);
                }
}

static uint32_t grant_on_2(const char *unit)
{
        uint32_t id = 0;

        world_granted(world_request(w.client, "cdm", GIB / 64, &id, 2, CDM_OPTION_UNIT, "s", unit,
                                    CDM_OPTION_NODES, "s", "2"));
        return id;
}

static void end_of(uint32_t id)
{
        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "released", id);
}

/* The strength of 200 reservations of one tenant changes when a second tenant comes to their node, and when
 * it leaves. No other grant or end costs a signal for each of them. */
START_TEST(a_grant_is_told_to_no_other_but_once)
{
        world_kill_cdmd(&w, SIGTERM);
        world_put_reservations(&w, 1, OF_ONE, 1);
        world_start_cdmd(&w);
        memset(n_strengths, 0, sizeof(n_strengths));
        ck_assert_int_ge(sd_bus_add_match(w.client, NULL,
                                          "type='signal',interface='org.freedesktop.DBus.Properties',"
                                          "member='PropertiesChanged',path_namespace='" CDM_PATH_RESERVATION
                                          "'",
                                          on_properties, NULL),
                         0);
        end_of(grant_on_2("bulk-0.service"));
        uint32_t id = grant_on_2("db.service");
        wait_strengths(1);
        for (int i = 0; i < 3; i++) {
                end_of(grant_on_2("db.service"));
                end_of(grant_on_2("bulk-0.service"));
                end_of(grant_on_2("train.service"));
        }
        end_of(id);
        wait_strengths(2);
        for (int i = 0; i < 20; i++)
                ping(w.client);
        while (sd_bus_process(w.client, NULL) > 0)
                ;
        for (id = 1; id <= OF_ONE; id++)
                ck_assert_msg(n_strengths[id] == 2, "of reservation %u clients hear %u times", id,
                              n_strengths[id]);
}
END_TEST

/* --- the limits of the bus itself -------------------------------------------------------------------------
 */

/* What daemon/ relies on: calls to the bus itself are not counted as open. */
START_TEST(questions_to_the_bus_are_not_counted)
{
        enum { N = 2000 };
        Tally t = { 0 };
        const char *name;

        ck_assert_int_ge(sd_bus_get_unique_name(w.client, &name), 0);
        for (int i = 0; i < N; i++)
                ck_assert_int_ge(sd_bus_call_method_async(w.client, NULL, "org.freedesktop.DBus",
                                                          "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                                          "GetConnectionCredentials", on_reply, &t, "s",
                                                          name),
                                 0);
        ck_assert_int_ge(sd_bus_flush(w.client), 0);
        wait_answers(w.client, &t, N);
        ck_assert_uint_eq(t.ok, N);
}
END_TEST

static int keep_nothing(sd_bus_message *m _unused_, void *userdata _unused_, sd_bus_error *error _unused_)
{
        return 0;
}

/* sd-bus closes the connection when a match is refused and nobody takes that answer. */
START_TEST(a_match_that_is_refused_ends_nothing)
{
        sd_bus *bus = world_connect(&w, geteuid());
        sd_bus_slot *slot = NULL;
        char rule[64];
        int r = 0;

        for (unsigned i = 0; r >= 0; i++) {
                ck_assert_uint_lt(i, 100000);
                snprintf(rule, sizeof(rule), "type='signal',member='M%u'", i);
                r = sd_bus_add_match(bus, NULL, rule, keep_nothing, NULL);
        }
        ck_assert_int_ge(match_add(bus, &slot, "type='signal',member='OneMore'", keep_nothing, NULL), 0);
        for (unsigned i = 0; i < 3; i++) {
                ping(bus);
                while ((r = sd_bus_process(bus, NULL)) > 0)
                        ;
                ck_assert_int_eq(r, 0);
        }
        sd_bus_slot_unref(slot);
        sd_bus_flush_close_unref(bus);
}
END_TEST

/* --- peers ------------------------------------------------------------------------------------------------
 */

enum { WATCHES = 8 };

static struct {
        Peers *peers;
        PeerWatch *watch[WATCHES];
        unsigned n_gone;
} p;

static void on_gone(void *userdata)
{
        p.n_gone++;
}

/* Frees its neighbours, itself, and those of all that are left. */
static void on_gone_free(void *userdata)
{
        size_t i = (size_t)((PeerWatch **)userdata - p.watch);

        on_gone(NULL);
        for (size_t k = i > 0 ? i - 1 : 0; k <= i + 1 && k < WATCHES; k++)
                p.watch[k] = peer_watch_free(p.watch[k]);
        if (p.n_gone > 1)
                for (size_t k = 0; k < WATCHES; k++)
                        p.watch[k] = peer_watch_free(p.watch[k]);
}

START_TEST(watches_of_one_peer_free_each_other)
{
        sd_bus *bus = world_connect(&w, geteuid());
        const char *name;
        PeerWatch *last;

        p.n_gone = 0;
        ck_assert_int_ge(sd_bus_get_unique_name(bus, &name), 0);
        ck_assert_int_ge(peers_new(w.client, &p.peers), 0);
        for (size_t i = 0; i < WATCHES; i++)
                ck_assert_int_ge(peers_watch(p.peers, name, on_gone_free, &p.watch[i], &p.watch[i]), 0);
        /* One that is freed before is never called. */
        ck_assert_int_ge(peers_watch(p.peers, name, on_gone, NULL, &last), 0);
        ck_assert_ptr_null(peer_watch_free(last));
        /* The match is in place when this is answered. */
        (void)world_reservation(&w, 1000, "State");
        sd_bus_flush_close_unref(bus);
        while (p.n_gone == 0)
                process(w.client);
        ck_assert_uint_eq(p.n_gone, 2);
        for (size_t i = 0; i < WATCHES; i++)
                ck_assert_ptr_null(p.watch[i]);
        peers_free(p.peers);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("limits");
        TCase *t = tcase_create("limits"), *l = tcase_create("long"), *o = tcase_create("objects");

        /* No time limit: a slow machine is no failure. */
        tcase_set_timeout(t, 0);
        tcase_set_timeout(l, 0);
        tcase_set_timeout(o, 0);
        tcase_add_checked_fixture(t, start, stop);
        tcase_add_checked_fixture(l, start, stop);
        tcase_add_checked_fixture(o, start_objects, stop);
        tcase_add_test(o, a_ping_passes_lists_of_objects);
        tcase_add_test(o, lists_of_objects_have_a_limit);
        tcase_add_test(l, empty_containers_make_a_call_long);
        tcase_add_test(l, a_list_asked_for_at_length);
        tcase_add_test(l, long_questions_for_properties);
        tcase_add_test(l, no_object_has_a_long_path);
        tcase_add_test(l, the_longest_path_is_one_of_a_pool);
        tcase_add_test(l, a_call_may_have_ten_kilobytes);
        tcase_add_test(t, questions_to_the_bus_are_not_counted);
        tcase_add_test(t, a_match_that_is_refused_ends_nothing);
        tcase_add_test(t, watches_of_one_peer_free_each_other);
        tcase_add_test(t, waiters_without_number);
        tcase_add_test(t, a_connection_that_is_lost);
        tcase_add_test(t, cdmctl_waits_through_restarts);
        tcase_add_test(t, a_grant_is_told_to_no_other_but_once);
        if (getuid() == 0) {
                tcase_add_test(t, requests_without_number_wait_for_polkit);
                tcase_add_test(t, reloads_without_number_wait_for_polkit);
                tcase_add_test(t, questions_that_nobody_answers_stay_few);
                tcase_add_test(t, who_waits_for_a_polkit_that_hangs_is_told_so);
                tcase_add_test(t, scopes_without_number);
                tcase_add_test(t, refusals_without_number);
                tcase_add_test(t, sets_opened_without_number);
                tcase_add_test(t, grants_without_number);
                tcase_add_test(t, ends_of_what_waits_without_number);
                tcase_add_test(t, moves_without_number);
        } else
                puts("# the tests with another user were left out: they need root");
        suite_add_tcase(s, t);
        suite_add_tcase(s, l);
        suite_add_tcase(s, o);
        return check_main(s);
}
