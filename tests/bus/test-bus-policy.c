/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What rules say, as the clients of a whole cdmd see it. */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

#define MIB (UINT64_C(1) << 20)

static World w;

static void start(void)
{
        world_start(&w);
}

static void stop(void)
{
        world_stop(&w);
}

static int32_t priority_of(uint32_t id)
{
        int32_t priority;

        world_reservation_get(&w, id, "Priority", 'i', &priority);
        return priority;
}

START_TEST(a_rule_without_a_limit_is_refused)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        uint32_t id;

        world_put(&w, "/etc/cdm/policy.d/10-all.conf", "[Match]\nPool=*\n[Grant]\nLease=1h\n");
        ck_assert_int_lt(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "Reload", &error, NULL, ""),
                         0);
        ck_assert_msg(strstr(error.message, "10-all.conf:3: the rule grants without any limit"), "%s",
                      error.message);
        /* The policy in force stays; at the next start the file costs this rule. */
        world_granted(world_request(w.client, "cdm", GIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        world_put(&w, "/etc/cdm/policy.d/20-train.conf",
                  "[Match]\nUnit=train.service\n[Grant]\nLimit=infinity\n");
        world_put(&w, "/etc/cdm/policy.d/10-all.conf", "[Match]\nUnit=db.service\n[Grant]\nLease=1h\n");
        world_kill_cdmd(&w, SIGTERM);
        world_start_cdmd(&w);
        world_refused(world_request(w.client, "cdm", MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"),
                      CDM_ERROR_DENIED, "10-all.conf:3 was refused");
        world_granted(world_request(w.client, "cdm", MIB, &id, 1, CDM_OPTION_UNIT, "s", "train.service"));
}
END_TEST

START_TEST(default_priority)
{
        uint32_t id;

        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=1G\nPriority=9\nDefaultPriority=7\n");
        world_granted(world_request(w.client, "cdm", MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        ck_assert_int_eq(priority_of(id), 7);
        world_granted(world_request(w.client, "cdm", MIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_PRIORITY, "i", 0));
        ck_assert_int_eq(priority_of(id), 0);
        world_refused(world_request(w.client, "cdm", MIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_PRIORITY, "i", 10),
                      CDM_ERROR_DENIED, "Priority=9");
}
END_TEST

START_TEST(nodes_of_a_rule)
{
        uint32_t id;

        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=1G\nNodes=3\n");
        world_granted(world_request(w.client, "cdm", MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        ck_assert_str_eq(world_get(&w, "/sys/fs/cgroup/system.slice/db.service/cpuset.mems"), "0-1,3");
        world_refused(world_request(w.client, "cdm", MIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_NODES, "s", "2"),
                      CDM_ERROR_DENIED, "Nodes=3 of /etc/cdm/policy.d/10-all.conf:5");
}
END_TEST

/* Each owner has a quota of his own; root too, for whom no MaxPerUser= counts. It outlives a restart. */
START_TEST(quota_per_user)
{
        uint32_t id, hers;

        if (geteuid() != 0)
                return;
        world_start_polkit(&w, "yes");
        sd_bus *alice = world_connect(&w, USER_NOBODY), *bob = world_connect(&w, USER_DAEMON);
        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nQuotaPerUser=512M\n");
        world_granted(world_request(alice, "cdm", 512 * MIB, &hers, 1, CDM_OPTION_UNIT, "s", "db.service"));
        world_refused(world_request(alice, "cdm", 1, &id, 1, CDM_OPTION_UNIT, "s", "train.service"),
                      CDM_ERROR_DENIED, "QuotaPerUser=512M of /etc/cdm/policy.d/10-all.conf:4");
        world_granted(world_request(bob, "cdm", 512 * MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        world_granted(world_request(w.client, "cdm", 512 * MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        world_refused(world_request(w.client, "cdm", 1, &id, 1, CDM_OPTION_UNIT, "s", "db.service"),
                      CDM_ERROR_DENIED, "QuotaPerUser=512M");
        world_kill_cdmd(&w, SIGKILL);
        world_start_cdmd(&w);
        world_refused(world_request(alice, "cdm", 1, &id, 1, CDM_OPTION_UNIT, "s", "train.service"),
                      CDM_ERROR_DENIED, "QuotaPerUser=512M");
        ck_assert_int_eq(world_release(alice, hers), 0);
        world_wait_event(&w, "released", hers);
        world_granted(world_request(alice, "cdm", 512 * MIB, &id, 1, CDM_OPTION_UNIT, "s", "train.service"));
        sd_bus_flush_close_unref(alice);
        sd_bus_flush_close_unref(bob);
}
END_TEST

static int reserve_static(const char *unit)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "ReserveStatic",
                                   &error, NULL, "s", unit);

        snprintf(world_error, sizeof(world_error), "%s", r < 0 ? error.name : "");
        snprintf(world_message, sizeof(world_message), "%s", r < 0 ? error.message : "");
        return r < 0 ? r : 0;
}

/* Root asks, and the user of the unit is the owner: what bounds him bounds this. */
START_TEST(the_owner_counts_where_root_asks)
{
        world_add_unit(&w, "one.service", "system.slice", "/system.slice/one.service", "nobody");
        world_add_unit(&w, "two.service", "system.slice", "/system.slice/two.service", "nobody");
        if (_i == 1)
                world_put(&w, "/etc/cdm/cdmd.conf", "[Reservations]\nMaxPerUser=1\n");
        world_set_policy(
                &w,
                _i == 0 ? "[Match]\nUnit=one.service two.service\n[Grant]\nStatic=64M\nQuotaPerUser=96M\n"
                        : "[Match]\nUnit=one.service two.service\n[Grant]\nStatic=64M\n");
        world_granted(reserve_static("one.service"));
        world_refused(reserve_static("two.service"), CDM_ERROR_DENIED,
                      _i == 0 ? "is in use by user nobody" : "user nobody has 1 reservations already");
}
END_TEST

static uint32_t number_of(uint32_t id, const char *property)
{
        uint32_t number;

        world_reservation_get(&w, id, property, 'u', &number);
        return number;
}

/* Explain for db.service. 0, or a negative errno with world_error and world_message as of a request. */
static int explain(sd_bus *bus, bool for_nobody)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call_method(bus, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Explain", &error,
                                   NULL, "sta{sv}", "cdm", MIB, 2, CDM_OPTION_UNIT, "s", "db.service",
                                   CDM_OPTION_FOR_NOBODY, "b", for_nobody);

        snprintf(world_error, sizeof(world_error), "%s", r < 0 ? error.name : "");
        snprintf(world_message, sizeof(world_message), "%s", r < 0 ? error.message : "");
        return r < 0 ? r : 0;
}

/* Nobody ever writes into this memory.numa_stat, so a look at what is used of the nodes does not end. */
START_TEST(refused_without_a_look)
{
        char stat[sizeof(w.root) + 80];
        uint32_t id;

        world_granted(world_request(w.client, "cdm", MIB, &id, 1, CDM_OPTION_UNIT, "s", "train.service"));
        world_set_policy(&w, "[Match]\nUnit=db.service\n[Grant]\nLimit=512K\n");
        snprintf(stat, sizeof(stat), "%s/sys/fs/cgroup/system.slice/train.service/memory.numa_stat", w.root);
        ck_assert_int_eq(unlink(stat), 0);
        ck_assert_int_eq(mkfifo(stat, 0600), 0);
        /* A request that waits for such a look is not answered. */
        ck_assert_int_ge(sd_bus_set_method_call_timeout(w.client, 60 * 1000 * 1000), 0);
        world_refused(world_request(w.client, "cdm", MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"),
                      CDM_ERROR_DENIED, "Limit=512K of /etc/cdm/policy.d/10-all.conf:4");
        world_refused(world_request(w.client, "cdm", 1, &id, 1, CDM_OPTION_UNIT, "s", "train.service"),
                      CDM_ERROR_DENIED, "no file in policy.d matches");
        ck_assert_int_eq(explain(w.client, false), 0);
        world_kill_cdmd(&w, SIGKILL);
}
END_TEST

/* Who may ask for nobody: the actions that polkit is asked for, in order, and what comes of it. */
static const struct {
        uid_t uid;
        const char *polkit; /* NULL: there is none */
        bool for_nobody;
        const char *asked[2];
        const char *error;
} speakers[] = {
        { 0, NULL, true, { NULL }, NULL },
        { 0, "no", true, { NULL }, NULL },
        { USER_NOBODY, "yes", true, { CDM_ACTION_REQUEST_AS, CDM_ACTION_REQUEST_FOR_OTHERS }, NULL },
        { USER_NOBODY, "no", true, { CDM_ACTION_REQUEST_AS }, CDM_ERROR_DENIED },
        { USER_NOBODY, NULL, true, { NULL }, CDM_ERROR_DENIED },
        { USER_NOBODY, "yes", false, { CDM_ACTION_REQUEST_FOR_OTHERS }, NULL },
};

START_TEST(who_may_ask_for_nobody)
{
        bool for_nobody = speakers[_i].for_nobody;
        uid_t uid = speakers[_i].uid;
        const char *const *asked = speakers[_i].asked;
        uint32_t id;

        if (geteuid() != 0)
                return;
        world_put(&w, "/etc/cdm/policy.d/05-slice.conf",
                  for_nobody ? "[Match]\nSlice=system.slice\n[Grant]\nLimit=512M\n"
                             : "[Match]\nUser=65534\n[Grant]\nLimit=512M\n");
        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nDeny=yes\n");
        world_start_polkit(&w, speakers[_i].polkit);
        sd_bus *bus = world_connect(&w, uid);
        int r = world_request(bus, "cdm", MIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                              CDM_OPTION_FOR_NOBODY, "b", for_nobody);
        for (size_t i = 0; i < 2 && asked[i]; i++)
                ck_assert_str_eq(world_polkit_asked(&w), asked[i]);
        if (speakers[_i].error) {
                world_refused(r, speakers[_i].error, "say for whom a reservation is");
                /* Nor is he told what would be said: here nothing fits the rule. */
                world_refused(world_request(bus, "cdm", GIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                            CDM_OPTION_FOR_NOBODY, "b", true),
                              CDM_ERROR_DENIED, "say for whom a reservation is");
                world_refused(explain(bus, true), CDM_ERROR_DENIED, "say for whom a reservation is");
        } else {
                world_granted(r);
                ck_assert_uint_eq(number_of(id, "Uid"), for_nobody ? 0 : uid);
                ck_assert_uint_eq(number_of(id, "Requester"), uid);
                ck_assert_int_eq(explain(bus, for_nobody), 0);
        }
        sd_bus_flush_close_unref(bus);
}
END_TEST

/* Rules with a user are not for such a request, also where root asks; nor is one without a place. */
START_TEST(nobody_matches_no_user)
{
        uint32_t id;

        world_set_policy(&w, "[Match]\nSlice=system.slice\nUser=root\n[Grant]\nLimit=1G\n");
        world_granted(world_request(w.client, "cdm", MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        world_refused(world_request(w.client, "cdm", MIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_FOR_NOBODY, "b", 1),
                      CDM_ERROR_DENIED, "and no user");
        world_set_policy(&w, "[Match]\nUnit=*\n[Grant]\nLimit=1G\n");
        world_refused(world_request(w.client, "cdm", MIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_FOR_NOBODY, "b", 1),
                      CDM_ERROR_DENIED, "and no user");
        world_set_policy(&w, "[Match]\nCGroup=/system.slice/*\n[Grant]\nLimit=1G\n");
        world_granted(world_request(w.client, "cdm", MIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_FOR_NOBODY, "b", 1));
}
END_TEST

/* Its client is another user than its owner, who keeps its place through a restart, and still has no user. */
START_TEST(nobody_waits_through_a_restart)
{
        uint64_t all;
        uint32_t first, id;

        if (geteuid() != 0)
                return;
        world_put(&w, "/etc/cdm/policy.d/05-user.conf",
                  "[Match]\nSlice=system.slice\nUser=65534\n[Grant]\nDeny=yes\n");
        world_set_policy(&w, "[Match]\nSlice=system.slice\n[Grant]\nLimit=infinity\nOnFull=queue\n");
        world_start_polkit(&w, "yes");
        sd_bus *bus = world_connect(&w, USER_NOBODY);
        all = world_available(&w);
        world_granted(world_request(w.client, "cdm", all, &first, 1, CDM_OPTION_UNIT, "s", "db.service"));
        world_granted(world_request(bus, "cdm", MIB, &id, 3, CDM_OPTION_UNIT, "s", "train.service",
                                    CDM_OPTION_FOR_NOBODY, "b", 1, CDM_OPTION_QUEUE, "t", UINT64_MAX));
        ck_assert_str_eq(world_reservation(&w, id, "State"), "queued");
        world_kill_cdmd(&w, SIGKILL);
        world_start_cdmd(&w);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "queued");
        ck_assert_int_eq(world_release(w.client, first), 0);
        world_wait_event(&w, "granted", id);
        ck_assert_uint_eq(number_of(id, "Uid"), 0);
        ck_assert_uint_eq(number_of(id, "Requester"), USER_NOBODY);
        sd_bus_flush_close_unref(bus);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("bus-policy");
        TCase *c = tcase_create("bus-policy");

        tcase_add_checked_fixture(c, start, stop);
        tcase_set_timeout(c, 0);
        tcase_add_test(c, a_rule_without_a_limit_is_refused);
        tcase_add_test(c, default_priority);
        tcase_add_test(c, nodes_of_a_rule);
        tcase_add_test(c, refused_without_a_look);
        tcase_add_test(c, quota_per_user);
        tcase_add_loop_test(c, the_owner_counts_where_root_asks, 0, 2);
        tcase_add_loop_test(c, who_may_ask_for_nobody, 0, ARRAY_SIZE(speakers));
        tcase_add_test(c, nobody_matches_no_user);
        tcase_add_test(c, nobody_waits_through_a_restart);
        suite_add_tcase(s, c);
        return check_main(s);
}
