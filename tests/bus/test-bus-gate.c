/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A cdmd whose systemd is slow: what it asks, and in which order. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "policy/nodeset.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

#define N_UNITS   20 /* a look at one of them is 11 calls; the bus lets cdmd have 128 open */
#define BUS_LIMIT 128
#define N_BUSES   4
#define N_EACH    100 /* questions of one connection */
#define ALL_OPEN  "0-3\n"
#define UNIT_NAME "unit-%d.service"
#define UNIT_PATH "/system.slice/" UNIT_NAME
#define TRAIN     "/sys/fs/cgroup/system.slice/train.service"
#define STEP      11

static World w;

static void start(void)
{
        world_start(&w);
}

static void stop(void)
{
        world_stop(&w);
}

/* What systemd was told of a unit. */
static void get_allowed(const char *unit, NodeSet *ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        const void *bytes;
        size_t n;

        ck_assert_int_ge(sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path), 0);
        ck_assert_int_ge(sd_bus_get_property(w.client, "org.freedesktop.systemd1", path,
                                             "org.freedesktop.systemd1.Service", "AllowedMemoryNodes", NULL,
                                             &m, "ay"),
                         0);
        ck_assert_int_ge(sd_bus_message_read_array(m, 'y', &bytes, &n), 0);
        ck_assert_int_ge(nodeset_from_bytes(bytes, n, ret), 0);
}

/* Somebody opens many units at once while systemd stands still. All of them are closed, and systemd is told
 * of each, as soon as it is well again. */
START_TEST(a_systemd_that_stands_still_refuses_nothing)
{
        char name[64], path[128], list[NODESET_STR_MAX];

        for (int i = 0; i < N_UNITS; i++) {
                snprintf(name, sizeof(name), UNIT_NAME, i);
                snprintf(path, sizeof(path), UNIT_PATH, i);
                world_add_unit(&w, name, "system.slice", path, "");
        }
        world_steer(&w, "Stall", 1);
        for (int i = 0; i < N_UNITS; i++) {
                snprintf(path, sizeof(path), "/sys/fs/cgroup" UNIT_PATH "/cpuset.mems.effective", i);
                world_put(&w, path, ALL_OPEN);
                snprintf(path, sizeof(path), "/sys/fs/cgroup" UNIT_PATH "/cpuset.mems", i);
                world_put(&w, path, ALL_OPEN);
        }
        /* The kernel's part needs no systemd. */
        for (int i = 0; i < N_UNITS; i++) {
                snprintf(path, sizeof(path), "/sys/fs/cgroup" UNIT_PATH "/cpuset.mems", i);
                world_wait_file(&w, path, "0-1");
        }
        ck_assert_uint_lt(world_steer(&w, "Stall", 1), BUS_LIMIT);
        world_steer(&w, "Stall", 0);
        for (int i = 0; i < N_UNITS; i++)
                world_wait_event(&w, "drift", 0);
        for (int i = 0; i < N_UNITS; i++) {
                NodeSet allowed;

                snprintf(name, sizeof(name), UNIT_NAME, i);
                get_allowed(name, &allowed);
                ck_assert_msg(strcmp(nodeset_format(&allowed, list), "0-1") == 0,
                              "systemd was not told of %s, which has '%s'", name, list);
        }
}
END_TEST

static int count_reply(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
        ck_assert(!sd_bus_message_is_method_error(m, NULL));
        (*(unsigned *)userdata)++;
        return 0;
}

static void explain(sd_bus *bus, unsigned *n)
{
        ck_assert_int_ge(sd_bus_call_method_async(bus, NULL, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                  "Explain", count_reply, n, "sta{sv}", "cdm", GIB / 4, 1,
                                                  "unit", "s", "db.service"),
                         0);
}

/* cdmd has read what was sent on this connection before. */
static void barrier(sd_bus *bus)
{
        _cleanup_free_ char *text = NULL;

        ck_assert_int_ge(sd_bus_get_property_string(bus, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                    "Version", NULL, &text),
                         0);
}

static void ask_much(sd_bus **buses, unsigned *n)
{
        for (int i = 0; i < N_BUSES; i++) {
                buses[i] = world_connect(&w, USER_NOBODY);
                for (int k = 0; k < N_EACH; k++)
                        explain(buses[i], n);
                barrier(buses[i]);
        }
}

/* systemd answers a few calls, and whoever got an answer by that reads it. */
static void step(sd_bus *const *buses, size_t n)
{
        world_steer(&w, "Step", STEP);
        for (size_t i = 0; i < n; i++) {
                barrier(buses[i]);
                while (sd_bus_process(buses[i], NULL) > 0)
                        ;
        }
}

/* Steps on, and leaves cdmd's workers the time for what they have to read before the next question. Without
 * turns by user all of the others' questions, which came first, would be answered before. */
static void step_gently(sd_bus *const *buses, size_t n, sd_bus *waiting)
{
        step(buses, n);
        (void)sd_bus_wait(waiting, UINT64_C(50) * 1000);
}

static void close_all(sd_bus **buses, size_t n)
{
        for (size_t i = 0; i < n; i++)
                sd_bus_close_unref(buses[i]);
}

START_TEST(one_question_does_not_wait_for_hundreds_of_another_user)
{
        sd_bus *buses[N_BUSES + 1];
        unsigned n_of_nobody = 0, n_of_daemon = 0;

        world_steer(&w, "Stall", 1);
        ask_much(buses, &n_of_nobody);
        buses[N_BUSES] = world_connect(&w, USER_DAEMON);
        explain(buses[N_BUSES], &n_of_daemon);
        barrier(buses[N_BUSES]);
        while (n_of_daemon == 0)
                step_gently(buses, N_BUSES + 1, buses[N_BUSES]);
        ck_assert_uint_lt(n_of_nobody, N_BUSES * N_EACH / 2);
        world_steer(&w, "Stall", 0);
        while (n_of_nobody < N_BUSES * N_EACH)
                step(buses, N_BUSES);
        close_all(buses, N_BUSES + 1);
}
END_TEST

/* Has cdmd told of a drift, among all that it has told by now? */
static bool saw_drift(void)
{
        bool saw = false;
        int r;

        barrier(w.client);
        do {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                const char *kind;

                r = sd_bus_process(w.client, &m);
                ck_assert_int_ge(r, 0);
                if (m && sd_bus_message_is_signal(m, CDM_INTERFACE_MANAGER, "Event") &&
                    sd_bus_message_read(m, "s", &kind) > 0)
                        saw |= strcmp(kind, "drift") == 0;
        } while (r > 0);
        return saw;
}

/* A unit that somebody opened is closed, and systemd told of it, though hundreds of questions wait. */
START_TEST(cdmds_own_work_does_not_wait_for_users)
{
        sd_bus *buses[N_BUSES];
        unsigned n_of_nobody = 0;
        world_steer(&w, "Stall", 1);
        ask_much(buses, &n_of_nobody);
        world_put(&w, TRAIN "/cpuset.mems.effective", ALL_OPEN);
        world_put(&w, TRAIN "/cpuset.mems", ALL_OPEN);
        world_wait_file(&w, TRAIN "/cpuset.mems", "0-1");
        while (!saw_drift())
                step_gently(buses, N_BUSES, w.client);
        ck_assert_uint_lt(n_of_nobody, N_BUSES * N_EACH / 2);
        close_all(buses, N_BUSES);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("bus-gate");
        TCase *t = tcase_create("bus-gate");

        /* No time limit: a slow machine is no failure. */
        tcase_set_timeout(t, 0);
        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, a_systemd_that_stands_still_refuses_nothing);
        if (getuid() == 0) {
                tcase_add_test(t, one_question_does_not_wait_for_hundreds_of_another_user);
                tcase_add_test(t, cdmds_own_work_does_not_wait_for_users);
        } else
                puts("# the tests with another user were left out: they need root");
        suite_add_tcase(s, t);
        return check_main(s);
}
