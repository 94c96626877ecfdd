/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A whole cdmd as its clients see it. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

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

static uint32_t grant_db(uint64_t size)
{
        uint32_t id = 0;
        int r = world_request(w.client, "cdm", size, &id, 1, CDM_OPTION_UNIT, "s", "db.service");

        ck_assert_msg(r == 0, "%s: %s", world_error, world_message);
        return id;
}

static int keep_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        *(sd_bus_message **)userdata = sd_bus_message_ref(m);
        return 0;
}

static int keep_nothing(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return 0;
}

static int count_busy(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        if (sd_bus_message_is_method_error(m, CDM_ERROR_BUSY))
                (*(unsigned *)userdata)++;
        return 0;
}

static void get_u64(const char *path, const char *interface, const char *property, uint64_t *ret)
{
        ck_assert_int_ge(sd_bus_get_property_trivial(w.client, CDM_BUS_NAME, path, interface, property, NULL,
                                                     't', ret),
                         0);
}

START_TEST(request_and_release)
{
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
        uint32_t id = grant_db(GIB / 2);

        char file[64];

        snprintf(file, sizeof(file), "/run/cdmd/reservation-%" PRIu32, id);
        ck_assert_str_ne(world_get(&w, file), "");
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-2");
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        ck_assert_str_eq(world_reservation(&w, id, "Unit"), "db.service");
        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "released", id);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
        ck_assert_str_eq(world_reservation(&w, id, "State"), "");
        ck_assert_str_eq(world_get(&w, file), "");
        ck_assert_int_lt(world_release(w.client, id), 0);
}
END_TEST

START_TEST(full_and_limits)
{
        uint32_t id;

        ck_assert_int_lt(world_request(w.client, "cdm", 2 * GIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"),
                         0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        ck_assert_ptr_nonnull(strstr(world_message, "10-all.conf:4"));
        grant_db(GIB);
        grant_db(GIB);
        ck_assert_int_lt(world_request(w.client, "cdm", 2 * GIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"),
                         0);
        while (world_request(w.client, "cdm", GIB / 2, &id, 1, CDM_OPTION_UNIT, "s", "train.service") == 0)
                ;
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
}
END_TEST

static void refused(const char *error, const char *pool, uint64_t size, const char *key, const char *type,
                    const void *value)
{
        uint32_t id;
        int r = *type == 's' ? world_request(w.client, pool, size, &id, 1, key, type, (const char *)value)
                             : world_request(w.client, pool, size, &id, 1, key, type, *(const int *)value);

        ck_assert_msg(r < 0, "%s %s was not refused", pool, key);
        ck_assert_msg(strcmp(world_error, error) == 0, "%s=%s: %s (%s)", key,
                      *type == 's' ? (const char *)value : "", world_error, world_message);
}

START_TEST(nonsense_is_refused)
{
        static const int zero = 0, one = 1, negative = -1;
        static const char unit[] = CDM_OPTION_UNIT;

        refused(CDM_ERROR_NO_SUCH_POOL, "nothing", GIB, unit, "s", "db.service");
        refused(CDM_ERROR_NO_SUCH_POOL, "../%n\n\xc3\xa4", GIB, unit, "s", "db.service");
        refused(CDM_ERROR_NO_SUCH_POOL, "", GIB, unit, "s", "db.service");
        refused(CDM_ERROR_INVALID, "cdm", 0, unit, "s", "db.service");
        refused(CDM_ERROR_INVALID, "cdm", UINT64_C(1) << 63, unit, "s", "db.service");
        refused(CDM_ERROR_INVALID, "cdm", UINT64_MAX, unit, "s", "db.service");
        refused(CDM_ERROR_INVALID, "cdm", GIB, "unit", "i", &one);
        refused(CDM_ERROR_INVALID, "cdm", GIB, "colour", "s", "blue");
        refused(CDM_ERROR_INVALID, "cdm", GIB, "user", "s", "root");
        refused(CDM_ERROR_NO_SUCH_TARGET, "cdm", GIB, unit, "s", "none.service");
        refused(CDM_ERROR_NO_SUCH_TARGET, "cdm", GIB, unit, "s", "system.slice");
        refused(CDM_ERROR_NO_SUCH_TARGET, "cdm", GIB, unit, "s", "cdmd.service/../x");
        refused(CDM_ERROR_INVALID, "cdm", GIB, CDM_OPTION_CGROUP, "s",
                "/system.slice/../system.slice/db.service");
        refused(CDM_ERROR_INVALID, "cdm", GIB, CDM_OPTION_CGROUP, "s", "system.slice");
        refused(CDM_ERROR_NO_SUCH_TARGET, "cdm", GIB, CDM_OPTION_CGROUP, "s", "/nowhere.slice");
        refused(CDM_ERROR_INVALID, "cdm", GIB, CDM_OPTION_PID, "u", &zero);
        refused(CDM_ERROR_INVALID, "cdm", GIB, CDM_OPTION_PID, "u", &negative);
        refused(CDM_ERROR_NO_SUCH_TARGET, "cdm", GIB, CDM_OPTION_PID, "u", &one);
        refused(CDM_ERROR_INVALID, "cdm", GIB, CDM_OPTION_NEAR, "s", "../../../etc");
        refused(CDM_ERROR_INVALID, "cdm", GIB, CDM_OPTION_NODES, "s", "2-");
}
END_TEST

START_TEST(a_stopped_unit_is_no_target)
{
        world_unit_state(&w, "db.service", "inactive", false);
        refused(CDM_ERROR_NO_SUCH_TARGET, "cdm", GIB, CDM_OPTION_UNIT, "s", "db.service");
}
END_TEST

START_TEST(a_kill_loses_nothing)
{
        char mems[64];
        uint32_t id = grant_db(GIB / 2);

        snprintf(mems, sizeof(mems), "%s", world_get(&w, DB_MEMS));
        world_kill_cdmd(&w, SIGKILL);
        ck_assert_str_eq(world_get(&w, DB_MEMS), mems);
        world_start_cdmd(&w);
        ck_assert_str_eq(world_get(&w, DB_MEMS), mems);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        uint32_t next = grant_db(GIB / 4);
        ck_assert_uint_gt(next, id);
        ck_assert_int_eq(world_release(w.client, next), 0);
        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "released", id);
        world_kill_cdmd(&w, SIGKILL);
        world_start_cdmd(&w);
        ck_assert_uint_gt(grant_db(GIB / 4), next);
}
END_TEST

static void edit_state(uint32_t id, const char *from, const char *to)
{
        char command[512];

        snprintf(command, sizeof(command), "sed -i 's/%s/%s/' %s/run/cdmd/reservation-%" PRIu32, from, to,
                 w.root, id);
        ck_assert_int_eq(system(command), 0);
}

START_TEST(what_nobody_was_told_of_is_undone)
{
        uint32_t id = grant_db(GIB / 2);

        world_kill_cdmd(&w, SIGKILL);
        edit_state(id, "Phase=granted", "Phase=granting");
        world_start_cdmd(&w);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "");
        /* A request for the same unit takes its turn behind the undoing. */
        uint32_t next = grant_db(GIB / 2);
        ck_assert_int_eq(world_release(w.client, next), 0);
        world_wait_event(&w, "released", next);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
}
END_TEST

START_TEST(garbage_is_set_aside_and_closed)
{
        uint32_t id = grant_db(GIB / 2);
        char bad[64];

        world_kill_cdmd(&w, SIGKILL);
        edit_state(id, "^end", "");
        world_start_cdmd(&w);
        snprintf(bad, sizeof(bad), "/run/cdmd/reservation-%" PRIu32 ".bad", id);
        ck_assert_str_eq(world_get(&w, bad), "cdmd-reservation 1");
        ck_assert_str_eq(world_reservation(&w, id, "State"), "");
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
        ck_assert_uint_gt(grant_db(GIB / 2), id);
}
END_TEST

START_TEST(a_dead_unit_is_dropped_at_start)
{
        uint32_t id = grant_db(GIB / 2);

        world_kill_cdmd(&w, SIGKILL);
        world_unit_state(&w, "db.service", "failed", false);
        world_start_cdmd(&w);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "");
        world_unit_state(&w, "db.service", "active", false);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
}
END_TEST

START_TEST(the_end_of_a_unit_ends_it)
{
        uint32_t id = grant_db(GIB / 2);

        world_unit_state(&w, "db.service", "inactive", false);
        world_wait_event(&w, "ended", id);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "");
        world_unit_state(&w, "db.service", "active", false);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
}
END_TEST

#define BOX_MEMS "/sys/fs/cgroup/box/cpuset.mems"

/* A cgroup that systemd does not own; the last write is what cdmd hears of. */
static void make_box(void)
{
        world_put(&w, "/sys/fs/cgroup/box/memory.numa_stat", "anon N0=4096\n");
        world_put(&w, "/sys/fs/cgroup/box/cgroup.procs", "");
        world_put(&w, "/sys/fs/cgroup/box/cpuset.mems.effective", "0-3\n");
        world_put(&w, BOX_MEMS, "0-3\n");
        world_wait_event(&w, "fenced", 0);
        ck_assert_str_eq(world_get(&w, BOX_MEMS), "0-1");
}

static uint32_t grant_box(void)
{
        uint32_t id = 0;
        int r = world_request(w.client, "cdm", GIB / 2, &id, 1, CDM_OPTION_CGROUP, "s", "/box");

        ck_assert_msg(r == 0, "%s: %s", world_error, world_message);
        ck_assert_str_eq(world_get(&w, BOX_MEMS), "0-2");
        return id;
}

static void remove_box(void)
{
        _cleanup_free_ char *command = NULL;

        ck_assert_int_ge(asprintf(&command, "rm -r %s/sys/fs/cgroup/box", w.root), 0);
        ck_assert_int_eq(system(command), 0);
}

START_TEST(a_cgroup_that_systemd_does_not_own)
{
        make_box();
        uint32_t id = grant_box();
        ck_assert_str_eq(world_reservation(&w, id, "Unit"), "");
        ck_assert_str_eq(world_reservation(&w, id, "ControlGroup"), "/box");

        world_put(&w, "/sys/fs/cgroup/box/cpuset.mems.effective", "0-3\n");
        world_put(&w, BOX_MEMS, "0-3\n"); /* somebody else, too much */
        world_wait_event(&w, "drift", 0);
        ck_assert_str_eq(world_get(&w, BOX_MEMS), "0-2");

        world_kill_cdmd(&w, SIGKILL);
        world_start_cdmd(&w);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        ck_assert_str_eq(world_get(&w, BOX_MEMS), "0-2");
        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "released", id);
        ck_assert_str_eq(world_get(&w, BOX_MEMS), "0-1");

        id = grant_box();
        remove_box();
        world_wait_event(&w, "ended", id);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "");
}
END_TEST

START_TEST(another_cgroup_of_the_same_name_has_no_reservation)
{
        _cleanup_free_ char *command = NULL;

        make_box();
        uint32_t id = grant_box();

        world_kill_cdmd(&w, SIGKILL);
        /* The old one stays under another name, so that its inode is not used again. */
        ck_assert_int_ge(asprintf(&command, "cd %s/sys/fs/cgroup && mv box other", w.root), 0);
        ck_assert_int_eq(system(command), 0);
        world_put(&w, "/sys/fs/cgroup/box/cpuset.mems.effective", "0-3\n");
        world_put(&w, BOX_MEMS, "0-3\n");
        world_start_cdmd(&w);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "");
        ck_assert_str_eq(world_get(&w, BOX_MEMS), "0-1");
}
END_TEST

static int reserve_static(const char *unit, uint32_t *ret_id)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *path = "";
        int r = sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "ReserveStatic",
                                   &error, &reply, "s", unit);

        snprintf(world_error, sizeof(world_error), "%s", error.name ? error.name : "");
        snprintf(world_message, sizeof(world_message), "%s", error.message ? error.message : "");
        if (r < 0)
                return r;
        ck_assert_int_ge(sd_bus_message_enter_container(reply, 'a', "o"), 0);
        ck_assert_int_gt(sd_bus_message_read(reply, "o", &path), 0);
        *ret_id = (uint32_t)strtoul(strrchr(path, '/') + 1, NULL, 10);
        return 0;
}

/* db.service has a Static= rule, and is not there. */
static void set_static(void)
{
        world_put(&w, "/etc/cdm/policy.d/05-static.conf",
                  "[Match]\nUnit=db.service\n[Grant]\nStatic=512M\n");
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "Reload", NULL, NULL, NULL),
                         0);
        world_unit_state(&w, "db.service", "inactive", false);
}

START_TEST(a_unit_that_is_about_to_start_is_born_with_its_nodes)
{
        uint32_t id, again;

        set_static();
        ck_assert_int_lt(reserve_static("db.service", &id), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_NO_SUCH_TARGET);
        world_unit_state(&w, "db.service", "inactive", true);
        ck_assert_msg(reserve_static("db.service", &id) == 0, "%s", world_message);
        ck_assert_str_eq(world_reservation(&w, id, "ControlGroup"), "/system.slice/db.service");
        ck_assert_str_eq(world_get(&w, DB_MEMS), "");
        world_unit_state(&w, "db.service", "active", false);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-2");
        /* It restarts. */
        world_unit_state(&w, "db.service", "inactive", true);
        ck_assert_msg(reserve_static("db.service", &again) == 0, "%s", world_message);
        ck_assert_uint_eq(again, id);
        world_unit_state(&w, "db.service", "active", false);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-2");
        world_unit_state(&w, "db.service", "inactive", false);
        world_wait_event(&w, "ended", id);
        world_unit_state(&w, "db.service", "active", false);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
}
END_TEST

START_TEST(a_start_that_is_given_up_leaves_nothing)
{
        uint32_t id;

        set_static();
        world_unit_state(&w, "db.service", "inactive", true);
        ck_assert_msg(reserve_static("db.service", &id) == 0, "%s", world_message);
        world_unit_state(&w, "db.service", "inactive", false);
        world_wait_event(&w, "ended", id);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "");
        world_unit_state(&w, "db.service", "active", false);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
}
END_TEST

START_TEST(a_slice_that_does_not_allow_the_nodes_is_named)
{
        uint32_t id;

        set_static();
        world_put(&w, "/sys/fs/cgroup/system.slice/cpuset.mems.effective", "0-1\n");
        world_unit_state(&w, "db.service", "inactive", true);
        ck_assert_int_lt(reserve_static("db.service", &id), 0);
        ck_assert_ptr_nonnull(strstr(world_message, "a slice that the unit is in"));
        world_unit_state(&w, "db.service", "active", false);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
}
END_TEST

START_TEST(a_restart_of_a_unit_keeps_it)
{
        uint32_t id = grant_db(GIB / 2);

        world_unit_state(&w, "db.service", "inactive", true);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        world_unit_state(&w, "db.service", "active", false);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-2");
        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "released", id);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
}
END_TEST

#define CONTAINER_ID    "3f2504e04f8911d39a0c0305e82c33013f2504e04f8911d39a0c0305e82c3301"
#define CONTAINER_SCOPE "libpod-" CONTAINER_ID ".scope"

/* The scope of a container has the same name when it is started again, and may be there before cdmd has
 * looked. */
START_TEST(a_container_that_starts_anew_has_nothing)
{
        static const char scope[] = "/machine.slice/" CONTAINER_SCOPE;
        char command[400];
        uint32_t id;

        world_add_unit(&w, CONTAINER_SCOPE, "machine.slice", scope, "");
        ck_assert_int_eq(
                world_request(w.client, "cdm", GIB / 2, &id, 1, CDM_OPTION_UNIT, "s", CONTAINER_SCOPE), 0);
        world_unit_state(&w, CONTAINER_SCOPE, "active", false);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");

        /* Another directory; the old one stays under another name, so that its inode is not used again. */
        snprintf(command, sizeof(command), "cd %s && mv sys/fs/cgroup%s old && cp -r old sys/fs/cgroup%s",
                 w.root, scope, scope);
        ck_assert_int_eq(system(command), 0);
        world_unit_state(&w, CONTAINER_SCOPE, "active", false);
        world_wait_event(&w, "ended", id);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "");
        ck_assert_int_eq(
                world_request(w.client, "cdm", GIB / 2, &id, 1, CDM_OPTION_UNIT, "s", CONTAINER_SCOPE), 0);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
}
END_TEST

/* PID 1 was asked while the scope had no cgroup. */
START_TEST(a_container_seen_without_a_cgroup_is_another_then)
{
        static const char scope[] = "/machine.slice/" CONTAINER_SCOPE;
        char command[400];
        uint32_t id, other;

        world_add_unit(&w, CONTAINER_SCOPE, "machine.slice", scope, "");
        ck_assert_int_eq(
                world_request(w.client, "cdm", GIB / 2, &id, 1, CDM_OPTION_UNIT, "s", CONTAINER_SCOPE), 0);
        snprintf(command, sizeof(command), "cd %s && mv sys/fs/cgroup%s old", w.root, scope);
        ck_assert_int_eq(system(command), 0);
        world_unit_state(&w, CONTAINER_SCOPE, "active", false);
        /* Its turn comes when that was looked at. */
        ck_assert_int_lt(
                world_request(w.client, "cdm", GIB / 4, &other, 1, CDM_OPTION_UNIT, "s", CONTAINER_SCOPE),
                0);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        snprintf(command, sizeof(command), "cd %s && cp -r old sys/fs/cgroup%s", w.root, scope);
        ck_assert_int_eq(system(command), 0);
        world_unit_state(&w, CONTAINER_SCOPE, "active", false);
        world_wait_event(&w, "ended", id);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "");
}
END_TEST

START_TEST(rules_for_containers_believe_root_only)
{
        static const char users[] = "libpod-0123456789ab.scope";
        uint32_t id;

        world_put(&w, "/etc/cdm/policy.d/05-no.conf", "[Match]\nContainer=podman:*\n[Grant]\nDeny=yes\n");
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "Reload", NULL, NULL, NULL),
                         0);
        world_add_unit(&w, CONTAINER_SCOPE, "machine.slice", "/machine.slice/" CONTAINER_SCOPE, "");
        ck_assert_int_lt(
                world_request(w.client, "cdm", GIB / 2, &id, 1, CDM_OPTION_UNIT, "s", CONTAINER_SCOPE), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        ck_assert_ptr_nonnull(strstr(world_message, "05-no.conf:"));
        world_add_unit(&w, users, "user-7.slice", "/user.slice/user-7.slice/libpod-0123456789ab.scope", "");
        ck_assert_int_eq(world_request(w.client, "cdm", GIB / 2, &id, 1, CDM_OPTION_UNIT, "s", users), 0);
}
END_TEST

static uint64_t drift_repaired(void)
{
        uint64_t n;

        get_u64(CDM_PATH, CDM_INTERFACE_MANAGER, "DriftRepaired", &n);
        return n;
}

static unsigned n_fights(void)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        unsigned n = 0;

        ck_assert_int_ge(sd_bus_get_property(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                             "Fights", NULL, &reply, "a(sus)"),
                         0);
        ck_assert_int_ge(sd_bus_message_enter_container(reply, 'a', "(sus)"), 0);
        for (; !sd_bus_message_at_end(reply, false); n++)
                ck_assert_int_gt(sd_bus_message_skip(reply, "(sus)"), 0);
        return n;
}

START_TEST(what_others_change_is_set_again)
{
        uint32_t id = grant_db(GIB / 2);

        world_put(&w, DB_MEMS, "0-1\n");
        world_wait_event(&w, "drift", 0);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-2");
        world_put(&w, DB_MEMS, "0-3\n");
        world_wait_event(&w, "drift", 0);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-2");
        world_put(&w, DB_MEMS, "1\n"); /* a smaller set of ordinary nodes is respected */
        world_wait_event(&w, "drift", 0);
        world_wait_file(&w, DB_MEMS, "1-2");
        ck_assert_uint_eq(drift_repaired(), 3);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");

        world_put(&w, DB_MEMS, "1\n");
        world_wait_event(&w, "fight", 0);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "1");
        ck_assert_str_eq(world_reservation(&w, id, "State"), "degraded");
        world_put(&w, DB_MEMS, "1-2\n");
        world_wait_event(&w, "restored", id);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        ck_assert_uint_eq(n_fights(), 1); /* it is over after a minute */
        ck_assert_uint_eq(drift_repaired(), 3);

        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "released", id);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "1");
}
END_TEST

#define TRAIN "/sys/fs/cgroup/system.slice/train.service"
#define FENCE "/run/systemd/system/service.d/" CDM_DROPIN_FENCE

START_TEST(what_others_open_is_closed_again)
{
        char path[128];

        world_put(&w, TRAIN "/cpuset.mems.effective", "0-3\n");
        world_put(&w, TRAIN "/cpuset.mems", "0-3\n");
        world_wait_event(&w, "drift", 0);
        ck_assert_str_eq(world_get(&w, TRAIN "/cpuset.mems"), "0-1");
        ck_assert_uint_eq(drift_repaired(), 1);

        ck_assert_str_ne(world_get(&w, FENCE), "");
        snprintf(path, sizeof(path), "%s" FENCE, w.root);
        ck_assert_int_eq(unlink(path), 0);
        world_wait_event(&w, "drift", 0);
        world_wait_event(&w, "fence-closed", 0);
        ck_assert_str_ne(world_get(&w, FENCE), "");
        ck_assert_uint_eq(drift_repaired(), 2);
}
END_TEST

START_TEST(what_others_write_is_read_by_a_worker)
{
        char path[256], later[256];
        uint64_t n;

        snprintf(path, sizeof(path), "%s" TRAIN "/cpuset.mems.effective", w.root);
        snprintf(later, sizeof(later), "%s/later", w.root);
        world_put(&w, "/later", "0-3\n");
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(mkfifo(path, 0644), 0);
        world_put(&w, TRAIN "/cpuset.mems", "0-3\n");
        /* Returns when cdmd has opened it. */
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        get_u64("/org/cdmd1/pool/cdm", CDM_INTERFACE_POOL, "Reserved", &n);
        ck_assert_uint_eq(drift_repaired(), 0);
        ck_assert_int_eq(rename(later, path), 0);
        ck_assert_int_eq(write(fd, "0-3\n", 4), 4);
        close(fd);
        world_wait_event(&w, "drift", 0);
        ck_assert_str_ne(world_reason, "");
        ck_assert_str_eq(world_get(&w, TRAIN "/cpuset.mems"), "0-1");
        ck_assert_uint_eq(drift_repaired(), 1);
}
END_TEST

/* Killed after it wrote files that leave more to everyone, before systemd had followed. */
START_TEST(a_change_of_the_fence_that_was_interrupted_goes_on)
{
        world_kill_cdmd(&w, SIGTERM);
        world_put(&w, "/etc/cdm/pools.d/cdm.conf", "[Pool]\nNodes=3\n");
        world_start_cdmd(&w);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-2");
        ck_assert_str_eq(world_get(&w, CDM_FENCE_BEFORE), "");
        world_kill_cdmd(&w, SIGKILL);
        world_put(&w, DB_MEMS, "0-1\n");
        world_put(&w, "/sys/fs/cgroup/system.slice/db.service/cpuset.mems.effective", "0-1\n");
        world_put(&w, CDM_FENCE_BEFORE, "0-1\n");
        world_start_cdmd(&w);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-2");
        ck_assert_str_eq(world_get(&w, CDM_FENCE_BEFORE), "");
}
END_TEST

START_TEST(a_systemd_that_is_busy_is_asked_again)
{
        uint32_t id = grant_db(GIB / 2);

        world_steer(&w, "Fail", 2);
        world_unit_state(&w, "db.service", "inactive", false);
        world_wait_event(&w, "ended", id);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "");
}
END_TEST

/* PID 1 answers one message after the other, so a grant takes as long as there are messages: what every unit
 * has, its slice, cgroup, the cgroup's id and its user; then the property is set. What cdmd looks at by itself
 * comes in between now and then. */
START_TEST(a_grant_asks_systemd_little)
{
        uint32_t least = UINT32_MAX;

        for (int i = 0; i < 10 && least > 6; i++) {
                uint32_t before = world_steer(&w, "Asked", 0), id = grant_db(GIB / 16), n;

                n = world_steer(&w, "Asked", 0) - before;
                least = n < least ? n : least;
                ck_assert_int_eq(world_release(w.client, id), 0);
                world_wait_event(&w, "released", id);
        }
        ck_assert_uint_eq(least, 6);
}
END_TEST

/* A start looks at each tenant's unit before the fence closes and again after it: what every unit has, its cgroup, the
 * cgroup's id and the property. One more message a tenant is thousands on a large machine. */
START_TEST(a_start_asks_systemd_little)
{
        uint32_t id = grant_db(GIB / 16), least = UINT32_MAX;

        for (int i = 0; i < 10 && least > 8; i++) {
                world_kill_cdmd(&w, SIGTERM);
                uint32_t before = world_steer(&w, "Asked", 0), n;

                world_start_cdmd(&w);
                n = world_steer(&w, "Asked", 0) - before;
                least = n < least ? n : least;
        }
        ck_assert_uint_eq(least, 8);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
}
END_TEST

/* Each look at a unit that systemd forgot makes it tell of the unit's removal again. */
START_TEST(our_own_questions_are_no_news)
{
        sd_bus_message *reply = NULL;
        sd_bus_slot *slot;

        world_steer(&w, "Hold", 1);
        ck_assert_int_ge(sd_bus_call_method_async(w.client, &slot, CDM_BUS_NAME, CDM_PATH,
                                                  CDM_INTERFACE_MANAGER, "Request", keep_reply, &reply,
                                                  "sta{sv}", "cdm", GIB / 4, 1, "unit", "s", "db.service"),
                         0);
        while (world_steer(&w, "Hold", 1) == 0)
                ;
        uint32_t before = world_steer(&w, "Looked", 0);
        world_remove_unit(&w, "db.service");
        for (int i = 0; i < 100; i++) {
                (void)world_reservation(&w, 1000, "State");
                (void)world_steer(&w, "Looked", 0);
        }
        ck_assert_uint_le(world_steer(&w, "Looked", 0) - before, 3);
        world_steer(&w, "Hold", 0);
        while (!reply)
                if (sd_bus_process(w.client, NULL) == 0)
                        sd_bus_wait(w.client, UINT64_MAX);
        ck_assert(sd_bus_message_is_method_error(reply, NULL));
        for (int i = 0; i < 100; i++) {
                (void)world_reservation(&w, 1000, "State");
                (void)world_steer(&w, "Looked", 0);
        }
        ck_assert_uint_le(world_steer(&w, "Looked", 0) - before, 6);
        sd_bus_message_unref(reply);
        sd_bus_slot_unref(slot);
}
END_TEST

START_TEST(a_bad_file_keeps_the_policy)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        world_put(&w, "/etc/cdm/policy.d/20-bad.conf", "[Match]\nPool=*\n[Grant]\nLimit=much\n");
        int r = sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Reload", &error,
                                   NULL, NULL);
        ck_assert_int_lt(r, 0);
        ck_assert_str_eq(error.name, CDM_ERROR_BAD_CONFIG);
        ck_assert_ptr_nonnull(strstr(error.message, "20-bad.conf:4"));
        grant_db(GIB / 2);
}
END_TEST

static bool is_warned(const char *part)
{
        char **warnings = NULL;
        bool found = false;

        ck_assert_int_ge(sd_bus_get_property_strv(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                  "Warnings", NULL, &warnings),
                         0);
        for (char **s = warnings; s && *s; s++) {
                found = found || strstr(*s, part);
                free(*s);
        }
        free(warnings);
        return found;
}

static void expect_denied(const char *unit, const char *part)
{
        uint32_t id;

        ck_assert_int_lt(world_request(w.client, "cdm", GIB / 2, &id, 1, CDM_OPTION_UNIT, "s", unit), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        ck_assert_msg(strstr(world_message, part) != NULL, "%s", world_message);
}

/* Mode=, Exempt= and the other rules stay. */
START_TEST(at_start_a_bad_rule_costs_that_rule)
{
        world_kill_cdmd(&w, SIGTERM);
        world_put(&w, "/etc/cdm/cdmd.conf", "[Fence]\nMode=observe\nExempt=train.service\n");
        world_put(&w, "/etc/cdm/policy.d/05-bad.conf", "[Match]\nUnit=train.*\n[Grant]\nLimit=much\n");
        world_start_cdmd(&w);

        expect_denied("train.service", "05-bad.conf:4 was refused");
        expect_denied("train.service", "Limit=much is not a size");
        expect_denied("train.service", "cdmctl reload");
        uint32_t id = grant_db(GIB / 2);
        ck_assert_str_eq(world_reservation(&w, id, "Strength"), "advisory");
        ck_assert_str_eq(world_get(&w, "/sys/fs/cgroup/system.slice/train.service/cpuset.mems"), "0-3");
        ck_assert(is_warned("05-bad.conf:4: Limit=much is not a size"));
        ck_assert(is_warned("05-bad.conf:4: the rule was refused: it denies what its [Match] says"));

        /* A reload is strict. */
        world_put(&w, "/etc/cdm/cdmd.conf", "[Fence]\nMode=enforce\nExempt=train.service\n");
        ck_assert_int_lt(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "Reload", NULL, NULL, NULL),
                         0);
        ck_assert_str_eq(world_reservation(&w, id, "Strength"), "advisory");

        world_put(&w, "/etc/cdm/policy.d/05-bad.conf", "[Match]\nUnit=train.*\n[Grant]\nLimit=1G\n");
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "Reload", NULL, NULL, NULL),
                         0);
        ck_assert(!is_warned("05-bad.conf"));
        ck_assert_str_eq(world_get(&w, "/sys/fs/cgroup/system.slice/train.service/cpuset.mems"), "0-3");
        ck_assert_int_eq(
                world_request(w.client, "cdm", GIB / 2, &id, 1, CDM_OPTION_UNIT, "s", "train.service"), 0);
}
END_TEST

/* Whom it is for cannot be read: nobody gets anything. */
START_TEST(at_start_a_rule_without_a_match_denies_everything)
{
        world_kill_cdmd(&w, SIGTERM);
        world_put(&w, "/etc/cdm/policy.d/05-bad.conf", "[Match]\nUnit=train\n[Grant]\nLimit=1G\n");
        world_start_cdmd(&w);
        expect_denied("db.service", "05-bad.conf:2 was refused");
        ck_assert(is_warned("denies every request"));
        ck_assert_str_eq(world_get(&w, "/sys/fs/cgroup/system.slice/train.service/cpuset.mems"), "0-1");
}
END_TEST

START_TEST(at_start_bad_settings_deny_everything_and_close_the_fence)
{
        world_kill_cdmd(&w, SIGTERM);
        world_put(&w, "/etc/cdm/cdmd.conf", "[Fence]\nMode=off\n");
        world_put(&w, "/etc/cdm/cdmd.conf.d/10-bad.conf", "[Reservations]\nQueueMax=x\n");
        world_start_cdmd(&w);
        expect_denied("db.service", "10-bad.conf:2 was refused");
        ck_assert(is_warned("Mode=enforce holds"));
        ck_assert_str_eq(world_get(&w, "/sys/fs/cgroup/system.slice/train.service/cpuset.mems"), "0-1");
}
END_TEST

/* The first keeps the node; nobody gets anything before that is mended. */
START_TEST(at_start_pools_that_contradict_each_other_are_fenced)
{
        world_kill_cdmd(&w, SIGTERM);
        world_put(&w, "/etc/cdm/pools.d/cdm.conf", "[Pool]\nNodes=3\n");
        world_put(&w, "/etc/cdm/pools.d/x.conf", "[Pool]\nNodes=3\n");
        world_start_cdmd(&w);
        expect_denied("db.service", "x.conf:2: node 3 is already in pool cdm");
        ck_assert(is_warned("every request is denied"));
        ck_assert_str_eq(world_get(&w, "/sys/fs/cgroup/system.slice/train.service/cpuset.mems"), "0-1");
}
END_TEST

START_TEST(a_reload_swaps_the_policy)
{
        uint32_t id;

        world_put(&w, "/etc/cdm/policy.d/05-no.conf", "[Match]\nUnit=db.*\n[Grant]\nDeny=yes\n");
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "Reload", NULL, NULL, NULL),
                         0);
        ck_assert_int_lt(world_request(w.client, "cdm", GIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        ck_assert_ptr_nonnull(strstr(world_message, "05-no.conf:"));
}
END_TEST

START_TEST(residue_keeps_its_bytes)
{
        uint32_t id = grant_db(GIB / 2);

        world_put(&w, "/sys/fs/cgroup/system.slice/db.service/memory.numa_stat",
                  "anon N0=0 N2=8192\nfile N0=0 N2=0\n");
        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "residue", id);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
        ck_assert_str_eq(world_reservation(&w, id, "State"), "draining");
        world_put(&w, "/sys/fs/cgroup/system.slice/db.service/memory.numa_stat", "anon N0=0 N2=0\n");
        world_wait_event(&w, "released", id);
}
END_TEST

/* Whoever asks for a release while the drain is tried again is told as well that nothing has left. */
START_TEST(residue_is_told_to_each_who_asks)
{
        const char *stat = "/sys/fs/cgroup/system.slice/db.service/memory.numa_stat";
        uint32_t id = grant_db(GIB / 2);
        char path[256], later[256];

        world_put(&w, stat, "anon N0=0 N2=8192\n");
        world_put(&w, "/later", "anon N0=0 N2=8192\n");
        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "residue", id);
        snprintf(path, sizeof(path), "%s%s", w.root, stat);
        snprintf(later, sizeof(later), "%s/later", w.root);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(mkfifo(path, 0644), 0);
        int fd = open(path, O_WRONLY | O_CLOEXEC); /* returns when the drain is tried again */
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(world_release(w.client, id), 0);
        ck_assert_int_eq(rename(later, path), 0);
        ck_assert_int_eq(write(fd, "anon N0=0 N2=8192\n", 18), 18);
        close(fd);
        world_wait_event(&w, "residue", id);
}
END_TEST

/* The drain waits until another grant to its unit has ended; the fence is closed anew meanwhile. */
START_TEST(a_reload_leaves_open_what_still_drains)
{
        uint32_t id = grant_db(GIB / 2);
        sd_bus_message *reply = NULL;
        sd_bus_slot *slot;

        world_steer(&w, "Hold", 1);
        ck_assert_int_ge(sd_bus_call_method_async(w.client, &slot, CDM_BUS_NAME, CDM_PATH,
                                                  CDM_INTERFACE_MANAGER, "Request", keep_reply, &reply,
                                                  "sta{sv}", "cdm", GIB / 4, 2, "unit", "s", "db.service",
                                                  CDM_OPTION_NODES, "s", "3"),
                         0);
        while (world_steer(&w, "Hold", 1) == 0)
                ;
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, "/org/cdmd1/reservation/1",
                                            CDM_INTERFACE_RESERVATION, "Release", NULL, NULL, NULL),
                         0);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "draining");
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "Reload", NULL, NULL, NULL),
                         0);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "draining");
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-3");
        world_wait_event(&w, "fence-closed", 0);
        world_steer(&w, "Hold", 0);
        world_wait_event(&w, "released", id);
        while (!reply)
                if (sd_bus_process(w.client, NULL) == 0)
                        sd_bus_wait(w.client, UINT64_MAX);
        ck_assert(!sd_bus_message_is_method_error(reply, NULL));
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1,3");
        sd_bus_message_unref(reply);
        sd_bus_slot_unref(slot);
}
END_TEST

#define DB_NUMA "/sys/fs/cgroup/system.slice/db.service/memory.numa_stat"

static uint64_t size_of(uint32_t id)
{
        char path[64];
        uint64_t size;

        snprintf(path, sizeof(path), "/org/cdmd1/reservation/%" PRIu32, id);
        get_u64(path, "org.cdmd1.Reservation", "Size", &size);
        return size;
}

/* Two of 1M, and 1M + 8K are used: 8K are what the first to go leaves behind. */
START_TEST(excess_on_a_node_that_is_kept_is_residue)
{
        uint32_t a = grant_db(1 << 20), b = grant_db(1 << 20);

        world_put(&w, DB_NUMA, "anon N0=0 N2=1048576\nfile N0=0 N2=8192\nslab N2=65536\n");
        ck_assert_int_eq(world_release(w.client, a), 0);
        world_wait_event(&w, "residue", a);
        ck_assert_str_eq(world_reservation(&w, a, "State"), "draining");
        ck_assert_uint_eq(size_of(a), 8192);
        ck_assert_str_eq(world_reservation(&w, b, "State"), "active");
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-2");
        world_put(&w, DB_NUMA, "anon N0=0 N2=1048576\n");
        world_wait_event(&w, "released", a);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-2");
}
END_TEST

/* What is used beyond both is spare room that the tenant was never promised. */
START_TEST(spare_room_is_no_residue)
{
        uint32_t a = grant_db(1 << 20);

        grant_db(1 << 20);
        world_put(&w, DB_NUMA, "anon N0=0 N2=8388608\n");
        ck_assert_int_eq(world_release(w.client, a), 0);
        world_wait_event(&w, "residue", a);
        ck_assert_uint_eq(size_of(a), 1 << 20);
}
END_TEST

START_TEST(without_excess_a_release_is_done_at_once)
{
        uint32_t a = grant_db(1 << 20);

        grant_db(1 << 20);
        world_put(&w, DB_NUMA, "anon N0=4096 N2=1048576\n");
        ck_assert_int_eq(world_release(w.client, a), 0);
        world_wait_event(&w, "released", a);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-2");
}
END_TEST

/* Many at once for what has room for few: exactly those are granted that fit. */
START_TEST(many_at_once)
{
        enum { N = 120 }; /* the bus lets one connection have 128 calls open */
        uint64_t size = GIB / 4;
        sd_bus_message *replies[N] = { NULL };
        unsigned n_granted = 0, n_full = 0;
        sd_bus_slot *slots[N];

        for (int i = 0; i < N; i++)
                ck_assert_int_ge(sd_bus_call_method_async(w.client, &slots[i], CDM_BUS_NAME, CDM_PATH,
                                                          CDM_INTERFACE_MANAGER, "Request", keep_reply,
                                                          &replies[i], "sta{sv}", "cdm", size, 1, "unit",
                                                          "s", i % 2 ? "db.service" : "train.service"),
                                 0);
        for (int i = 0; i < N; i++) {
                while (!replies[i])
                        if (sd_bus_process(w.client, NULL) == 0)
                                sd_bus_wait(w.client, UINT64_MAX);
                if (!sd_bus_message_is_method_error(replies[i], NULL))
                        n_granted++;
                else if (sd_bus_message_is_method_error(replies[i], CDM_ERROR_FULL))
                        n_full++;
                sd_bus_message_unref(replies[i]);
                sd_bus_slot_unref(slots[i]);
        }
        /* 2 nodes of 2 GiB, less 64 MiB headroom each: seven quarters a node, and one from what is left of
         * both. */
        ck_assert_uint_eq(n_granted, 15);
        ck_assert_uint_eq(n_full, N - 15);
}
END_TEST

/* Of pool cdm, as ListPools says. */
static uint64_t list_available(void)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        uint64_t available = UINT64_MAX;
        const char *key;

        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "ListPools", NULL, &m, NULL),
                         0);
        ck_assert_int_gt(sd_bus_message_enter_container(m, 'a', "a{sv}"), 0);
        ck_assert_int_gt(sd_bus_message_enter_container(m, 'a', "{sv}"), 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                ck_assert_int_gt(sd_bus_message_read(m, "s", &key), 0);
                if (strcmp(key, "Available") == 0)
                        ck_assert_int_gt(sd_bus_message_read(m, "v", "t", &available), 0);
                else
                        ck_assert_int_ge(sd_bus_message_skip(m, "v"), 0);
                ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
        }
        return available;
}

/* A tenant whose numbers the kernel does not give out for now keeps the worker, not the clients. */
START_TEST(a_slow_reading_stops_no_client)
{
        static const char stat[] = "/sys/fs/cgroup/system.slice/db.service/memory.numa_stat";
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *answer = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        char path[256], later[256];
        uint64_t reserved = 0;

        grant_db(GIB / 4);
        world_put(&w, "/later", "anon N2=0\n");
        snprintf(path, sizeof(path), "%s%s", w.root, stat);
        snprintf(later, sizeof(later), "%s/later", w.root);
        (void)unlink(path);
        ck_assert_int_eq(mkfifo(path, 0644), 0);
        ck_assert_int_ge(sd_bus_message_new_method_call(w.client, &m, CDM_BUS_NAME, CDM_PATH,
                                                        CDM_INTERFACE_MANAGER, "Request"),
                         0);
        ck_assert_int_ge(sd_bus_message_append(m, "sta{sv}", "cdm", GIB / 4, 1, CDM_OPTION_UNIT, "s",
                                               "train.service"),
                         0);
        ck_assert_int_ge(sd_bus_call_async(w.client, &slot, m, keep_reply, &answer, 0), 0);
        /* Returns when the worker has opened it, which it does to decide on the request. */
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        get_u64("/org/cdmd1/pool/cdm", CDM_INTERFACE_POOL, "Reserved", &reserved);
        ck_assert_uint_eq(reserved, GIB / 4);
        get_u64("/org/cdmd1/pool/cdm", CDM_INTERFACE_POOL, "Available", &reserved);
        get_u64("/org/cdmd1/node/2", CDM_INTERFACE_NODE, "Unattributed", &reserved);
        ck_assert_ptr_null(answer);
        ck_assert_int_eq(rename(later, path), 0);
        close(fd);
        while (!answer) {
                int r = sd_bus_process(w.client, NULL);

                ck_assert_int_ge(r, 0);
                if (r == 0)
                        ck_assert_int_ge(sd_bus_wait(w.client, UINT64_MAX), 0);
        }
        ck_assert(!sd_bus_message_is_method_error(answer, NULL));
}
END_TEST

START_TEST(pools_and_nodes)
{
        uint64_t reserved = 0, available = 0, free_bytes = 0;

        grant_db(GIB / 2);
        get_u64("/org/cdmd1/pool/cdm", CDM_INTERFACE_POOL, "Reserved", &reserved);
        get_u64("/org/cdmd1/pool/cdm", CDM_INTERFACE_POOL, "Available", &available);
        get_u64("/org/cdmd1/node/2", CDM_INTERFACE_NODE, "Free", &free_bytes);
        ck_assert_uint_eq(reserved, GIB / 2);
        ck_assert_uint_eq(available, 4 * GIB - GIB / 2 - 2 * (UINT64_C(64) << 20));
        ck_assert_uint_eq(free_bytes, 2 * GIB);
        /* Bytes that nobody explains are not promised. */
        world_put(&w, "/sys/devices/system/node/node3/meminfo",
                  "Node 3 MemTotal: 2097152 kB\nNode 3 MemFree: 1048576 kB\n");
        get_u64("/org/cdmd1/pool/cdm", CDM_INTERFACE_POOL, "Available", &available);
        ck_assert_uint_eq(available, 3 * GIB - GIB / 2 - 2 * (UINT64_C(64) << 20));
}
END_TEST

/* With many tenants what they explain is not read anew for each request; a release has to be seen at once.
 */
START_TEST(a_release_hides_no_foreign_bytes)
{
        enum { TENANTS = 10 };
        const uint64_t mib = UINT64_C(1) << 20;
        char name[32], cgroup[64], path[128], text[128];
        uint32_t ids[TENANTS];

        for (unsigned i = 0; i < TENANTS; i++) {
                uint64_t size = (i == 0 ? 512 : 64) * mib;
                snprintf(name, sizeof(name), "t%u.service", i);
                snprintf(cgroup, sizeof(cgroup), "/system.slice/%s", name);
                snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.numa_stat", cgroup);
                snprintf(text, sizeof(text), "anon N2=%" PRIu64 "\n", size);
                world_add_unit(&w, name, "system.slice", cgroup, "");
                world_put(&w, path, text);
                int r = world_request(w.client, "cdm", size, &ids[i], 2, CDM_OPTION_UNIT, "s", name,
                                      CDM_OPTION_NODES, "s", "2");
                ck_assert_msg(r == 0, "%s: %s", world_error, world_message);
        }
        world_put(&w, "/sys/fs/cgroup/system.slice/t0.service/memory.numa_stat", "anon N2=0\n");
        /* 9 * 64M of the tenants that stay, and 512M of a driver */
        world_put(&w, "/sys/devices/system/node/node2/meminfo",
                  "Node 2 MemTotal: 2097152 kB\nNode 2 MemFree: 983040 kB\n");
        ck_assert_int_eq(world_release(w.client, ids[0]), 0);
        world_wait_event(&w, "released", ids[0]);
        ck_assert_uint_eq(list_available(), (4096 - 2 * 64 - 9 * 64 - 512) * mib);
}
END_TEST

static void reload(void)
{
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "Reload", NULL, NULL, NULL),
                         0);
}

/* What train.service is called for what it has on node 2. */
static void assert_train_is(const char *expected)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *cgroup, *unit, *kind, *name, *found = "nothing";
        uint64_t bytes, anon, file, shmem, hugetlb;
        uint32_t node;

        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "ListHolders", NULL, &m, NULL),
                         0);
        ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', CDM_HOLDER), 0);
        while (sd_bus_message_read(m, CDM_HOLDER, &node, &cgroup, &unit, &bytes, &anon, &file, &shmem,
                                   &hugetlb, &kind, &name) > 0)
                if (strcmp(unit, "train.service") == 0)
                        found = kind;
        ck_assert_str_eq(found, expected);
}

/* Its cgroup has another path from then on, by which its holders are found. */
START_TEST(a_unit_that_restarts_in_another_slice_keeps_it)
{
        static const char path[] = "/other.slice/train.service";
        uint32_t id;

        ck_assert_int_eq(
                world_request(w.client, "cdm", GIB / 2, &id, 1, CDM_OPTION_UNIT, "s", "train.service"), 0);
        world_unit_state(&w, "train.service", "inactive", true);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        world_add_unit(&w, "train.service", "other.slice", path, "");
        world_unit_state(&w, "train.service", "active", false);
        for (int i = 0; i < 400 && strcmp(world_reservation(&w, id, "ControlGroup"), path) != 0; i++)
                usleep(50000);
        ck_assert_str_eq(world_reservation(&w, id, "ControlGroup"), path);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        world_put(&w, "/sys/fs/cgroup/other.slice/train.service/memory.numa_stat", "anon N2=4096\n");
        assert_train_is("reserved");
        world_put(&w, "/sys/fs/cgroup/other.slice/train.service/memory.numa_stat", "anon N2=0\n");
        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "released", id);
        ck_assert_str_eq(world_get(&w, "/sys/fs/cgroup/other.slice/train.service/cpuset.mems"), "0-1");
}
END_TEST

START_TEST(kernel_memory_and_exempt_units_are_no_intruders)
{
        world_put(&w, "/sys/fs/cgroup/system.slice/train.service/memory.numa_stat",
                  "slab_unreclaimable N2=4096\n");
        assert_train_is("residue");
        world_put(&w, "/sys/fs/cgroup/system.slice/train.service/memory.numa_stat",
                  "shmem N2=4096\nfile N2=4096\nslab_unreclaimable N2=4096\n");
        assert_train_is("intruder");
        world_put(&w, "/etc/cdm/cdmd.conf", "[Fence]\nExempt=train.service\n");
        reload();
        assert_train_is("exempt");
}
END_TEST

/* Nodes 2 and 3 have no memory any more; awaited: they may come back. */
static void take_nodes(bool awaited)
{
        world_put(&w, "/sys/devices/system/node/has_memory", "0-1\n");
        world_put(&w, "/sys/devices/system/node/online", "0-1\n");
        if (!awaited)
                world_put(&w, "/sys/devices/system/node/possible", "0-1\n");
}

/* owned by the caller */
static char *fence(void)
{
        char *state = NULL;

        ck_assert_int_ge(sd_bus_get_property_string(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                    "FenceState", NULL, &state),
                         0);
        return state;
}

static bool fence_is(const char *expected)
{
        _cleanup_free_ char *state = fence();

        return strcmp(state, expected) == 0;
}

static void assert_fence_is(const char *expected)
{
        _cleanup_free_ char *state = fence();

        ck_assert_str_eq(state, expected);
}

START_TEST(the_fence_stays_where_nodes_may_come)
{
        uint32_t id = grant_db(GIB);

        take_nodes(true);
        reload();
        assert_fence_is("closed");
        ck_assert_str_ne(world_get(&w, "/run/systemd/system/service.d/10-cdmd-fence.conf"), "");
        ck_assert_str_eq(world_reservation(&w, id, "State"), "degraded");
        world_wait_file(&w, DB_MEMS, "0-1");
        /* Nothing of that is forgotten, and it is promised to nobody else. */
        world_kill_cdmd(&w, SIGKILL);
        world_start_cdmd(&w);
        assert_fence_is("closed");
        ck_assert_str_eq(world_reservation(&w, id, "State"), "degraded");
        ck_assert_int_lt(world_request(w.client, "cdm", GIB, &id, 1, CDM_OPTION_UNIT, "s", "train.service"),
                         0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        world_put(&w, "/sys/devices/system/node/has_memory", "0-3\n");
        world_put(&w, "/sys/devices/system/node/online", "0-3\n");
        reload();
        world_wait_event(&w, "restored", id);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        world_wait_file(&w, DB_MEMS, "0-2");
}
END_TEST

/* Half of a node went: what was promised of it is not there, but what is left may be used. */
START_TEST(a_node_that_shrinks_degrades)
{
        uint32_t id = grant_db(GIB);

        world_put(&w, "/sys/devices/system/node/node2/meminfo",
                  "Node 2 MemTotal: 524288 kB\nNode 2 MemFree: 524288 kB\n");
        reload();
        ck_assert_str_eq(world_reservation(&w, id, "State"), "degraded");
        world_wait_file(&w, DB_MEMS, "0-2");
        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "released", id);
}
END_TEST

static int call_node(const char *member, uint32_t node, sd_bus_message **reply)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, member, &error,
                                   reply, "u", node);
        snprintf(world_error, sizeof(world_error), "%s", error.name ? error.name : "");
        return r;
}

static void assert_left(sd_bus_message *reply, uint64_t expected)
{
        uint64_t moved, evicted, left;

        ck_assert_int_ge(sd_bus_message_read(reply, "ttt", &moved, &evicted, &left), 0);
        ck_assert_uint_eq(left, expected);
}

START_TEST(a_drained_node_is_nobodys)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *first = NULL, *second = NULL, *third = NULL;
        uint32_t id = grant_db(GIB), other;
        uint64_t available;

        ck_assert_int_ge(call_node("DrainNode", 2, &first), 0);
        assert_left(first, 0);
        world_wait_file(&w, DB_MEMS, "0-1");
        ck_assert_str_eq(world_reservation(&w, id, "State"), "degraded");
        get_u64("/org/cdmd1/pool/cdm", CDM_INTERFACE_POOL, "Available", &available);
        ck_assert_uint_eq(available, 2 * GIB - (UINT64_C(64) << 20));
        ck_assert_int_eq(
                world_request(w.client, "cdm", GIB / 2, &other, 1, CDM_OPTION_UNIT, "s", "train.service"),
                0);
        ck_assert_str_eq(world_get(&w, "/sys/fs/cgroup/system.slice/train.service/cpuset.mems"), "0-1,3");
        /* A restart changes nothing, and draining again looks again. */
        world_kill_cdmd(&w, SIGKILL);
        world_start_cdmd(&w);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "degraded");
        world_wait_file(&w, DB_MEMS, "0-1");
        ck_assert_int_ge(call_node("DrainNode", 2, &second), 0);
        world_put(&w, "/sys/fs/cgroup/system.slice/memory.numa_stat",
                  "anon N0=0 N2=0\nfile N0=0 N2=8388608\n");
        ck_assert_int_ge(call_node("DrainNode", 2, &third), 0);
        assert_left(third, 8 << 20);
        ck_assert_int_ge(call_node("UndrainNode", 2, NULL), 0);
        world_wait_event(&w, "restored", id);
        world_wait_file(&w, DB_MEMS, "0-2");
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
}
END_TEST

START_TEST(what_cannot_be_drained)
{
        ck_assert_int_lt(call_node("DrainNode", 0, NULL), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_INVALID);
        ck_assert_int_lt(call_node("DrainNode", 9, NULL), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_NO_SUCH_NODE);
        ck_assert_int_lt(call_node("DrainNode", UINT32_MAX, NULL), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_NO_SUCH_NODE);
        ck_assert_int_lt(call_node("UndrainNode", 2, NULL), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_INVALID);
        /* A node that is gone can be undrained. */
        ck_assert_int_ge(call_node("DrainNode", 2, NULL), 0);
        take_nodes(true);
        reload();
        ck_assert_int_ge(call_node("UndrainNode", 2, NULL), 0);
        ck_assert_int_lt(call_node("UndrainNode", 2, NULL), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_NO_SUCH_NODE);
        /* Garbage instead of the list: said, and none is drained. */
        world_kill_cdmd(&w, SIGKILL);
        world_put(&w, "/run/cdmd/drained", "nonsense");
        world_start_cdmd(&w);
        ck_assert_str_eq(world_get(&w, "/run/cdmd/drained"), "");
}
END_TEST

START_TEST(the_fence_goes_with_the_last_cdm_node)
{
        take_nodes(false);
        reload();
        assert_fence_is("open");
        ck_assert_str_eq(world_get(&w, "/run/systemd/system/service.d/10-cdmd-fence.conf"), "");
        ck_assert_str_eq(world_get(&w, "/run/cdmd/fence/service.d/10-cdmd-fence.conf"), "");
}
END_TEST

START_TEST(a_fence_that_cannot_be_written_is_leaky_and_says_why)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *decided = NULL, *away = NULL;
        const char *cgroup, *unit, *reason;

        ck_assert_int_ge(asprintf(&decided, "%s/run/cdmd/fence", w.root), 0);
        ck_assert_int_ge(asprintf(&away, "%s/run/cdmd/away", w.root), 0);
        ck_assert_int_eq(rename(decided, away), 0);
        world_put(&w, "/run/cdmd/fence", "not a folder\n");
        reload();
        assert_fence_is("leaky");
        ck_assert_int_ge(sd_bus_get_property(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                             "Unfenced", NULL, &m, "a(sss)"),
                         0);
        ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', "(sss)"), 0);
        ck_assert_int_gt(sd_bus_message_read(m, "(sss)", &cgroup, &unit, &reason), 0);
        ck_assert_str_eq(cgroup, "/");
        ck_assert_ptr_nonnull(strstr(reason, "Not a directory"));
        ck_assert_int_eq(unlink(decided), 0);
        reload();
        assert_fence_is("closed");
}
END_TEST

/* What could not be closed is closed by somebody else, or ends: nobody tells. */
START_TEST(a_leaky_fence_is_looked_at_again)
{
        world_put(&w, "/sys/fs/cgroup/system.slice/stray.service/cgroup.events", "populated 1\n");
        world_put(&w, "/sys/fs/cgroup/system.slice/stray.service/cgroup.procs", "");
        reload();
        assert_fence_is("leaky");
        world_put(&w, "/sys/fs/cgroup/system.slice/stray.service/cpuset.mems.effective", "0-1\n");
        world_put(&w, "/sys/fs/cgroup/system.slice/stray.service/cpuset.mems", "0-1\n");
        ck_assert_int_ge(sd_bus_call_method(w.client, "org.freedesktop.systemd1",
                                            "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                            "Reload", NULL, NULL, NULL),
                         0);
        while (!fence_is("closed"))
                usleep(20000);
}
END_TEST

START_TEST(holders_are_named)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *cgroup, *unit, *kind, *name;
        uint64_t bytes, anon, file, shmem, hugetlb, sum = 0;
        unsigned n_reserved = 0, n_intruder = 0, n_hugetlb = 0;
        uint32_t node;

        grant_db(GIB / 2);
        world_put(&w, "/sys/fs/cgroup/system.slice/db.service/memory.numa_stat", "anon N2=8192\n");
        world_put(&w, "/sys/fs/cgroup/system.slice/train.service/memory.numa_stat", "anon N2=4096\n");
        world_put(&w, "/sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages", "1\n");
        world_put(&w, "/sys/devices/system/node/node2/meminfo",
                  "Node 2 MemTotal: 1048576 kB\nNode 2 MemFree: 1038336 kB\n");
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "ListHolders", NULL, &m, NULL),
                         0);
        ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', CDM_HOLDER), 0);
        while (sd_bus_message_read(m, CDM_HOLDER, &node, &cgroup, &unit, &bytes, &anon, &file, &shmem,
                                   &hugetlb, &kind, &name) > 0) {
                sum += node == 2 ? bytes : 0;
                n_hugetlb += strcmp(kind, "unattributed") == 0 && strncmp(name, "hugetlb", 7) == 0 &&
                             !*cgroup && bytes == 2 << 20 && hugetlb == 2 << 20;
                n_reserved +=
                        strcmp(kind, "reserved") == 0 && strcmp(unit, "db.service") == 0 && bytes == 8192;
                n_intruder +=
                        strcmp(kind, "intruder") == 0 && strcmp(unit, "train.service") == 0 && bytes == 4096;
        }
        ck_assert_uint_eq(n_reserved, 1);
        ck_assert_uint_eq(n_intruder, 1);
        ck_assert_uint_eq(n_hugetlb, 1);
        ck_assert_uint_eq(sum, 10 << 20);
}
END_TEST

/* 0, or negative errno with world_error filled in. */
static int open_buffer(sd_bus *bus, uint32_t id, uint64_t size, const char *option, const char *type, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        sd_bus_error e = SD_BUS_ERROR_NULL;
        char path[64];
        va_list ap;

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        int r = sd_bus_message_new_method_call(bus, &m, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION,
                                               option ? "OpenBufferWithOptions" : "OpenBuffer");
        ck_assert_int_ge(r, 0);
        ck_assert_int_ge(sd_bus_message_append(m, "t", size), 0);
        if (option) {
                ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
                ck_assert_int_ge(sd_bus_message_open_container(m, 'e', "sv"), 0);
                ck_assert_int_ge(sd_bus_message_append(m, "s", option), 0);
                ck_assert_int_ge(sd_bus_message_open_container(m, 'v', type), 0);
                va_start(ap, type);
                ck_assert_int_ge(sd_bus_message_appendv(m, type, ap), 0);
                va_end(ap);
                for (int i = 0; i < 3; i++)
                        ck_assert_int_ge(sd_bus_message_close_container(m), 0);
        }
        r = sd_bus_call(bus, m, 0, &e, &reply);
        snprintf(world_error, sizeof(world_error), "%s", e.name ? e.name : "");
        snprintf(world_message, sizeof(world_message), "%s", e.message ? e.message : "");
        sd_bus_error_free(&e);
        return r;
}

/* No machine that tests are built on has the node: that a buffer is made, and where, is seen in a guest. */
START_TEST(buffers_that_cannot_be)
{
        uint32_t id = grant_db(GIB / 4);

        ck_assert_int_lt(open_buffer(w.client, id, 0, NULL, ""), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_INVALID);
        ck_assert_int_lt(open_buffer(w.client, id, GIB / 4 + 1, NULL, ""), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        ck_assert_ptr_nonnull(strstr(world_message, "leave 256M"));
        ck_assert_int_lt(open_buffer(w.client, id, UINT64_MAX, NULL, ""), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        ck_assert_int_lt(open_buffer(w.client, id, GIB / 4, NULL, ""), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        ck_assert_ptr_nonnull(strstr(world_message, "node 2 has no room"));
        ck_assert_int_lt(open_buffer(w.client, id, 4096, "colour", "s", "blue"), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_INVALID);
        ck_assert_int_lt(open_buffer(w.client, id, 4096, CDM_OPTION_HUGETLB, "s", "2M"), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_INVALID);
        ck_assert_int_lt(open_buffer(w.client, id, 4096, CDM_OPTION_HUGETLB, "t", UINT64_C(4097)), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_INVALID);
        ck_assert_int_lt(open_buffer(w.client, id + 1, 4096, NULL, ""), 0);
        ck_assert_str_eq(world_error, SD_BUS_ERROR_UNKNOWN_OBJECT);

        /* What was refused holds nothing, and is in nobody's way. */
        ck_assert_str_eq(world_reservation(&w, id, "Strength"), "exclusive");
        world_put(&w, "/sys/fs/cgroup/system.slice/db.service/memory.numa_stat", "anon N0=0 N2=8192\n");
        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "residue", id);
        ck_assert_int_lt(open_buffer(w.client, id, 4096, NULL, ""), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_STALE);
        world_put(&w, "/sys/fs/cgroup/system.slice/db.service/memory.numa_stat", "anon N0=0 N2=0\n");
        world_wait_event(&w, "released", id);
}
END_TEST

START_TEST(a_client_that_leaves_while_its_buffers_wait)
{
        uint32_t id = grant_db(GIB / 4);

        for (int i = 0; i < 20; i++) {
                sd_bus *bus = world_connect(&w, getuid());
                char path[64];

                snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
                for (int k = 0; k < 50; k++)
                        ck_assert_int_ge(sd_bus_call_method_async(bus, NULL, CDM_BUS_NAME, path,
                                                                  CDM_INTERFACE_RESERVATION, "OpenBuffer",
                                                                  keep_nothing, NULL, "t", UINT64_C(4096)),
                                         0);
                sd_bus_flush_close_unref(bus);
        }
        ck_assert_int_lt(open_buffer(w.client, id, GIB, NULL, ""), 0);
        ck_assert_int_eq(world_release(w.client, id), 0);
        world_wait_event(&w, "released", id);
}
END_TEST

START_TEST(buffers_of_others)
{
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        uint32_t id = grant_db(GIB / 4);

        world_start_polkit(&w, "no");
        ck_assert_int_lt(open_buffer(bus, id, 4096, NULL, ""), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_RELEASE_OTHERS);
        ck_assert_int_lt(open_buffer(bus, id, 4096, CDM_OPTION_HUGETLB, "t", UINT64_C(0)), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        world_start_polkit(&w, "yes");
        ck_assert_int_lt(open_buffer(bus, id, GIB, NULL, ""), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        sd_bus_flush_close_unref(bus);
}
END_TEST

START_TEST(without_a_fence_nothing_is_restricted)
{
        uint32_t id = grant_db(GIB / 2);

        world_put(&w, "/etc/cdm/cdmd.conf", "[Fence]\nMode=observe\n");
        reload();
        ck_assert_str_eq(world_reservation(&w, id, "Strength"), "advisory");
        ck_assert_str_eq(world_get(&w, "/sys/fs/cgroup/system.slice/train.service/cpuset.mems"), "0-3");
        world_put(&w, "/etc/cdm/cdmd.conf", "[Fence]\nMode=enforce\n");
        reload();
        ck_assert_str_eq(world_get(&w, "/sys/fs/cgroup/system.slice/train.service/cpuset.mems"), "0-1");
}
END_TEST

START_TEST(refuses_to_start_where_it_cannot_work)
{
        int status;

        world_kill_cdmd(&w, SIGTERM);
        world_put(&w, "/sys/fs/cgroup/cgroup.controllers", "cpu io\n");
        world_spawn_cdmd(&w);
        ck_assert_int_eq(waitpid(w.cdmd, &status, 0), w.cdmd);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        world_put(&w, "/sys/fs/cgroup/cgroup.controllers", "cpuset memory\n");
        setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
        world_spawn_cdmd(&w);
        ck_assert_int_eq(waitpid(w.cdmd, &status, 0), w.cdmd);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        w.cdmd = 0;
}
END_TEST

START_TEST(a_machine_without_cdm_nodes)
{
        uint32_t id;

        world_kill_cdmd(&w, SIGTERM);
        take_nodes(false);
        world_start_cdmd(&w);
        ck_assert_int_lt(world_request(w.client, "cdm", GIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_NO_SUCH_POOL);
        ck_assert_ptr_nonnull(strstr(world_message, "no CDM nodes"));
}
END_TEST

/* One look serves all that wait; a connection that asks again and again is told to wait. */
START_TEST(holders_are_asked_for_too_often)
{
        enum { N = 100 };
        sd_bus_message *replies[N] = { NULL };
        unsigned n_answered = 0, n_busy = 0;
        sd_bus_slot *slots[N];

        for (int i = 0; i < N; i++)
                ck_assert_int_ge(sd_bus_call_method_async(w.client, &slots[i], CDM_BUS_NAME, CDM_PATH,
                                                          CDM_INTERFACE_MANAGER, "ListHolders", keep_reply,
                                                          &replies[i], NULL),
                                 0);
        for (int i = 0; i < N; i++) {
                while (!replies[i])
                        if (sd_bus_process(w.client, NULL) == 0)
                                sd_bus_wait(w.client, UINT64_MAX);
                n_answered += !sd_bus_message_is_method_error(replies[i], NULL);
                n_busy += sd_bus_message_is_method_error(replies[i], CDM_ERROR_BUSY) > 0;
                sd_bus_message_unref(replies[i]);
                sd_bus_slot_unref(slots[i]);
        }
        ck_assert_uint_ge(n_answered, 4);
        ck_assert_uint_gt(n_busy, 0);
        ck_assert_uint_eq(n_answered + n_busy, N);
        assert_train_is("nothing");
}
END_TEST

START_TEST(a_refusal_names_the_user)
{
        uint32_t id;

        world_put(&w, "/etc/cdm/policy.d/10-all.conf", "[Match]\nUnit=train.*\n[Grant]\nLimit=1G\n");
        reload();
        ck_assert_int_lt(world_request(w.client, "cdm", GIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        ck_assert_msg(getuid() != 0 || strstr(world_message, "db.service and user root;"), "%s",
                      world_message);
}
END_TEST

/* What needs a client that is not root. */

static uint32_t ask_as_nobody(sd_bus *bus, int *ret)
{
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        uint32_t id = 0;

        *ret = world_request(bus, "cdm", GIB / 4, &id, 1, CDM_OPTION_PIDFD, "h", pidfd);
        close(pidfd);
        return id;
}

START_TEST(own_unit_without_polkit)
{
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        uint32_t id;
        int r;

        world_add_unit(&w, "mine.service", "system.slice", "/system.slice/mine.service", "nobody");
        world_be(&w, USER_NOBODY, "/system.slice/mine.service");
        id = ask_as_nobody(bus, &r);
        ck_assert_msg(r == 0, "%s: %s", world_error, world_message);
        ck_assert_str_eq(world_reservation(&w, id, "Unit"), "mine.service");
        ck_assert_int_eq(world_release(bus, id), 0);
        /* Another's: only with polkit. */
        uint32_t others = grant_db(GIB / 4);
        ck_assert_int_lt(world_release(bus, others), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        r = world_request(bus, "cdm", GIB / 4, &id, 1, CDM_OPTION_UNIT, "s", "db.service");
        ck_assert_int_lt(r, 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        world_put(&w, "/proc/4242/cgroup", "0::/system.slice/db.service\n");
        ck_assert_int_lt(world_request(bus, "cdm", GIB / 4, &id, 1, CDM_OPTION_PID, "u", 4242), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        sd_bus_flush_close_unref(bus);
}
END_TEST

/* A name service that hangs: etc/passwd is a FIFO, and reading waits for what is written. Returns its
 * writing end once cdmd reads. */
static void passwd_hangs(void)
{
        char path[128], other[128];

        snprintf(path, sizeof(path), "%s/etc/passwd", w.root);
        snprintf(other, sizeof(other), "%s/etc/passwd.fifo", w.root);
        ck_assert_int_eq(mkfifo(other, 0644), 0);
        ck_assert_int_eq(rename(other, path), 0);
}

static int passwd_is_read(void)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/etc/passwd", w.root);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        return fd;
}

static void ping(void)
{
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, "org.freedesktop.DBus.Peer",
                                            "Ping", NULL, NULL, ""),
                         0);
}

static int keep_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);

        snprintf(userdata, 256, "%s", e && e->message ? e->message : "no error");
        return 0;
}

static void wait_message(sd_bus *bus, const char *message)
{
        while (!*message) {
                int r = sd_bus_process(bus, NULL);
                ck_assert_int_ge(r, 0);
                if (r == 0)
                        ck_assert_int_ge(sd_bus_wait(bus, UINT64_MAX), 0);
        }
}

/* The one who needs the name service is told that it fails, and nobody else waits for it; nor does the end
 * of cdmd. */
START_TEST(a_name_service_that_hangs)
{
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        char message[256] = "";
        uint32_t id;

        world_add_unit(&w, "mine.service", "system.slice", "/system.slice/mine.service", "nobody");
        world_be(&w, USER_NOBODY, "/system.slice/mine.service");
        passwd_hangs();
        ck_assert_int_ge(sd_bus_call_method_async(bus, NULL, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                  "Request", keep_message, message, "sta{sv}", "cdm",
                                                  GIB / 4, 1, CDM_OPTION_PIDFD, "h", pidfd),
                         0);
        ck_assert_int_ge(sd_bus_flush(bus), 0);
        int fifo = passwd_is_read();
        ping();
        id = grant_db(GIB / 4);
        ck_assert_str_eq(world_reservation(&w, id, "Unit"), "db.service");
        ck_assert_str_eq(message, "");
        wait_message(bus, message);
        ck_assert_msg(strstr(message, "user nobody cannot be looked up"), "%s", message);
        world_kill_cdmd(&w, SIGTERM);
        close(fifo);
        close(pidfd);
        sd_bus_flush_close_unref(bus);
}
END_TEST

/* The start waits for no name. Until it is known, no rule is passed over for want of it. */
START_TEST(a_start_without_names)
{
        static const char passwd[] = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
        char path[128];
        uint32_t id;
        int r;

        world_kill_cdmd(&w, SIGTERM);
        world_put(&w, "/etc/cdm/policy.d/05-deny.conf", "[Match]\nPool=*\nUser=nobody\n[Grant]\nDeny=yes\n");
        world_add_unit(&w, "mine.service", "system.slice", "/system.slice/mine.service", "65534");
        world_be(&w, USER_NOBODY, "/system.slice/mine.service");
        passwd_hangs();
        world_start_cdmd(&w);
        ping();
        (void)ask_as_nobody(bus, &r);
        ck_assert_int_lt(r, 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        ck_assert_msg(strstr(world_message, "could not be looked up yet"), "%s", world_message);

        int fifo = passwd_is_read();
        snprintf(path, sizeof(path), "%s/etc/passwd", w.root);
        ck_assert_int_eq(unlink(path), 0);
        world_put(&w, "/etc/passwd", passwd);
        /* Each of those that read gets all lines, until none is left. */
        ck_assert_int_eq(sigaction(SIGPIPE, &ignore, &before), 0);
        while (write(fifo, passwd, strlen(passwd)) > 0)
                ;
        ck_assert_int_eq(errno, EPIPE);
        ck_assert_int_eq(sigaction(SIGPIPE, &before, NULL), 0);
        close(fifo);
        do
                (void)ask_as_nobody(bus, &r);
        while (r < 0 && strstr(world_message, "could not be looked up yet"));
        ck_assert_int_lt(r, 0);
        ck_assert_msg(strstr(world_message, "Deny=yes"), "%s", world_message);
        ck_assert_int_eq(world_request(w.client, "cdm", GIB / 4, &id, 1, CDM_OPTION_UNIT, "s", "db.service"),
                         0);
        sd_bus_flush_close_unref(bus);
}
END_TEST

/* Rules are in force when their names are known, and not before; who asks meanwhile is answered. */
START_TEST(a_reload_waits_for_names)
{
        char message[256] = "";

        world_put(&w, "/etc/cdm/policy.d/05-deny.conf", "[Match]\nPool=*\nUser=root\n[Grant]\nDeny=yes\n");
        passwd_hangs();
        ck_assert_int_ge(sd_bus_call_method_async(w.client, NULL, CDM_BUS_NAME, CDM_PATH,
                                                  CDM_INTERFACE_MANAGER, "Reload", keep_message, message,
                                                  NULL),
                         0);
        ck_assert_int_ge(sd_bus_flush(w.client), 0);
        int fifo = passwd_is_read();
        ping();
        grant_db(GIB / 4);
        ck_assert_str_eq(message, "");
        close(fifo); /* an empty file: there is no such user */
        wait_message(w.client, message);
        ck_assert_str_eq(message, "no error");
}
END_TEST

/* What was refused at the start had no names at all. */
START_TEST(a_reload_after_a_bad_start)
{
        char message[256] = "";

        world_kill_cdmd(&w, SIGTERM);
        world_put(&w, "/etc/cdm/policy.d/05-bad.conf", "[Match]\nNonsense=1\n");
        world_start_cdmd(&w);
        world_put(&w, "/etc/cdm/policy.d/05-bad.conf", "[Match]\nPool=*\nUser=root\n[Grant]\nLimit=1G\n");
        ck_assert_int_ge(sd_bus_call_method_async(w.client, NULL, CDM_BUS_NAME, CDM_PATH,
                                                  CDM_INTERFACE_MANAGER, "Reload", keep_message, message,
                                                  NULL),
                         0);
        wait_message(w.client, message);
        ck_assert_str_eq(message, "no error");
        grant_db(GIB / 4);
}
END_TEST

START_TEST(others_with_polkit)
{
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        uint32_t id;

        world_start_polkit(&w, "yes");
        ck_assert_int_eq(world_request(bus, "cdm", GIB / 4, &id, 1, CDM_OPTION_UNIT, "s", "db.service"), 0);
        ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_REQUEST_FOR_OTHERS);
        world_start_polkit(&w, "no");
        ck_assert_int_lt(world_request(bus, "cdm", GIB / 4, &id, 1, CDM_OPTION_UNIT, "s", "db.service"), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        ck_assert_ptr_nonnull(strstr(world_message, "ask an administrator to reserve for db.service"));
        /* A process whose real UID is another's was made to ask by a set-uid program, or the like. */
        world_add_unit(&w, "mine.service", "system.slice", "/system.slice/mine.service", "nobody");
        world_be(&w, 0, "/system.slice/mine.service");
        int r;
        ask_as_nobody(bus, &r);
        ck_assert_int_lt(r, 0);
        ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_REQUEST_FOR_OTHERS);
        ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_REQUEST_FOR_OTHERS);
        sd_bus_flush_close_unref(bus);
}
END_TEST

#define NODE2_MEMINFO "/sys/devices/system/node/node2/meminfo"
#define NODE2_FREE    "Node 2 MemTotal: 2097152 kB\nNode 2 MemFree: 2097152 kB\n"
#define NODE2_FULL    "Node 2 MemTotal: 2097152 kB\nNode 2 MemFree: 0 kB\n"

/* What is read last when a request is judged. */
#define DB_CPUS "/sys/fs/cgroup/system.slice/db.service/cpuset.cpus.effective"

/* Waits for the first reader of that file, changes the node behind its back, and lets it go on. */
static void *change_node(void *meminfo)
{
        char path[256], later[256];

        snprintf(path, sizeof(path), "%s" DB_CPUS, w.root);
        snprintf(later, sizeof(later), "%s/cpus", w.root);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(rename(later, path), 0);
        world_put(&w, NODE2_MEMINFO, meminfo);
        ck_assert_int_eq(write(fd, "0-3\n", 4), 4);
        close(fd);
        return NULL;
}

/* The node is as `first` says for the first judgement, and as `then` says for all later ones. */
static pthread_t change_between_looks(const char *first, const char *then)
{
        char path[256], fifo[256];
        pthread_t thread;

        world_put(&w, NODE2_MEMINFO, first);
        world_put(&w, "/cpus", "0-3\n");
        snprintf(path, sizeof(path), "%s" DB_CPUS, w.root);
        snprintf(fifo, sizeof(fifo), "%s/cpus.fifo", w.root);
        ck_assert_int_eq(mkfifo(fifo, 0644), 0);
        ck_assert_int_eq(rename(fifo, path), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, change_node, (void *)then), 0);
        return thread;
}

static int ask_for_db(sd_bus *bus, uint32_t *ret_id)
{
        return world_request(bus, "cdm", GIB / 4, ret_id, 2, CDM_OPTION_UNIT, "s", "db.service",
                             CDM_OPTION_NODES, "s", "2");
}

/* Bytes that are freed right after a request was judged grant nothing that polkit was not asked about; and
 * bytes that are taken while polkit thinks are not promised. */
START_TEST(room_that_comes_between_two_looks_needs_polkit)
{
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        uint32_t id;

        world_start_polkit(&w, "no");
        pthread_t thread = change_between_looks(NODE2_FULL, NODE2_FREE);
        ck_assert_int_lt(ask_for_db(bus, &id), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        world_wait_event(&w, "full", 0);
        /* polkit has not been asked until now */
        struct pollfd p = { .fd = w.polkit_out, .events = POLLIN };
        ck_assert_int_eq(poll(&p, 1, 0), 0);
        ck_assert_int_lt(ask_for_db(bus, &id), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_REQUEST_FOR_OTHERS);

        world_start_polkit(&w, "yes");
        thread = change_between_looks(NODE2_FREE, NODE2_FULL);
        ck_assert_int_lt(ask_for_db(bus, &id), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_REQUEST_FOR_OTHERS);
        sd_bus_flush_close_unref(bus);
}
END_TEST

static int call_manager(sd_bus *bus, const char *member)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call_method(bus, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, member, &error, NULL,
                                   NULL);

        snprintf(world_error, sizeof(world_error), "%s", error.name ? error.name : "");
        snprintf(world_message, sizeof(world_message), "%s", error.message ? error.message : "");
        return r;
}

START_TEST(managing_needs_polkit)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus *bus = world_connect(&w, USER_NOBODY);

        ck_assert_int_lt(call_manager(bus, "Reload"), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        world_start_polkit(&w, "no");
        ck_assert_int_lt(call_manager(bus, "Reload"), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        ck_assert_str_eq(world_message, "not authorized to manage cdmd (polkit action " CDM_ACTION_MANAGE
                                        ": polkit says no); ask an administrator");
        ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_MANAGE);
        world_start_polkit(&w, "yes");
        ck_assert_int_ge(call_manager(bus, "Reload"), 0);
        /* polkit does not come into this one: only root may ask what another user would get */
        ck_assert_int_lt(sd_bus_call_method(bus, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Explain",
                                            &error, NULL, "sta{sv}", "cdm", GIB / 4, 2, CDM_OPTION_UNIT, "s",
                                            "db.service", CDM_OPTION_USER, "s", "root"),
                         0);
        ck_assert_str_eq(error.name, CDM_ERROR_DENIED);
        sd_bus_flush_close_unref(bus);
}
END_TEST

static void ask_async(sd_bus *bus, int pidfd, sd_bus_slot **slot, sd_bus_message **reply)
{
        ck_assert_int_ge(sd_bus_call_method_async(bus, slot, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                  "Request", keep_reply, reply, "sta{sv}", "cdm", GIB / 4, 1,
                                                  CDM_OPTION_PIDFD, "h", pidfd),
                         0);
        ck_assert_int_ge(sd_bus_flush(bus), 0);
}

/* So that cdmd has come to whatever was sent before. */
static void let_it_work(void)
{
        for (int i = 0; i < 100; i++) {
                (void)world_reservation(&w, 1000, "State");
                (void)world_steer(&w, "Looked", 0);
        }
}

/* Who moved to another unit while he waited for his turn must not have his old one opened. */
START_TEST(a_caller_who_moved_away_gets_nothing)
{
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        sd_bus_message *replies[2] = { NULL };
        sd_bus_slot *slots[2];

        world_add_unit(&w, "mine.service", "system.slice", "/system.slice/mine.service", "nobody");
        world_be(&w, USER_NOBODY, "/system.slice/mine.service");
        world_steer(&w, "Hold", 1);
        ask_async(bus, pidfd, &slots[0], &replies[0]);
        while (world_steer(&w, "Hold", 1) == 0)
                ;
        ask_async(bus, pidfd, &slots[1], &replies[1]);
        let_it_work();
        world_be(&w, USER_NOBODY, "/system.slice/db.service");
        world_steer(&w, "Hold", 0);
        while (!replies[0] || !replies[1])
                if (sd_bus_process(bus, NULL) == 0)
                        sd_bus_wait(bus, UINT64_MAX);
        for (int i = 0; i < 2; i++) {
                ck_assert(sd_bus_message_is_method_error(replies[i], CDM_ERROR_STALE));
                sd_bus_message_unref(replies[i]);
                sd_bus_slot_unref(slots[i]);
        }
        close(pidfd);
        sd_bus_flush_close_unref(bus);
}
END_TEST

/* What one user leaves open at polkit is nobody else's: his own further questions wait, no others. */
START_TEST(questions_of_others_do_not_wait)
{
        enum { ASKED = 4, SENT = 6 };
        sd_bus *bus[2] = { world_connect(&w, USER_NOBODY), world_connect(&w, USER_DAEMON) };
        const char *name;
        unsigned n = 0;

        /* The bus drops who has not said hello for 30 s. */
        ck_assert_int_ge(sd_bus_get_unique_name(bus[1], &name), 0);
        world_start_polkit(&w, "hang");
        for (int i = 0; i < SENT; i++)
                ck_assert_int_ge(sd_bus_call_method_async(bus[0], NULL, CDM_BUS_NAME, CDM_PATH,
                                                          CDM_INTERFACE_MANAGER, "Reload", count_busy, &n,
                                                          NULL),
                                 0);
        ck_assert_int_ge(sd_bus_flush(bus[0]), 0);
        for (int i = 0; i < ASKED; i++)
                ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_MANAGE);
        ck_assert_int_ge(sd_bus_call_method_async(bus[1], NULL, CDM_BUS_NAME, CDM_PATH,
                                                  CDM_INTERFACE_MANAGER, "Request", count_busy, &n,
                                                  "sta{sv}", "cdm", GIB / 4, 1, "unit", "s", "db.service"),
                         0);
        ck_assert_int_ge(sd_bus_flush(bus[1]), 0);
        ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_REQUEST_FOR_OTHERS);
        for (int i = 0; i < 2; i++)
                sd_bus_flush_close_unref(bus[i]);
}
END_TEST

START_TEST(polkit_that_hangs_stops_nobody_else)
{
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        world_start_polkit(&w, "hang");
        ck_assert_int_ge(sd_bus_message_new_method_call(bus, &m, CDM_BUS_NAME, CDM_PATH,
                                                        CDM_INTERFACE_MANAGER, "Request"),
                         0);
        ck_assert_int_ge(
                sd_bus_message_append(m, "sta{sv}", "cdm", GIB / 4, 1, "unit", "s", "train.service"), 0);
        ck_assert_int_ge(sd_bus_send(bus, m, NULL), 0);
        ck_assert_int_ge(sd_bus_flush(bus), 0);
        ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_REQUEST_FOR_OTHERS);
        grant_db(GIB / 4);
        /* The client goes before polkit answers. */
        sd_bus_flush_close_unref(bus);
        grant_db(GIB / 4);
        ck_assert_str_eq(world_get(&w, "/sys/fs/cgroup/system.slice/train.service/cpuset.mems"), "0-1");
}
END_TEST

/* More calls that hang at polkit than the bus lets cdmd have open: PID 1 has to stay within reach. */
START_TEST(waiting_for_polkit_has_an_end)
{
        enum { BUSES = 3, N = 120, WAITING = 256 };
        sd_bus *bus[BUSES];
        char path[64];
        unsigned n_busy = 0;
        uint32_t id = grant_db(GIB / 4);

        world_start_polkit(&w, "hang");
        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        for (int b = 0; b < BUSES; b++) {
                bus[b] = world_connect(&w, USER_NOBODY);
                for (int i = 0; i < N; i++)
                        ck_assert_int_ge(sd_bus_call_method_async(bus[b], NULL, CDM_BUS_NAME, path,
                                                                  CDM_INTERFACE_RESERVATION, "Release",
                                                                  count_busy, &n_busy, NULL),
                                         0);
                ck_assert_int_ge(sd_bus_flush(bus[b]), 0);
        }
        for (int b = 0; n_busy < BUSES * N - WAITING; b = (b + 1) % BUSES)
                ck_assert_int_ge(sd_bus_process(bus[b], NULL), 0);
        ck_assert_uint_ne(grant_db(GIB / 4), id);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        for (int b = 0; b < BUSES; b++)
                sd_bus_flush_close_unref(bus[b]);
        ck_assert_int_eq(world_release(w.client, id), 0);
}
END_TEST

START_TEST(run_moves_a_session_into_a_scope)
{
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        char path[128], scope[64];
        uint32_t id;

        world_add_unit(&w, "session-4.scope", "user-65534.slice",
                       "/user.slice/user-65534.slice/session-4.scope", "");
        world_be(&w, USER_NOBODY, "/user.slice/user-65534.slice/session-4.scope");
        int r = world_request(bus, "cdm", GIB / 4, &id, 3, CDM_OPTION_PIDFD, "h", pidfd, CDM_OPTION_SCOPE,
                              "b", 1, CDM_OPTION_MEM_POLICY, "s", "bind");
        ck_assert_msg(r == 0, "%s: %s", world_error, world_message);
        snprintf(scope, sizeof(scope), "cdm-%" PRIu32 ".scope", id);
        ck_assert_str_eq(world_reservation(&w, id, "Unit"), scope);
        snprintf(path, sizeof(path), "/sys/fs/cgroup/user.slice/user-65534.slice/%s/cpuset.mems", scope);
        ck_assert_str_eq(world_get(&w, path), "0-2");
        close(pidfd);
        sd_bus_flush_close_unref(bus);
}
END_TEST

/* What the session has reserved stays with the session, which is another tenant than the scope. */
START_TEST(run_gets_no_exclusive_node_beside_its_session)
{
        static const char session[] = "/user.slice/user-0.slice/session-1.scope";
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        uint32_t first, other, id, next;

        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=infinity\nExclusive=yes\nOnFull=queue\n");
        world_add_unit(&w, "session-1.scope", "user-0.slice", session, "");
        world_be(&w, geteuid(), session);
        world_granted(world_request(w.client, "cdm", GIB / 4, &first, 2, CDM_OPTION_UNIT, "s",
                                    "session-1.scope", CDM_OPTION_NODES, "s", "2"));
        world_granted(world_request(w.client, "cdm", GIB / 4, &other, 3, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_NODES, "s", "3", CDM_OPTION_EXCLUSIVE, "b", 1));
        world_refused(world_request(w.client, "cdm", GIB / 4, &id, 4, CDM_OPTION_PIDFD, "h", pidfd,
                                    CDM_OPTION_SCOPE, "b", 1, CDM_OPTION_EXCLUSIVE, "b", 1, CDM_OPTION_NODES,
                                    "s", "2"),
                      CDM_ERROR_FULL, "without other tenants");
        world_granted(world_request(w.client, "cdm", GIB / 4, &id, 5, CDM_OPTION_PIDFD, "h", pidfd,
                                    CDM_OPTION_SCOPE, "b", 1, CDM_OPTION_EXCLUSIVE, "b", 1, CDM_OPTION_NODES,
                                    "s", "2", CDM_OPTION_QUEUE, "t", UINT64_MAX));
        /* The next one in the queue is served after this one was judged again. */
        world_granted(world_request(w.client, "cdm", GIB / 4, &next, 3, CDM_OPTION_UNIT, "s",
                                    "train.service", CDM_OPTION_NODES, "s", "3", CDM_OPTION_QUEUE, "t",
                                    UINT64_MAX));
        ck_assert_int_eq(world_release(w.client, other), 0);
        world_wait_event(&w, "granted", next);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "queued");
        ck_assert_int_eq(world_release(w.client, first), 0);
        world_wait_event(&w, "granted", id);
        ck_assert_str_eq(world_reservation(&w, id, "Strength"), "exclusive");
        close(pidfd);
}
END_TEST

START_TEST(a_strangers_pidfd_is_refused)
{
        int pidfd = (int)syscall(SYS_pidfd_open, w.systemd, 0);
        uint32_t id;

        ck_assert_int_lt(world_request(w.client, "cdm", GIB / 4, &id, 1, CDM_OPTION_PIDFD, "h", pidfd), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        close(pidfd);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("bus");
        TCase *t = tcase_create("bus"), *u = tcase_create("user"), *c = tcase_create("container");

        /* No time limit: a slow machine is no failure. */
        tcase_set_timeout(t, 0);
        tcase_set_timeout(u, 0);
        tcase_set_timeout(c, 0);
        tcase_add_checked_fixture(t, start, stop);
        tcase_add_checked_fixture(u, start, stop);
        tcase_add_checked_fixture(c, start, stop);
        tcase_add_test(c, a_container_that_starts_anew_has_nothing);
        tcase_add_test(c, a_container_seen_without_a_cgroup_is_another_then);
        tcase_add_test(c, rules_for_containers_believe_root_only);
        tcase_add_test(t, request_and_release);
        tcase_add_test(t, full_and_limits);
        tcase_add_test(t, nonsense_is_refused);
        tcase_add_test(t, a_stopped_unit_is_no_target);
        tcase_add_test(t, a_kill_loses_nothing);
        tcase_add_test(t, what_nobody_was_told_of_is_undone);
        tcase_add_test(t, garbage_is_set_aside_and_closed);
        tcase_add_test(t, a_dead_unit_is_dropped_at_start);
        tcase_add_test(t, the_end_of_a_unit_ends_it);
        tcase_add_test(t, a_cgroup_that_systemd_does_not_own);
        tcase_add_test(t, another_cgroup_of_the_same_name_has_no_reservation);
        tcase_add_test(t, a_restart_of_a_unit_keeps_it);
        tcase_add_test(t, a_unit_that_restarts_in_another_slice_keeps_it);
        tcase_add_test(t, a_unit_that_is_about_to_start_is_born_with_its_nodes);
        tcase_add_test(t, a_start_that_is_given_up_leaves_nothing);
        tcase_add_test(t, a_slice_that_does_not_allow_the_nodes_is_named);
        tcase_add_test(t, a_grant_asks_systemd_little);
        tcase_add_test(t, a_start_asks_systemd_little);
        tcase_add_test(t, our_own_questions_are_no_news);
        tcase_add_test(t, what_others_change_is_set_again);
        tcase_add_test(t, what_others_open_is_closed_again);
        tcase_add_test(t, what_others_write_is_read_by_a_worker);
        tcase_add_test(t, a_change_of_the_fence_that_was_interrupted_goes_on);
        tcase_add_test(t, a_systemd_that_is_busy_is_asked_again);
        tcase_add_test(t, a_bad_file_keeps_the_policy);
        tcase_add_test(t, at_start_a_bad_rule_costs_that_rule);
        tcase_add_test(t, at_start_a_rule_without_a_match_denies_everything);
        tcase_add_test(t, at_start_bad_settings_deny_everything_and_close_the_fence);
        tcase_add_test(t, at_start_pools_that_contradict_each_other_are_fenced);
        tcase_add_test(t, a_reload_swaps_the_policy);
        tcase_add_test(t, a_reload_waits_for_names);
        tcase_add_test(t, a_reload_after_a_bad_start);
        tcase_add_test(t, residue_keeps_its_bytes);
        tcase_add_test(t, residue_is_told_to_each_who_asks);
        tcase_add_test(t, a_reload_leaves_open_what_still_drains);
        tcase_add_test(t, excess_on_a_node_that_is_kept_is_residue);
        tcase_add_test(t, spare_room_is_no_residue);
        tcase_add_test(t, without_excess_a_release_is_done_at_once);
        tcase_add_test(t, a_strangers_pidfd_is_refused);
        tcase_add_test(t, many_at_once);
        tcase_add_test(t, pools_and_nodes);
        tcase_add_test(t, a_slow_reading_stops_no_client);
        tcase_add_test(t, a_release_hides_no_foreign_bytes);
        tcase_add_test(t, holders_are_named);
        tcase_add_test(t, holders_are_asked_for_too_often);
        tcase_add_test(t, a_refusal_names_the_user);
        tcase_add_test(t, kernel_memory_and_exempt_units_are_no_intruders);
        tcase_add_test(t, a_fence_that_cannot_be_written_is_leaky_and_says_why);
        tcase_add_test(t, a_leaky_fence_is_looked_at_again);
        tcase_add_test(t, the_fence_goes_with_the_last_cdm_node);
        tcase_add_test(t, the_fence_stays_where_nodes_may_come);
        tcase_add_test(t, a_node_that_shrinks_degrades);
        tcase_add_test(t, a_drained_node_is_nobodys);
        tcase_add_test(t, what_cannot_be_drained);
        tcase_add_test(t, buffers_that_cannot_be);
        tcase_add_test(t, a_client_that_leaves_while_its_buffers_wait);
        tcase_add_test(t, the_fence_stays_where_nodes_may_come);
        tcase_add_test(t, a_node_that_shrinks_degrades);
        tcase_add_test(t, a_drained_node_is_nobodys);
        tcase_add_test(t, what_cannot_be_drained);
        tcase_add_test(t, without_a_fence_nothing_is_restricted);
        tcase_add_test(t, refuses_to_start_where_it_cannot_work);
        tcase_add_test(t, a_machine_without_cdm_nodes);
        if (getuid() == 0) {
                tcase_add_test(u, own_unit_without_polkit);
                tcase_add_test(u, a_name_service_that_hangs);
                tcase_add_test(u, a_start_without_names);
                tcase_add_test(u, others_with_polkit);
                tcase_add_test(u, room_that_comes_between_two_looks_needs_polkit);
                tcase_add_test(u, managing_needs_polkit);
                tcase_add_test(u, a_caller_who_moved_away_gets_nothing);
                tcase_add_test(u, questions_of_others_do_not_wait);
                tcase_add_test(u, buffers_of_others);
                tcase_add_test(u, polkit_that_hangs_stops_nobody_else);
                tcase_add_test(u, waiting_for_polkit_has_an_end);
                tcase_add_test(u, run_moves_a_session_into_a_scope);
                tcase_add_test(u, run_gets_no_exclusive_node_beside_its_session);
        } else
                puts("# the tests with another user were left out: they need root");
        suite_add_tcase(s, t);
        suite_add_tcase(s, u);
        suite_add_tcase(s, c);
        return check_main(s);
}
