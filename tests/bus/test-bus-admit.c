/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Manager.Admit: who may call it, how long it waits, and for what; in a tree of plain files, where no set follows
 * another one: the test says when the kernel has done what cdmd wrote. */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

#define MIB      (UINT64_C(1) << 20)
#define SECOND   UINT64_C(1000000)
#define LONG     (60 * SECOND)
#define CG       "/sys/fs/cgroup"
#define BOX      "/box"
#define UNIT     "/system.slice/slurmstepd.scope"
#define N_JOBS   400
#define OPEN_MAX 64

static World w;

static void start(void)
{
        world_start(&w);
}

static void stop(void)
{
        world_stop(&w);
}

typedef struct Wait {
        bool answered;
        char error[128], message[512];
        uint64_t id;
        char nodes[64];
        sd_bus_slot *slot;
} Wait;

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
        Wait *a = userdata;
        uint32_t node;

        a->answered = true;
        a->nodes[0] = '\0';
        if (sd_bus_message_is_method_error(m, NULL)) {
                const sd_bus_error *e = sd_bus_message_get_error(m);

                snprintf(a->error, sizeof(a->error), "%s", e->name);
                snprintf(a->message, sizeof(a->message), "%s", e->message);
                return 0;
        }
        ck_assert_int_ge(sd_bus_message_read(m, "t", &a->id), 0);
        ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', "u"), 0);
        while (sd_bus_message_read(m, "u", &node) > 0) {
                size_t n = strlen(a->nodes);

                snprintf(a->nodes + n, sizeof(a->nodes) - n, "%" PRIu32 " ", node);
        }
        return 0;
}

/* pidfd < 0: path is given. timeout 0: not given. */
static void admit(sd_bus *bus, const char *path, int pidfd, uint64_t timeout, Wait *a)
{
        sd_bus_message *m = NULL;

        *a = (Wait){ 0 };
        ck_assert_int_ge(sd_bus_message_new_method_call(bus, &m, CDM_BUS_NAME, CDM_PATH,
                                                        CDM_INTERFACE_MANAGER, "Admit"),
                         0);
        ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
        if (path)
                ck_assert_int_ge(sd_bus_message_append(m, "{sv}", CDM_OPTION_CGROUP, "s", path), 0);
        if (pidfd >= 0)
                ck_assert_int_ge(sd_bus_message_append(m, "{sv}", CDM_OPTION_PIDFD, "h", pidfd), 0);
        if (timeout > 0)
                ck_assert_int_ge(sd_bus_message_append(m, "{sv}", CDM_OPTION_TIMEOUT, "t", timeout), 0);
        ck_assert_int_ge(sd_bus_message_close_container(m), 0);
        ck_assert_int_ge(sd_bus_call_async(bus, &a->slot, m, on_answer, a, UINT64_MAX), 0);
        sd_bus_message_unref(m);
}

/* Events may come all the while. An answer that takes five times as long as any caller may wait does not come:
 * the test is to fail, not to hang. */
static void wait_answer(sd_bus *bus, Wait *a)
{
        time_t end = time(NULL) + 5 * LONG / SECOND;

        while (!a->answered) {
                int r = sd_bus_process(bus, NULL);

                ck_assert_int_ge(r, 0);
                ck_assert_msg(time(NULL) < end, "no answer to Admit");
                if (r == 0)
                        ck_assert_int_ge(sd_bus_wait(bus, SECOND), 0);
        }
        a->slot = sd_bus_slot_unref(a->slot);
}

/* What cdmd sent up to now has been processed. */
static void catch_up(sd_bus *bus)
{
        ck_assert_int_ge(sd_bus_call_method(bus, CDM_BUS_NAME, CDM_PATH, "org.freedesktop.DBus.Peer", "Ping",
                                            NULL, NULL, NULL),
                         0);
        while (sd_bus_process(bus, NULL) > 0)
                ;
}

static void assert_error(const Wait *a, const char *error, const char *part)
{
        ck_assert_msg(strcmp(a->error, error) == 0 && strstr(a->message, part), "%s: %s", a->error,
                      a->message);
}

static Wait ask(sd_bus *bus, const char *path, uint64_t timeout)
{
        Wait a;

        admit(bus, path, -1, timeout, &a);
        wait_answer(bus, &a);
        return a;
}

static void put(const char *cgroup, const char *file, const char *text)
{
        char path[256];

        snprintf(path, sizeof(path), CG "%s/%s", cgroup, file);
        world_put(&w, path, text);
}

static const char *mems(const char *cgroup)
{
        char path[256];

        snprintf(path, sizeof(path), CG "%s/cpuset.mems", cgroup);
        return world_get(&w, path);
}

static uint64_t inode(const char *cgroup)
{
        char path[256];
        struct stat st;

        snprintf(path, sizeof(path), "%s" CG "%s", w.root, cgroup);
        ck_assert_int_eq(stat(path, &st), 0);
        return st.st_ino;
}

static void make(const char *cgroup, const char *mems, const char *effective)
{
        put(cgroup, "memory.numa_stat", "anon N0=4096\nfile N0=0\n");
        put(cgroup, "cgroup.procs", "");
        put(cgroup, "cgroup.subtree_control", "cpuset memory\n");
        put(cgroup, "cgroup.events", "populated 1\nfrozen 0\n");
        put(cgroup, "cpuset.mems.effective", effective);
        put(cgroup, "cpuset.mems", mems);
}

#define IN_THE_WAY ".temp/x" /* cdmd cannot write cpuset.mems as long as it is there */

/* Open, and cannot be closed. */
static void make_box(void)
{
        put(BOX, IN_THE_WAY, "");
        make(BOX, "0-3\n", "0-3\n");
}

static void run(const char *command)
{
        char line[256];

        snprintf(line, sizeof(line), "cd %s" CG " && %s", w.root, command);
        ck_assert_int_eq(system(line), 0);
}

START_TEST(what_is_fenced_is_answered)
{
        Wait a = ask(w.client, "/system.slice/db.service", 0);

        ck_assert_str_eq(a.error, "");
        ck_assert_uint_eq(a.id, inode("/system.slice/db.service"));
        ck_assert_str_eq(a.nodes, "");
        uint32_t id;
        world_granted(world_request(w.client, "cdm", MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        a = ask(w.client, "/system.slice/db.service", 0);
        ck_assert_str_eq(a.nodes, "2 ");
        world_be(&w, 0, "/system.slice/db.service");
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        admit(w.client, NULL, pidfd, 0, &a);
        wait_answer(w.client, &a);
        close(pidfd);
        ck_assert_str_eq(a.error, "");
        ck_assert_uint_eq(a.id, inode("/system.slice/db.service"));
}
END_TEST

static const struct {
        const char *path;
        bool pidfd;
        uint64_t timeout;
        const char *error, *part;
} nonsense[] = {
        { NULL, false, 0, CDM_ERROR_INVALID, "by cgroup or by pidfd" },
        { "/system.slice", true, 0, CDM_ERROR_INVALID, "by cgroup or by pidfd" },
        { "system.slice", false, 0, CDM_ERROR_INVALID, "not a path" },
        { "/a/../b", false, 0, CDM_ERROR_INVALID, "not a path" },
        { "/system.slice/db.service", false, LONG + 1, CDM_ERROR_INVALID, "at most 60 seconds" },
        { "/system.slice/nothing.service", false, 0, CDM_ERROR_NO_SUCH_TARGET, "no such control group" },
        { "/system.slice", false, 0, CDM_ERROR_NO_SUCH_TARGET, "slices carry no fence" },
};

START_TEST(what_cannot_be_admitted)
{
        int pidfd = nonsense[_i].pidfd ? (int)syscall(SYS_pidfd_open, getpid(), 0) : -1;
        Wait a;

        admit(w.client, nonsense[_i].path, pidfd, nonsense[_i].timeout, &a);
        wait_answer(w.client, &a);
        assert_error(&a, nonsense[_i].error, nonsense[_i].part);
        if (pidfd >= 0)
                close(pidfd);
}
END_TEST

static const struct {
        const char *key, *part;
} options_of_requests[] = {
        { CDM_OPTION_FOR_UID, "for-uid is given twice" },
        { CDM_OPTION_PID, "no option 'pid'" },
};

START_TEST(options_are_those_of_requests)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        const char *key = options_of_requests[_i].key;

        int r = sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Admit", &e,
                                   NULL, "a{sv}", 3, CDM_OPTION_CGROUP, "s", "/system.slice/db.service", key,
                                   "u", (uint32_t)7, key, "u", (uint32_t)8);
        ck_assert_int_lt(r, 0);
        ck_assert_str_eq(e.name, CDM_ERROR_INVALID);
        ck_assert_msg(strstr(e.message, options_of_requests[_i].part), "%s", e.message);
}
END_TEST

START_TEST(who_may)
{
        if (geteuid() != 0)
                return;
        sd_bus *bus = world_connect(&w, USER_NOBODY);

        Wait a = ask(bus, "/system.slice/db.service", 0);
        assert_error(&a, CDM_ERROR_DENIED, "");
        world_start_polkit(&w, _i == 0 ? "no" : "yes");
        a = ask(bus, "/system.slice/db.service", 0);
        ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_REQUEST_AS);
        ck_assert_str_eq(a.error, _i == 0 ? CDM_ERROR_DENIED : "");
        /* Nor is it told whether there is such a control group. */
        a = ask(bus, "/nothing", 0);
        ck_assert_str_eq(a.error, _i == 0 ? CDM_ERROR_DENIED : CDM_ERROR_NO_SUCH_TARGET);
        sd_bus_flush_close_unref(bus);
}
END_TEST

START_TEST(what_is_open_is_waited_for)
{
        Wait a;

        make_box();
        admit(w.client, BOX, -1, LONG, &a);
        for (int i = 0; i < 20; i++)
                catch_up(w.client);
        ck_assert(!a.answered);
        run("rm -r box/.temp");
        wait_answer(w.client, &a);
        ck_assert_str_eq(mems(BOX), "0-1");
        ck_assert_str_eq(a.error, "");
        ck_assert_str_eq(a.nodes, "");
        ck_assert_uint_eq(a.id, inode(BOX));
}
END_TEST

START_TEST(not_for_ever)
{
        make_box();
        Wait a = ask(w.client, BOX, SECOND / 5);

        assert_error(&a, CDM_ERROR_TIMEOUT, "not fenced in that time");
        ck_assert_int_eq(
                world_request(w.client, "cdm", MIB, &(uint32_t){ 0 }, 1, CDM_OPTION_UNIT, "s", "db.service"),
                0);
}
END_TEST

/* It goes away, or another one takes its place. What goes before it was read for the first time is no target: then
 * once more. The old one stays under another name, so that its inode is not used again. */
START_TEST(what_ends_meanwhile_is_stale)
{
        Wait a = { .error = CDM_ERROR_NO_SUCH_TARGET };

        for (int i = 0; i < 100 && strcmp(a.error, CDM_ERROR_NO_SUCH_TARGET) == 0; i++) {
                make_box();
                if (_i == 1)
                        make("/new", "0-1\n", "0-1\n");
                admit(w.client, BOX, -1, LONG, &a);
                for (int k = 0; k < 20; k++)
                        catch_up(w.client);
                run(_i == 0 ? "rm -rf other && mv box other" : "rm -rf other && mv box other && mv new box");
                wait_answer(w.client, &a);
        }
        assert_error(&a, CDM_ERROR_STALE, "");
}
END_TEST

START_TEST(without_a_fence_nothing_is_waited_for)
{
        world_put(&w, "/etc/cdm/cdmd.conf", "[Fence]\nMode=observe\n");
        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=1G\n");
        make(BOX, "0-3\n", "0-3\n");
        Wait a = ask(w.client, BOX, LONG);

        ck_assert_str_eq(a.error, "");
        ck_assert_str_eq(a.nodes, "2 3 ");
}
END_TEST

/* A user has so many over all connections, root a connection. Whoever leaves the bus waits no more. */
START_TEST(so_many_wait)
{
        Wait waits[OPEN_MAX], more;

        if (geteuid() != 0)
                return;
        uid_t uid = _i == 0 ? 0 : USER_NOBODY;
        world_start_polkit(&w, "yes");
        make_box();
        sd_bus *first = world_connect(&w, uid), *second = world_connect(&w, uid);
        for (int i = 0; i < OPEN_MAX; i++)
                admit(first, BOX, -1, LONG, &waits[i]);
        catch_up(first);
        more = ask(first, BOX, LONG);
        assert_error(&more, CDM_ERROR_BUSY, "too many");
        more = ask(second, uid == 0 ? "/system.slice/db.service" : BOX, LONG);
        ck_assert_str_eq(more.error, uid == 0 ? "" : CDM_ERROR_BUSY);
        more = ask(w.client, "/system.slice/db.service", LONG);
        ck_assert_str_eq(more.error, "");
        for (int i = 0; i < OPEN_MAX; i++) {
                ck_assert(!waits[i].answered);
                sd_bus_slot_unref(waits[i].slot);
        }
        sd_bus_flush_close_unref(first);
        do
                more = ask(second, "/system.slice/db.service", LONG);
        while (strcmp(more.error, CDM_ERROR_BUSY) == 0);
        ck_assert_str_eq(more.error, "");
        sd_bus_flush_close_unref(second);
}
END_TEST

static void make_job(const char *effective)
{
        make(UNIT "/job_0", "", effective);
        make(UNIT "/job_0/step_0", "", effective);
}

static void make_jobs(const char *rule, const char *effective)
{
        world_put(&w, "/etc/cdm/cdmd.conf", "[Fence]\nSubtree=slurmstepd.scope:job_*/step_*\n");
        world_set_policy(&w, rule);
        world_add_unit_delegate(&w, "slurmstepd.scope", "system.slice", UNIT, "", true);
        put(UNIT, "cgroup.subtree_control", "cpuset memory\n");
        make_job(effective);
}

/* Labels "" and uid -1: not said. */
static const char *say(sd_bus *bus, const char *label, int uid)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        static char name[128];

        ck_assert_int_ge(sd_bus_message_new_method_call(bus, &m, CDM_BUS_NAME, CDM_PATH,
                                                        CDM_INTERFACE_MANAGER, "Admit"),
                         0);
        ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
        ck_assert_int_ge(sd_bus_message_append(m, "{sv}", CDM_OPTION_CGROUP, "s", UNIT "/job_0/step_0"), 0);
        if (label)
                ck_assert_int_ge(sd_bus_message_append(m, "{sv}", CDM_OPTION_LABELS, "a{ss}", 1,
                                                       "slurm.account", label),
                                 0);
        if (uid >= 0)
                ck_assert_int_ge(sd_bus_message_append(m, "{sv}", CDM_OPTION_FOR_UID, "u", (uint32_t)uid),
                                 0);
        ck_assert_int_ge(sd_bus_message_close_container(m), 0);
        int r = sd_bus_call(bus, m, 0, &error, NULL);
        snprintf(name, sizeof(name), "%s", r < 0 ? error.name : "");
        if (r < 0)
                fprintf(stderr, "Admit: %s\n", error.message);
        return name;
}

/* What Explain says to a process of the job that asks for itself; the name of the error. */
static const char *explain(sd_bus *bus, int pidfd)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *key, *verdict;
        static char text[128];

        int r = sd_bus_call_method(bus, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Explain", &error, &m,
                                   "sta{sv}", "cdm", MIB, 1, CDM_OPTION_PIDFD, "h", pidfd);
        if (r < 0) {
                snprintf(text, sizeof(text), "%s", error.name);
                return text;
        }
        ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', "{sv}"), 0);
        ck_assert_int_ge(sd_bus_message_enter_container(m, 'e', "sv"), 0);
        ck_assert_int_ge(sd_bus_message_read(m, "sv", &key, "s", &verdict), 0);
        snprintf(text, sizeof(text), "%s", verdict);
        return text;
}

static int run_in_job(sd_bus *bus, int pidfd, uint32_t *ret_id)
{
        return world_request(bus, "cdm", MIB, ret_id, 3, CDM_OPTION_PIDFD, "h", pidfd, CDM_OPTION_SCOPE, "b",
                             1, CDM_OPTION_MEM_POLICY, "s", "prefer");
}

/* A process of a job is not moved, the job gets the reservation; and the job is its user's own once the manager has
 * said so. */
START_TEST(a_job_is_of_whom_it_is_for)
{
        uint32_t id;

        if (geteuid() != 0)
                return;
        make_jobs("[Match]\nUser=nobody\nLabel=slurm.account=ml\n[Grant]\nLimit=1G\n", "0-1\n");
        world_put(&w, "/etc/passwd",
                  "root:x:0:0::/:/bin/sh\ndaemon:x:1:1::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n");
        world_be(&w, USER_NOBODY, UNIT "/job_0/step_0");
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        ck_assert_str_eq(say(w.client, "ml", -1), "");
        world_refused(run_in_job(bus, pidfd, &id), CDM_ERROR_DENIED, "not said to be for the caller");
        ck_assert_str_eq(explain(bus, pidfd), CDM_ERROR_DENIED);
        ck_assert_str_eq(say(w.client, NULL, USER_NOBODY),
                         CDM_ERROR_INVALID); /* what was said first stands */
        ck_assert_str_eq(say(bus, "ml", USER_NOBODY), CDM_ERROR_DENIED);

        run("mv system.slice/slurmstepd.scope/job_0 old");
        make_job("0-1\n");
        ck_assert_str_eq(say(w.client, "ml", USER_DAEMON), "");
        ck_assert_str_eq(explain(bus, pidfd), "denied"); /* by the rule, which names another user */
        run("mv system.slice/slurmstepd.scope/job_0 older");
        make_job("0-1\n");
        ck_assert_str_eq(say(w.client, "ml", USER_NOBODY), "");
        ck_assert_str_eq(explain(bus, pidfd), "granted");
        world_start_polkit(&w, "yes");
        world_granted(run_in_job(bus, pidfd, &id));
        ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_REQUEST);
        ck_assert_str_eq(world_reservation(&w, id, "ControlGroup"), UNIT "/job_0");
        ck_assert_uint_eq(world_steer(&w, "Scopes", 0), 0);
        close(pidfd);
        sd_bus_flush_close_unref(bus);
}
END_TEST

START_TEST(what_cannot_be_said)
{
        make_jobs("[Match]\nPool=*\n[Grant]\nLimit=1G\n", "0-1\n");
        ck_assert_str_eq(say(w.client, "", -1), CDM_ERROR_INVALID);
        ck_assert_str_eq(say(w.client, NULL, 4711), CDM_ERROR_INVALID); /* nobody has that number */
}
END_TEST

/* Below a unit of which a tenant has a reservation it is not enough that nothing is open now: the manager may write
 * what is above. With so many jobs a look at all takes a while. */
START_TEST(a_step_gets_a_set_of_its_own_first)
{
        char path[128];
        uint32_t id;
        Wait a;

        make_jobs("[Match]\nCGroup=" UNIT "/job_*\n[Grant]\nLimit=1G\n", "0-2\n");
        for (int i = 1; i <= N_JOBS; i++) {
                snprintf(path, sizeof(path), UNIT "/job_%d", i);
                make(path, "", "0-1\n");
        }
        world_granted(world_request(w.client, "cdm", MIB, &id, 1, CDM_OPTION_CGROUP, "s", UNIT "/job_0"));
        a = ask(w.client, UNIT "/job_0/step_0", LONG);
        ck_assert_str_eq(a.error, "");
        ck_assert_str_eq(a.nodes, "2 ");
        for (int i = 1; i <= 20; i++) {
                snprintf(path, sizeof(path), UNIT "/job_%d/step_0", i);
                make(path, "", "0-1\n");
                a = ask(w.client, path, LONG);
                ck_assert_str_eq(a.error, "");
                ck_assert_str_eq(a.nodes, "");
                ck_assert_str_eq(mems(path), "0-1");
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("bus-admit");
        TCase *c = tcase_create("bus-admit");

        tcase_add_checked_fixture(c, start, stop);
        tcase_set_timeout(c, 0);
        tcase_add_test(c, what_is_fenced_is_answered);
        tcase_add_loop_test(c, what_cannot_be_admitted, 0, ARRAY_SIZE(nonsense));
        tcase_add_loop_test(c, options_are_those_of_requests, 0, (int)ARRAY_SIZE(options_of_requests));
        tcase_add_loop_test(c, who_may, 0, 2);
        tcase_add_test(c, what_is_open_is_waited_for);
        tcase_add_test(c, not_for_ever);
        tcase_add_loop_test(c, what_ends_meanwhile_is_stale, 0, 2);
        tcase_add_test(c, without_a_fence_nothing_is_waited_for);
        tcase_add_loop_test(c, so_many_wait, 0, 2);
        tcase_add_test(c, a_job_is_of_whom_it_is_for);
        tcase_add_test(c, what_cannot_be_said);
        tcase_add_test(c, a_step_gets_a_set_of_its_own_first);
        suite_add_tcase(s, c);
        return check_main(s);
}
