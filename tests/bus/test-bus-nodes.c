/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a whole cdmd tells of its nodes: on what evidence they are in their pools, and which ones left. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "policy/warning.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

#define NODE    "/sys/devices/system/node/"
#define POOL    "/etc/cdm/pools.d/cdm.conf"
#define RECORD  CDM_LASTING_DIR "/pools"
#define DB_MEMS "/sys/fs/cgroup/system.slice/db.service/cpuset.mems"

static World w;

static void start(void)
{
        world_start(&w);
}

static void stop(void)
{
        world_stop(&w);
}

static char *all_warnings(void)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        char **list = NULL, *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        ck_assert_ptr_nonnull(f);
        ck_assert_int_ge(sd_bus_get_property_strv(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                  "Warnings", &error, &list),
                         0);
        for (char **s = list; s && *s; s++) {
                fprintf(f, "%s\n", *s);
                free(*s);
        }
        free(list);
        fclose(f);
        return text;
}

static void expect_warning(const char *words, bool there)
{
        _cleanup_free_ char *text = all_warnings();

        ck_assert_msg((strstr(text, words) != NULL) == there, "'%s' is %s: %s", words,
                      there ? "missing" : "there", text);
}

/* NamedWarnings has the sentences of Warnings, in the same order, and one of them has this name and weight and
 * begins with these words. */
static void expect_named_warning(const char *name, const char *weight, const char *words)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *sentences = all_warnings(), *named = NULL;
        const char *row_name, *row_weight, *text;
        bool found = false;
        size_t size;
        FILE *f = open_memstream(&named, &size);

        ck_assert_ptr_nonnull(f);
        ck_assert_int_ge(sd_bus_get_property(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                             "NamedWarnings", &error, &m, "a(sss)"),
                         0);
        ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', "(sss)"), 0);
        while (sd_bus_message_read(m, "(sss)", &row_name, &row_weight, &text) > 0) {
                const WarningInfo *info = warning_find(row_name);

                ck_assert_msg(info != NULL, "no warning is named '%s'", row_name);
                ck_assert_msg(strcmp(row_weight, info->fault ? "fault" : "advice") == 0, "%s: %s", row_name,
                              row_weight);
                fprintf(f, "%s\n", text);
                if (strcmp(row_name, name) == 0 && strncmp(text, words, strlen(words)) == 0) {
                        ck_assert_str_eq(row_weight, weight);
                        found = true;
                }
        }
        fclose(f);
        ck_assert_str_eq(named, sentences);
        ck_assert_msg(found, "no warning %s begins with '%s': %s", name, words, named);
}

static void expect_evidence(int node, const char *evidence)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        char path[64];

        snprintf(path, sizeof(path), CDM_PATH_NODE "/%d", node);
        ck_assert_int_ge(sd_bus_get_property_string(w.client, CDM_BUS_NAME, path, CDM_INTERFACE_NODE,
                                                    "Evidence", &error, &text),
                         0);
        ck_assert_str_eq(text, evidence);
}

static void restart(void)
{
        world_kill_cdmd(&w, SIGTERM);
        world_start_cdmd(&w);
}

static void reload(void)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Reload", &error,
                                   NULL, NULL);

        ck_assert_msg(r >= 0, "%s", error.message);
}

START_TEST(a_node_that_left_its_pool_is_told_over_restarts)
{
        restart(); /* stops when the worker has written */
        ck_assert_str_eq(world_get(&w, RECORD), "cdm 2-3");
        expect_evidence(3, "dax,tier,hmat");
        expect_evidence(0, "");
        world_put(&w, POOL, "[Pool]\nNodes=2\n");
        for (int boot = 0; boot < 2; boot++) {
                restart();
                expect_warning("node 3 was in pool cdm before and is in none now", true);
                expect_warning("node 3 (2G) has memory and no CPUs, could be device memory", true);
                expect_evidence(2, "list,dax,tier,hmat");
                expect_evidence(3, "dax,tier,hmat");
        }
        reload();
        expect_warning("was in pool", false);
        restart();
        expect_warning("was in pool", false);
        ck_assert_str_eq(world_get(&w, RECORD), "cdm 2");
}
END_TEST

START_TEST(a_damaged_record_is_written_anew)
{
        world_kill_cdmd(&w, SIGTERM);
        world_put(&w, RECORD, "cdm\n");
        world_start_cdmd(&w);
        expect_warning("was in pool", false);
        restart();
        ck_assert_str_eq(world_get(&w, RECORD), "cdm 2-3");
}
END_TEST

/* Everybody may use it, and its reservation is as good as it was. */
START_TEST(a_reserved_node_leaves_its_pool)
{
        uint32_t id;

        world_granted(world_request(w.client, "cdm", GIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_NODES, "s", "3"));
        ck_assert_str_eq(world_reservation(&w, id, "Strength"), "exclusive");
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1,3");
        world_put(&w, POOL, "[Pool]\nNodes=2\n");
        reload();
        ck_assert_str_eq(world_reservation(&w, id, "Strength"), "advisory");
        world_kill_cdmd(&w, SIGTERM);
        world_put(&w, DB_MEMS ".effective", "0-1\n");
        world_put(&w, DB_MEMS, "0-1\n");
        world_start_cdmd(&w);
        world_wait_file(&w, DB_MEMS, "0-1,3");
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "released", id);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1,3");
}
END_TEST

START_TEST(what_pools_and_nodes_say_of_each_other_is_told)
{
        world_put(&w, POOL, "[Pool]\nNodes=auto\nMinBandwidth=90T\n");
        world_put(&w, "/etc/cdm/pools.d/far.conf", "[Pool]\nNodes=2,7\n");
        reload();
        expect_warning("pool cdm (/etc/cdm/pools.d/cdm.conf:2) is empty", true);
        expect_warning("pool far (/etc/cdm/pools.d/far.conf:2) lists node 7", true);
        expect_warning("node 3 (2G) has memory and no CPUs, could be device memory, and is in no pool",
                       true);
        world_put(&w, POOL, "[Pool]\nNodes=3\n");
        world_put(&w, "/etc/cdm/pools.d/far.conf", "[Pool]\nNodes=2\n");
        reload();
        expect_warning("pool", false);
}
END_TEST

/* Any number of mistakes makes a bounded number of sentences, and what is left out is told. */
START_TEST(warnings_have_an_end)
{
        enum { MISTAKES = 100 };
        _cleanup_free_ char *before = all_warnings(), *after = NULL;
        size_t n = 0;

        world_kill_cdmd(&w, SIGTERM);
        for (int i = 0; i < MISTAKES; i++) {
                char path[64];

                snprintf(path, sizeof(path), "/etc/cdm/policy.d/20-bad%d.conf", i);
                world_put(&w, path, "[Match]\nPool=*\n[Grant]\nLimit=much\n");
        }
        world_start_cdmd(&w);
        after = all_warnings();
        for (const char *p = after; (p = strstr(p, "Limit=much")); p++)
                n++;
        ck_assert_uint_eq(n, 64);
        ck_assert_msg(strstr(after, "36 more warnings are left out here"), "%s", after);
        ck_assert_ptr_null(strstr(before, "left out"));
}
END_TEST

START_TEST(each_warning_has_its_name_and_weight)
{
        restart(); /* stops when the worker has written what was in which pool */
        world_put(&w, POOL, "[Pool]\nNodes=auto\nMinBandwidth=90T\n");
        world_put(&w, "/etc/cdm/pools.d/far.conf", "[Pool]\nNodes=2,7\n");
        restart();
        expect_named_warning("pool-empty", "fault", "pool cdm (/etc/cdm/pools.d/cdm.conf:2) is empty");
        expect_named_warning("nodes-absent", "advice",
                             "pool far (/etc/cdm/pools.d/far.conf:2) lists node 7");
        expect_named_warning("not-in-pool", "advice", "node 3 (2G) has memory and no CPUs");
        expect_named_warning("nodes-left", "fault", "node 3 was in pool cdm before and is in none now");
}
END_TEST

/* cdmd has four threads for what is short. With all of them kept by files that do not end, whatever else is
 * read by a thread has to wait, and clients do not. */
#define SHORT_THREADS 4

static int keep_error(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);

        snprintf(userdata, 256, "%s", e ? e->message : "no error");
        return 0;
}

static void wait_answer(const char *answer)
{
        while (!*answer) {
                int r = sd_bus_process(w.client, NULL);

                ck_assert_int_ge(r, 0);
                if (r == 0)
                        ck_assert_int_ge(sd_bus_wait(w.client, UINT64_MAX), 0);
        }
}

/* The writing end of a file that a request for that process reads. */
static int keep_a_thread(unsigned pid, char answer[static 256])
{
        char path[256], file[64];

        snprintf(file, sizeof(file), "/proc/%u/cgroup", pid);
        world_put(&w, file, "0::/system.slice/db.service\n");
        snprintf(path, sizeof(path), "%s/proc/%u/status", w.root, pid);
        ck_assert_int_eq(mkfifo(path, 0644), 0);
        ck_assert_int_ge(sd_bus_call_method_async(w.client, NULL, CDM_BUS_NAME, CDM_PATH,
                                                  CDM_INTERFACE_MANAGER, "Request", keep_error, answer,
                                                  "sta{sv}", "cdm", UINT64_C(1) << 20, 1, CDM_OPTION_PID,
                                                  "u", pid),
                         0);
        ck_assert_int_ge(sd_bus_flush(w.client), 0);
        int fd = open(path, O_WRONLY | O_CLOEXEC); /* returns when cdmd has opened it */
        ck_assert_int_ge(fd, 0);
        return fd;
}

START_TEST(settings_and_devices_are_read_by_a_worker)
{
        char answers[SHORT_THREADS][256] = { "" }, near[256] = "", warnings[256] = "", all[256] = "",
             alone[256] = "";
        int fds[SHORT_THREADS];

        for (unsigned i = 0; i < SHORT_THREADS; i++)
                fds[i] = keep_a_thread(5000 + i, answers[i]);
        ck_assert_int_ge(sd_bus_call_method_async(w.client, NULL, CDM_BUS_NAME, CDM_PATH,
                                                  CDM_INTERFACE_MANAGER, "Request", keep_error, near,
                                                  "sta{sv}", "cdm", UINT64_C(1) << 20, 1, CDM_OPTION_NEAR,
                                                  "s", "0000:65:00.0"),
                         0);
        ck_assert_int_ge(sd_bus_call_method_async(w.client, NULL, CDM_BUS_NAME, CDM_PATH,
                                                  "org.freedesktop.DBus.Properties", "Get", keep_error,
                                                  warnings, "ss", CDM_INTERFACE_MANAGER, "Warnings"),
                         0);
        ck_assert_int_ge(sd_bus_call_method_async(w.client, NULL, CDM_BUS_NAME, CDM_PATH,
                                                  "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
                                                  keep_error, all, NULL),
                         0);
        /* What is no address needs no thread. */
        ck_assert_int_ge(sd_bus_call_method_async(w.client, NULL, CDM_BUS_NAME, CDM_PATH,
                                                  CDM_INTERFACE_MANAGER, "Request", keep_error, alone,
                                                  "sta{sv}", "cdm", UINT64_C(1) << 20, 1, CDM_OPTION_NEAR,
                                                  "s", "../../65:00.0"),
                         0);
        wait_answer(alone);
        ck_assert_msg(strstr(alone, "is a PCI address"), "%s", alone);
        ck_assert_str_eq(near, "");
        ck_assert_str_eq(warnings, "");
        ck_assert_str_eq(all, "");
        for (unsigned i = 0; i < SHORT_THREADS; i++)
                close(fds[i]);
        wait_answer(near);
        ck_assert_msg(strstr(near, "there is no PCI device 0000:65:00.0"), "%s", near);
        wait_answer(warnings);
        ck_assert_str_eq(warnings, "no error");
        wait_answer(all);
        ck_assert_str_eq(all, "no error");
        for (unsigned i = 0; i < SHORT_THREADS; i++)
                wait_answer(answers[i]);
}
END_TEST

/* A driver that does not answer keeps a thread; those who ask get what was read last. */
START_TEST(a_driver_that_does_not_answer)
{
        char answers[SHORT_THREADS][256] = { "" };
        int fds[SHORT_THREADS];

        for (unsigned i = 0; i < SHORT_THREADS; i++)
                fds[i] = keep_a_thread(5000 + i, answers[i]);
        expect_warning("there is no such warning", false);
        for (unsigned i = 0; i < SHORT_THREADS; i++)
                close(fds[i]);
        for (unsigned i = 0; i < SHORT_THREADS; i++)
                wait_answer(answers[i]);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("bus-nodes");
        TCase *t = tcase_create("nodes");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, a_node_that_left_its_pool_is_told_over_restarts);
        tcase_add_test(t, a_damaged_record_is_written_anew);
        tcase_add_test(t, a_reserved_node_leaves_its_pool);
        tcase_add_test(t, what_pools_and_nodes_say_of_each_other_is_told);
        tcase_add_test(t, warnings_have_an_end);
        tcase_add_test(t, each_warning_has_its_name_and_weight);
        tcase_add_test(t, settings_and_devices_are_read_by_a_worker);
        tcase_add_test(t, a_driver_that_does_not_answer);
        suite_add_tcase(s, t);
        return check_main(s);
}
