/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is said of a control group: by whom, how long it stays, and for whom it counts. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

#define MIB (UINT64_C(1) << 20)
#define ML  "slurm.account=ml"

static World w;

static void start(void)
{
        world_start(&w);
}

static void stop(void)
{
        world_stop(&w);
}

/* For db.service; labels NULL: nothing is said of it. */
static int ask(sd_bus *bus, const char *labels, uint32_t *ret_id)
{
        return labels ? world_request(bus, "cdm", MIB, ret_id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                      CDM_OPTION_LABELS, "a{ss}", labels)
                      : world_request(bus, "cdm", MIB, ret_id, 1, CDM_OPTION_UNIT, "s", "db.service");
}

static int ask_for(sd_bus *bus, uid_t uid, uint64_t size, const char *unit, uint32_t *ret_id)
{
        return world_request(bus, "cdm", size, ret_id, 2, CDM_OPTION_UNIT, "s", unit, CDM_OPTION_FOR_UID,
                             "u", (int)uid);
}

static uint32_t number_of(uint32_t id, const char *property)
{
        char path[64];
        uint32_t number;

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        ck_assert_int_ge(sd_bus_get_property_trivial(w.client, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION,
                                                     property, NULL, 'u', &number),
                         0);
        return number;
}

/* "KEY=VALUE " each; the name of the error where they are not shown. */
static const char *labels_of(sd_bus *bus, uint32_t id)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        static char text[512];
        const char *key, *value;
        char path[64];

        text[0] = '\0';
        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        if (sd_bus_get_property(bus, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION, "Labels", &error, &m,
                                "a{ss}") < 0) {
                snprintf(text, sizeof(text), "%s", error.name);
                return text;
        }
        ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', "{ss}"), 0);
        while (sd_bus_message_read(m, "{ss}", &key, &value) > 0) {
                size_t n = strlen(text);

                snprintf(text + n, sizeof(text) - n, "%s=%s ", key, value);
        }
        return text;
}

static unsigned count_files(void)
{
        char command[160];
        unsigned n;

        snprintf(command, sizeof(command), "ls %s/run/cdmd | grep -c '^tenant-'", w.root);
        FILE *f = popen(command, "r");
        ck_assert_int_eq(fscanf(f, "%u", &n), 1);
        pclose(f);
        return n;
}

/* Who may say what: the actions that polkit is asked for, in order, and what comes of it. */
static const struct {
        const char *what;
        uid_t uid;
        const char *polkit; /* NULL: there is none */
        const char *labels; /* NULL: none */
        int for_uid;        /* -1: not said */
        const char *asked[2];
        const char *error;
} speakers[] = {
        { "root, labels", 0, NULL, ML, -1, { NULL }, NULL },
        { "root, labels, where polkit says no", 0, "no", ML, -1, { NULL }, NULL },
        { "root, for a user", 0, NULL, NULL, USER_NOBODY, { NULL }, NULL },
        { "root, for root", 0, NULL, NULL, 0, { NULL }, NULL },
        { "user, labels",
          USER_NOBODY,
          "yes",
          ML,
          -1,
          { CDM_ACTION_REQUEST_AS, CDM_ACTION_REQUEST_FOR_OTHERS },
          NULL },
        { "user, labels, no", USER_NOBODY, "no", ML, -1, { CDM_ACTION_REQUEST_AS }, CDM_ERROR_DENIED },
        { "user, labels, without polkit", USER_NOBODY, NULL, ML, -1, { NULL }, CDM_ERROR_DENIED },
        { "user, for himself, no",
          USER_NOBODY,
          "no",
          NULL,
          USER_NOBODY,
          { CDM_ACTION_REQUEST_AS },
          CDM_ERROR_DENIED },
        { "user, for another",
          USER_DAEMON,
          "yes",
          NULL,
          USER_NOBODY,
          { CDM_ACTION_REQUEST_AS, CDM_ACTION_REQUEST_FOR_OTHERS },
          NULL },
        { "user, for another, no",
          USER_DAEMON,
          "no",
          NULL,
          USER_NOBODY,
          { CDM_ACTION_REQUEST_AS },
          CDM_ERROR_DENIED },
        { "user, for root", USER_NOBODY, "yes", NULL, 0, { CDM_ACTION_REQUEST_AS }, CDM_ERROR_DENIED },
        { "user, empty labels", USER_NOBODY, "yes", "", -1, { CDM_ACTION_REQUEST_FOR_OTHERS }, NULL },
};

START_TEST(who_may_say_what)
{
        int uid = speakers[_i].for_uid;
        uint32_t id;

        if (geteuid() != 0)
                return;
        world_start_polkit(&w, speakers[_i].polkit);
        sd_bus *bus = world_connect(&w, speakers[_i].uid);
        int r = uid >= 0 ? ask_for(bus, (uid_t)uid, MIB, "db.service", &id)
                         : ask(bus, speakers[_i].labels, &id);
        for (size_t i = 0; i < 2 && speakers[_i].asked[i]; i++)
                ck_assert_str_eq(world_polkit_asked(&w), speakers[_i].asked[i]);
        if (speakers[_i].error) {
                ck_assert_msg(r < 0 && strcmp(world_error, speakers[_i].error) == 0, "%s: %s %s",
                              speakers[_i].what, world_error, world_message);
                ck_assert_uint_eq(count_files(), 0);
        } else {
                ck_assert_msg(r == 0, "%s: %s %s", speakers[_i].what, world_error, world_message);
                ck_assert_uint_eq(number_of(id, "Uid"), uid >= 0 ? (uid_t)uid : speakers[_i].uid);
                ck_assert_uint_eq(number_of(id, "Requester"), speakers[_i].uid);
        }
        sd_bus_flush_close_unref(bus);
}
END_TEST

static const struct {
        const char *labels, *part;
} bad_labels[] = {
        { "Slurm=x", "the label Slurm has a key" },
        { "slurm.job=", "has a value" },
        { "a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1,q=1",
          "the label q is one too many" },
        { "a=1,a=2", "the label a is given twice" },
        { "a=x\ny", "not printable" },
};

START_TEST(what_cannot_be_said)
{
        uint32_t id;

        world_refused(ask(w.client, bad_labels[_i].labels, &id), CDM_ERROR_INVALID, bad_labels[_i].part);
}
END_TEST

START_TEST(words_that_exclude_each_other)
{
        uint32_t id;

        world_refused(world_request(w.client, "cdm", MIB, &id, 3, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_FOR_UID, "u", USER_NOBODY, CDM_OPTION_FOR_NOBODY, "b", 1),
                      CDM_ERROR_INVALID, "leave out user and for-nobody");
        world_refused(ask_for(w.client, (uid_t)-1, MIB, "db.service", &id), CDM_ERROR_INVALID,
                      "no user's number");
        world_refused(ask_for(w.client, 4711, MIB, "db.service", &id), CDM_ERROR_INVALID,
                      "no user of that number");
}
END_TEST

/* The first word stands: for whoever asks later, over a restart, and until the cgroup ends. */
START_TEST(it_is_said_once)
{
        uint32_t id, second;

        world_set_policy(&w, "[Match]\nLabel=" ML "\n[Grant]\nLimit=1G\n");
        world_refused(ask(w.client, NULL, &id), CDM_ERROR_DENIED, "no file in policy.d matches");
        world_granted(ask(w.client, ML ",slurm.job=7", &id));
        ck_assert_str_eq(labels_of(w.client, id), "slurm.account=ml slurm.job=7 ");
        for (int i = 0; i < 2; i++) {
                world_granted(ask(w.client, NULL, &second));
                ck_assert_str_eq(labels_of(w.client, second), "slurm.account=ml slurm.job=7 ");
                world_granted(ask(w.client, "slurm.job=7," ML, &second));
                world_refused(ask(w.client, ML, &second), CDM_ERROR_INVALID, "other labels already");
                world_refused(ask_for(w.client, 0, MIB, "db.service", &second), CDM_ERROR_INVALID,
                              "labels were set without a user");
                world_kill_cdmd(&w, SIGKILL);
                world_start_cdmd(&w);
        }
        ck_assert_str_eq(labels_of(w.client, id), "slurm.account=ml slurm.job=7 ");
        world_refused(world_request(w.client, "cdm", MIB, &second, 1, CDM_OPTION_UNIT, "s", "train.service"),
                      CDM_ERROR_DENIED, "no file in policy.d matches");
}
END_TEST

/* What was refused for other reasons was said all the same. */
START_TEST(a_refused_request_says_it)
{
        uint32_t id;

        world_refused(world_request(w.client, "cdm", 2 * GIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_LABELS, "a{ss}", ML),
                      CDM_ERROR_DENIED, "Limit=1G");
        world_granted(ask(w.client, NULL, &id));
        ck_assert_str_eq(labels_of(w.client, id), ML " ");
}
END_TEST

static void remake(const char *cgroup)
{
        char from[512], to[600], command[4096];

        snprintf(from, sizeof(from), "%s/sys/fs/cgroup%s", w.root, cgroup);
        snprintf(to, sizeof(to), "%s.new", from);
        snprintf(command, sizeof(command), "cp -r '%s' '%s' && rm -r '%s' && mv '%s' '%s'", from, to, from,
                 to, from);
        ck_assert_int_eq(system(command), 0);
}

/* Another cgroup of the same path is another one: right away, and after a restart. */
START_TEST(it_ends_with_the_cgroup)
{
        uint32_t id;

        /* Without a fence nothing is heard of cgroups that go: the inode alone tells. */
        if (_i == 2) {
                world_put(&w, "/etc/cdm/cdmd.conf", "[Fence]\nMode=observe\n");
                world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=1G\n");
        }
        world_granted(ask(w.client, ML, &id));
        world_granted(world_request(w.client, "cdm", MIB, &id, 2, CDM_OPTION_UNIT, "s", "train.service",
                                    CDM_OPTION_LABELS, "a{ss}", ML));
        ck_assert_uint_eq(count_files(), 2);
        if (_i == 1)
                world_kill_cdmd(&w, SIGKILL);
        remake("/system.slice/db.service");
        if (_i == 1)
                world_start_cdmd(&w);
        world_granted(ask(w.client, NULL, &id));
        ck_assert_str_eq(labels_of(w.client, id), "");
        world_granted(ask(w.client, "slurm.account=bio", &id));
        ck_assert_str_eq(labels_of(w.client, id), "slurm.account=bio ");
        /* The one that is gone is not kept for ever. */
        for (int i = 0; i < 1000 && count_files() > 2; i++)
                usleep(20000);
        ck_assert_uint_eq(count_files(), 2);
}
END_TEST

START_TEST(explain_keeps_nothing)
{
        uint32_t id;

        world_set_policy(&w, "[Match]\nLabel=" ML "\n[Grant]\nLimit=1G\n");
        for (int i = 0; i < 2; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                const char *key, *verdict;

                ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                    "Explain", NULL, &m, "sta{sv}", "cdm", MIB, 2,
                                                    CDM_OPTION_UNIT, "s", "db.service", CDM_OPTION_LABELS,
                                                    "a{ss}", 1, "slurm.account", i == 0 ? "ml" : "bio"),
                                 0);
                ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', "{sv}"), 0);
                ck_assert_int_ge(sd_bus_message_enter_container(m, 'e', "sv"), 0);
                ck_assert_int_ge(sd_bus_message_read(m, "sv", &key, "s", &verdict), 0);
                ck_assert_str_eq(verdict, i == 0 ? "granted" : "denied");
        }
        world_refused(ask(w.client, NULL, &id), CDM_ERROR_DENIED, "no file in policy.d matches");
}
END_TEST

/* The owner and root see them, and nobody else: neither alone, nor in a list, nor in a signal. */
START_TEST(who_sees_them)
{
        uint32_t id;

        if (geteuid() != 0)
                return;
        sd_bus *alice = world_connect(&w, USER_NOBODY), *bob = world_connect(&w, USER_DAEMON);
        world_granted(world_request(w.client, "cdm", MIB, &id, 3, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_FOR_UID, "u", USER_NOBODY, CDM_OPTION_LABELS, "a{ss}", ML));
        ck_assert_str_eq(labels_of(w.client, id), ML " ");
        ck_assert_str_eq(labels_of(alice, id), ML " ");
        ck_assert_str_eq(labels_of(bob, id), CDM_ERROR_DENIED);
        sd_bus *buses[] = { w.client, alice, bob };
        for (int i = 0; i < 3; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *list = NULL, *all = NULL;
                bool has = false;
                const char *key;
                char path[64];

                ck_assert_int_ge(sd_bus_call_method(buses[i], CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                    "ListReservations", NULL, &list, "uua{sv}", 0, 10, 0),
                                 0);
                ck_assert_int_ge(sd_bus_message_enter_container(list, 'a', "(ua{sv})"), 0);
                ck_assert_int_gt(sd_bus_message_enter_container(list, 'r', "ua{sv}"), 0);
                ck_assert_int_ge(sd_bus_message_skip(list, "u"), 0);
                ck_assert_int_ge(sd_bus_message_enter_container(list, 'a', "{sv}"), 0);
                while (sd_bus_message_enter_container(list, 'e', "sv") > 0) {
                        ck_assert_int_ge(sd_bus_message_read(list, "s", &key), 0);
                        has = has || strcmp(key, "Labels") == 0;
                        ck_assert_int_ge(sd_bus_message_skip(list, "v"), 0);
                        ck_assert_int_ge(sd_bus_message_exit_container(list), 0);
                }
                ck_assert(has == (i < 2));
                snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
                ck_assert_int_ge(sd_bus_call_method(buses[i], CDM_BUS_NAME, path,
                                                    "org.freedesktop.DBus.Properties", "GetAll", NULL, &all,
                                                    "s", CDM_INTERFACE_RESERVATION),
                                 0);
                ck_assert_int_ge(sd_bus_message_enter_container(all, 'a', "{sv}"), 0);
                while (sd_bus_message_enter_container(all, 'e', "sv") > 0) {
                        ck_assert_int_ge(sd_bus_message_read(all, "s", &key), 0);
                        ck_assert_str_ne(key, "Labels");
                        ck_assert_int_ge(sd_bus_message_skip(all, "v"), 0);
                        ck_assert_int_ge(sd_bus_message_exit_container(all), 0);
                }
        }
        sd_bus_flush_close_unref(alice);
        sd_bus_flush_close_unref(bob);
}
END_TEST

/* A process of the job asks for itself: it has what was said of the job, and neither its environment nor what it
 * says itself changes that. Nor is it moved to where nothing is said. */
START_TEST(a_job_cannot_say_it_itself)
{
        uint32_t id;

        if (geteuid() != 0)
                return;
        world_set_policy(&w, "[Match]\nLabel=" ML "\n[Grant]\nLimit=1G\n");
        world_add_unit(&w, "session-1.scope", "user-65534.slice",
                       "/user.slice/user-65534.slice/session-1.scope", "");
        world_be(&w, USER_NOBODY, "/user.slice/user-65534.slice/session-1.scope");
        setenv("SLURM_JOB_ACCOUNT", "ml", 1);
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        world_refused(world_request(bus, "cdm", MIB, &id, 2, CDM_OPTION_PIDFD, "h", pidfd, CDM_OPTION_LABELS,
                                    "a{ss}", ML),
                      CDM_ERROR_DENIED, "say for whom a reservation is");
        world_refused(world_request(bus, "cdm", MIB, &id, 1, CDM_OPTION_PIDFD, "h", pidfd), CDM_ERROR_DENIED,
                      "no file in policy.d matches");
        world_granted(world_request(w.client, "cdm", MIB, &id, 2, CDM_OPTION_UNIT, "s", "session-1.scope",
                                    CDM_OPTION_LABELS, "a{ss}", ML));
        world_granted(world_request(bus, "cdm", MIB, &id, 3, CDM_OPTION_PIDFD, "h", pidfd, CDM_OPTION_SCOPE,
                                    "b", 1, CDM_OPTION_MEM_POLICY, "s", "prefer"));
        ck_assert_str_eq(labels_of(bus, id), ML " ");
        ck_assert_str_eq(world_reservation(&w, id, "Unit"), "session-1.scope");
        ck_assert_uint_eq(world_steer(&w, "Scopes", 0), 0);
        world_refused(world_request(bus, "cdm", MIB, &id, 2, CDM_OPTION_PIDFD, "h", pidfd, CDM_OPTION_LABELS,
                                    "a{ss}", "slurm.account=bio"),
                      CDM_ERROR_DENIED, "say for whom a reservation is");
        close(pidfd);
        sd_bus_flush_close_unref(bus);
}
END_TEST

/* The user for whom it is owns it, has the groups that a look-up says, and is the one whose limits count. */
START_TEST(the_user_for_whom_it_is)
{
        uint32_t id;

        world_put(&w, "/etc/group", "root:x:0:\nml:x:77:nobody\n");
        world_set_policy(&w, _i == 0   ? "[Match]\nUser=nobody\nGroup=ml\n[Grant]\nQuotaPerUser=64M\n"
                             : _i == 1 ? "[Match]\nUser=nobody\n[Grant]\nLimit=64M\n"
                                       : "[Match]\nUser=root\n[Grant]\nLimit=64M\n");
        if (_i == 2) {
                world_refused(ask_for(w.client, USER_NOBODY, MIB, "db.service", &id), CDM_ERROR_DENIED,
                              "user nobody");
                /* Root asks, for a cgroup that is another user's now. */
                world_refused(ask(w.client, NULL, &id), CDM_ERROR_DENIED, "user nobody");
                return;
        }
        if (_i == 1) {
                world_put(&w, "/etc/cdm/cdmd.conf", "[Reservations]\nMaxPerUser=1\n");
                world_set_policy(&w, "[Match]\nUser=nobody\n[Grant]\nLimit=64M\n");
        }
        world_granted(ask_for(w.client, USER_NOBODY, 64 * MIB, "db.service", &id));
        ck_assert_uint_eq(number_of(id, "Uid"), USER_NOBODY);
        world_refused(ask_for(w.client, USER_NOBODY, MIB, "train.service", &id), CDM_ERROR_DENIED,
                      _i == 0 ? "is in use by user nobody" : "user nobody has 1 reservations already");
}
END_TEST

/* Its groups come from the name service, which is asked again after a restart: the bus knows those of the client. */
START_TEST(it_waits_with_its_groups)
{
        uint64_t all;
        uint32_t first, id;

        if (geteuid() != 0)
                return;
        world_put(&w, "/etc/group", "root:x:0:\nml:x:77:nobody\n");
        world_put(&w, "/etc/cdm/policy.d/05-first.conf",
                  "[Match]\nUnit=db.service\n[Grant]\nLimit=infinity\n");
        world_set_policy(&w, "[Match]\nGroup=ml\nLabel=" ML "\n[Grant]\nLimit=1G\nOnFull=queue\n");
        ck_assert_int_ge(sd_bus_get_property_trivial(w.client, CDM_BUS_NAME, CDM_PATH_POOL "/cdm",
                                                     CDM_INTERFACE_POOL, "Available", NULL, 't', &all),
                         0);
        world_granted(world_request(w.client, "cdm", all, &first, 1, CDM_OPTION_UNIT, "s", "db.service"));
        world_granted(world_request(w.client, "cdm", MIB, &id, 4, CDM_OPTION_UNIT, "s", "train.service",
                                    CDM_OPTION_FOR_UID, "u", USER_NOBODY, CDM_OPTION_LABELS, "a{ss}", ML,
                                    CDM_OPTION_QUEUE, "t", UINT64_MAX));
        world_kill_cdmd(&w, SIGKILL);
        world_start_cdmd(&w);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "queued");
        ck_assert_int_eq(world_release(w.client, first), 0);
        world_wait_event(&w, "granted", id);
        ck_assert_str_eq(labels_of(w.client, id), ML " ");
        ck_assert_uint_eq(number_of(id, "Uid"), USER_NOBODY);
}
END_TEST

/* A cgroup below has what was said of the one above, as long as that one is there. */
START_TEST(it_holds_below)
{
        uint32_t id;

        for (int i = 0; i < 2; i++) {
                const char *path = i == 0 ? "/jobs" : "/jobs/step";
                char file[128];

                snprintf(file, sizeof(file), "/sys/fs/cgroup%s/cgroup.procs", path);
                world_put(&w, file, "");
                snprintf(file, sizeof(file), "/sys/fs/cgroup%s/cpuset.mems", path);
                world_put(&w, file, "0-1\n");
                snprintf(file, sizeof(file), "/sys/fs/cgroup%s/cpuset.mems.effective", path);
                world_put(&w, file, "0-1\n");
                snprintf(file, sizeof(file), "/sys/fs/cgroup%s/memory.numa_stat", path);
                world_put(&w, file, "anon N0=0\nfile N0=0\n");
        }
        world_set_policy(&w, "[Match]\nLabel=" ML "\n[Grant]\nDeny=yes\n");
        world_refused(world_request(w.client, "cdm", MIB, &id, 2, CDM_OPTION_CGROUP, "s", "/jobs",
                                    CDM_OPTION_LABELS, "a{ss}", ML),
                      CDM_ERROR_DENIED, "Deny=yes");
        for (int i = 0; i < 2; i++) {
                world_refused(
                        world_request(w.client, "cdm", MIB, &id, 1, CDM_OPTION_CGROUP, "s", "/jobs/step"),
                        CDM_ERROR_DENIED, i == 0 ? "Deny=yes" : "no file in policy.d matches");
                remake("/jobs");
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("bus-labels");
        TCase *c = tcase_create("bus-labels");

        tcase_add_checked_fixture(c, start, stop);
        tcase_set_timeout(c, 0);
        tcase_add_loop_test(c, who_may_say_what, 0, ARRAY_SIZE(speakers));
        tcase_add_loop_test(c, what_cannot_be_said, 0, ARRAY_SIZE(bad_labels));
        tcase_add_test(c, words_that_exclude_each_other);
        tcase_add_test(c, it_is_said_once);
        tcase_add_test(c, a_refused_request_says_it);
        tcase_add_loop_test(c, it_ends_with_the_cgroup, 0, 3);
        tcase_add_test(c, explain_keeps_nothing);
        tcase_add_test(c, who_sees_them);
        tcase_add_test(c, a_job_cannot_say_it_itself);
        tcase_add_loop_test(c, the_user_for_whom_it_is, 0, 3);
        tcase_add_test(c, it_waits_with_its_groups);
        tcase_add_test(c, it_holds_below);
        suite_add_tcase(s, c);
        return check_main(s);
}
