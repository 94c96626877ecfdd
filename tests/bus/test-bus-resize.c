/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reservations that get another size. */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

#define MIB (UINT64_C(1) << 20)
#define DB  "/sys/fs/cgroup/system.slice/db.service/"

static World w;

static void start(void)
{
        world_start(&w);
}

static void stop(void)
{
        world_stop(&w);
}

static int keep(int r, const sd_bus_error *error)
{
        snprintf(world_error, sizeof(world_error), "%s", error->name ? error->name : "");
        snprintf(world_message, sizeof(world_message), "%s", error->message ? error->message : "");
        return r < 0 ? r : 0;
}

static int resize(sd_bus *bus, uint32_t id, uint64_t size)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        char path[64];

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        return keep(sd_bus_call_method(bus, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION, "Resize", &error,
                                       NULL, "t", size),
                    &error);
}

static uint64_t size_of(uint32_t id)
{
        char path[64];
        uint64_t size;

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        ck_assert_int_ge(sd_bus_get_property_trivial(w.client, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION,
                                                     "Size", NULL, 't', &size),
                         0);
        return size;
}

static uint64_t available(void)
{
        uint64_t bytes;

        ck_assert_int_ge(sd_bus_get_property_trivial(w.client, CDM_BUS_NAME, CDM_PATH_POOL "/cdm",
                                                     CDM_INTERFACE_POOL, "Available", NULL, 't', &bytes),
                         0);
        return bytes;
}

/* What was answered is on disk. */
static void restart(void)
{
        world_kill_cdmd(&w, SIGKILL);
        world_start_cdmd(&w);
}

START_TEST(larger_and_smaller)
{
        uint64_t before = available();
        uint32_t id;

        world_granted(world_request(w.client, "cdm", 64 * MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        world_granted(resize(w.client, id, 128 * MIB + 1));
        ck_assert_uint_eq(size_of(id), 128 * MIB + 4096);
        restart();
        ck_assert_uint_eq(size_of(id), 128 * MIB + 4096);
        ck_assert_uint_eq(available(), before - 128 * MIB - 4096);
        world_granted(resize(w.client, id, 32 * MIB));
        restart();
        ck_assert_uint_eq(size_of(id), 32 * MIB);
        ck_assert_uint_eq(available(), before - 32 * MIB);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
}
END_TEST

/* It opens the nodes that it needs, and gives them up again. */
START_TEST(its_nodes_follow)
{
        uint32_t id, other;

        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=infinity\n");
        uint64_t all = available();
        world_granted(world_request(w.client, "cdm", 64 * MIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_NODES, "s", "2-3"));
        const char *one = strstr(world_get(&w, DB "cpuset.mems"), "2") ? "0-2" : "0-1,3";
        ck_assert_str_eq(world_get(&w, DB "cpuset.mems"), one);
        world_granted(resize(w.client, id, all));
        ck_assert_str_eq(world_get(&w, DB "cpuset.mems"), "0-3");
        world_refused(world_request(w.client, "cdm", MIB, &other, 1, CDM_OPTION_UNIT, "s", "train.service"),
                      CDM_ERROR_FULL, "");
        world_refused(resize(w.client, id, all + MIB), CDM_ERROR_FULL, "1M more does not fit now");
        ck_assert_uint_eq(size_of(id), all);
        world_granted(resize(w.client, id, 64 * MIB));
        world_wait_file(&w, DB "cpuset.mems", one);
        world_granted(world_request(w.client, "cdm", MIB, &other, 1, CDM_OPTION_UNIT, "s", "train.service"));
}
END_TEST

/* Nodes that cannot be opened leave all as it was. */
START_TEST(what_fails_is_taken_back)
{
        char mems[256], away[264];
        uint32_t id;

        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=infinity\n");
        world_granted(world_request(w.client, "cdm", 64 * MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        uint64_t left = available();
        snprintf(mems, sizeof(mems), "%s" DB "cpuset.mems", w.root);
        snprintf(away, sizeof(away), "%s.away", mems);
        ck_assert_int_eq(rename(mems, away), 0);
        ck_assert_int_eq(mkdir(mems, 0755), 0);
        world_refused(resize(w.client, id, 64 * MIB + left), SD_BUS_ERROR_FAILED, "could not be opened");
        ck_assert_int_eq(rmdir(mems), 0);
        ck_assert_int_eq(rename(away, mems), 0);
        ck_assert_uint_eq(size_of(id), 64 * MIB);
        ck_assert_uint_eq(available(), left);
        world_granted(resize(w.client, id, 128 * MIB));
        restart();
        ck_assert_uint_eq(size_of(id), 128 * MIB);
}
END_TEST

/* It never waits for others, and displaces nobody; --nodes holds for what is added as well. */
START_TEST(full_is_full)
{
        uint32_t id, other;

        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=infinity\nOnFull=preempt\nPriority=9\n");
        world_granted(world_request(w.client, "cdm", 64 * MIB, &id, 3, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_PRIORITY, "i", 9, CDM_OPTION_NODES, "s", "2"));
        world_granted(world_request(w.client, "cdm", available(), &other, 1, CDM_OPTION_UNIT, "s",
                                    "train.service"));
        world_refused(resize(w.client, id, 65 * MIB), CDM_ERROR_FULL, "1M more does not fit now");
        ck_assert_str_eq(world_reservation(&w, other, "State"), "active");
        ck_assert_int_eq(world_release(w.client, other), 0);
        world_wait_event(&w, "released", other);
        world_granted(world_request(w.client, "cdm", 64 * MIB, &other, 2, CDM_OPTION_UNIT, "s",
                                    "train.service", CDM_OPTION_NODES, "s", "3"));
        world_refused(resize(w.client, id, 64 * GIB), CDM_ERROR_FULL, "more does not fit now");
        world_granted(resize(w.client, id, 128 * MIB));
        ck_assert_str_eq(world_get(&w, DB "cpuset.mems"), "0-2");
}
END_TEST

/* The rule that matches now decides, and is its rule from then on. */
START_TEST(the_rule_of_now)
{
        uint32_t id;

        world_granted(world_request(w.client, "cdm", 64 * MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        world_put(&w, "/etc/cdm/policy.d/05-new.conf",
                  "[Match]\nUnit=db.service\n[Grant]\nLimit=128M\nQuota=256M\nLease=1h\n");
        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=1G\nLease=1h\n");
        world_refused(resize(w.client, id, 129 * MIB), CDM_ERROR_DENIED, "05-new.conf:4");
        ck_assert_ptr_nonnull(strstr(world_reservation(&w, id, "Policy"), "10-all.conf"));
        world_granted(resize(w.client, id, 128 * MIB));
        restart();
        ck_assert_ptr_nonnull(strstr(world_reservation(&w, id, "Policy"), "05-new.conf:1"));
        world_granted(world_request(w.client, "cdm", 128 * MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        world_refused(world_request(w.client, "cdm", MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"),
                      CDM_ERROR_DENIED, "Quota=256M");
}
END_TEST

START_TEST(what_cannot_be_resized)
{
        uint32_t id, second;

        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=infinity\nExclusive=yes\nOnFull=queue\n");
        world_granted(world_request(w.client, "cdm", 64 * MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        world_refused(resize(w.client, id, 0), CDM_ERROR_INVALID, "0 bytes");
        world_refused(resize(w.client, id, UINT64_MAX), CDM_ERROR_INVALID, "more than any size");
        world_granted(world_request(w.client, "cdm", available(), &second, 1, CDM_OPTION_UNIT, "s",
                                    "train.service"));
        uint32_t waits;
        world_granted(world_request(w.client, "cdm", MIB, &waits, 2, CDM_OPTION_UNIT, "s", "train.service",
                                    CDM_OPTION_QUEUE, "t", UINT64_MAX));
        world_refused(resize(w.client, waits, 2 * MIB), CDM_ERROR_STALE, "still waits");
        ck_assert_int_eq(world_release(w.client, waits), 0);
        ck_assert_int_eq(world_release(w.client, second), 0);
        world_wait_event(&w, "released", second);
        world_granted(world_request(w.client, "cdm", MIB, &second, 3, CDM_OPTION_UNIT, "s", "train.service",
                                    CDM_OPTION_EXCLUSIVE, "b", 1, CDM_OPTION_NODES, "s", "3"));
        world_refused(resize(w.client, second, MIB), CDM_ERROR_INVALID, "exclusive");
        world_refused(resize(w.client, second, 64 * GIB), CDM_ERROR_INVALID, "exclusive");
        ck_assert_uint_eq(size_of(id), 64 * MIB);
}
END_TEST

/* Whose is it, who asks, what polkit is asked for. The target is another's unit for all but root. */
static const struct {
        uid_t owner, asker;
        const char *polkit;
        uint64_t size;
        const char *asked[2];
        const char *error;
} askers[] = {
        { 0, 0, "no", 128, { NULL }, NULL },
        { USER_NOBODY, 0, "no", 128, { NULL }, NULL },
        { USER_NOBODY, USER_NOBODY, "no", 32, { NULL }, NULL },
        { USER_NOBODY, USER_NOBODY, "no", 128, { CDM_ACTION_REQUEST_FOR_OTHERS }, CDM_ERROR_DENIED },
        { USER_NOBODY, USER_NOBODY, "yes", 128, { CDM_ACTION_REQUEST_FOR_OTHERS }, NULL },
        { USER_NOBODY, USER_DAEMON, "no", 32, { CDM_ACTION_RELEASE_OTHERS }, CDM_ERROR_DENIED },
        { USER_NOBODY, USER_DAEMON, "yes", 32, { CDM_ACTION_RELEASE_OTHERS }, NULL },
        { USER_NOBODY,
          USER_DAEMON,
          "yes",
          128,
          { CDM_ACTION_RELEASE_OTHERS, CDM_ACTION_REQUEST_FOR_OTHERS },
          NULL },
};

START_TEST(who_may)
{
        uint32_t id;

        if (geteuid() != 0)
                return;
        /* Rules see the owner, whoever asks. */
        world_set_policy(&w, askers[_i].owner == 0 ? "[Match]\nUser=root\n[Grant]\nLimit=1G\n"
                                                   : "[Match]\nUser=nobody\n[Grant]\nLimit=1G\n");
        world_granted(world_request(w.client, "cdm", 64 * MIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                    CDM_OPTION_FOR_UID, "u", (int)askers[_i].owner));
        world_start_polkit(&w, askers[_i].polkit);
        sd_bus *bus = world_connect(&w, askers[_i].asker);
        int r = resize(bus, id, askers[_i].size * MIB);
        if (askers[_i].error)
                world_refused(r, askers[_i].error, "");
        else
                world_granted(r);
        for (size_t i = 0; i < 2 && askers[_i].asked[i]; i++)
                ck_assert_str_eq(world_polkit_asked(&w), askers[_i].asked[i]);
        ck_assert_uint_eq(size_of(id), (askers[_i].error ? 64 : askers[_i].size) * MIB);
        sd_bus_flush_close_unref(bus);
}
END_TEST

typedef struct Reply {
        int error;
        char name[128];
        bool there;
} Reply;

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Reply *reply = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        reply->there = true;
        snprintf(reply->name, sizeof(reply->name), "%s", e ? e->name : "");
        return 0;
}

static void wait_reply(const Reply *reply)
{
        while (!reply->there) {
                int r = sd_bus_process(w.client, NULL);

                ck_assert_int_ge(r, 0);
                if (r == 0)
                        ck_assert_int_ge(sd_bus_wait(w.client, UINT64_MAX), 0);
        }
}

static void begin_resize(uint32_t id, uint64_t size, Reply *reply)
{
        char path[64];

        *reply = (Reply){ 0 };
        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        ck_assert_int_ge(sd_bus_call_method_async(w.client, NULL, CDM_BUS_NAME, path,
                                                  CDM_INTERFACE_RESERVATION, "Resize", on_reply, reply, "t",
                                                  size),
                         0);
        while (!world_steer(&w, "Hold", 1))
                usleep(20000);
}

/* While systemd opens a node: a second change has to wait, and what it grows by is nobody else's. Then it is released,
 * or cdmd is killed: it was not told, so it has its old size. */
START_TEST(one_at_a_time)
{
        uint64_t all;
        uint32_t id, other;
        Reply reply;

        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=infinity\n");
        world_granted(world_request(w.client, "cdm", 64 * MIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"));
        all = 64 * MIB + available();
        world_steer(&w, "Hold", 1);
        begin_resize(id, all, &reply);
        world_refused(resize(w.client, id, 32 * MIB), CDM_ERROR_BUSY, "being changed already");
        world_refused(world_request(w.client, "cdm", MIB, &other, 1, CDM_OPTION_UNIT, "s", "train.service"),
                      CDM_ERROR_FULL, "");
        if (_i == 0) {
                world_steer(&w, "Hold", 0);
                wait_reply(&reply);
                ck_assert_str_eq(reply.name, "");
                ck_assert_uint_eq(size_of(id), all);
        } else if (_i == 1) {
                ck_assert_int_eq(world_release(w.client, id), 0);
                world_steer(&w, "Hold", 0);
                wait_reply(&reply);
                ck_assert_str_eq(reply.name, CDM_ERROR_STALE);
                world_wait_event(&w, "released", id);
                ck_assert_uint_eq(available(), all);
                world_wait_file(&w, DB "cpuset.mems", "0-1");
        } else {
                world_kill_cdmd(&w, SIGKILL);
                world_steer(&w, "Hold", 0);
                world_start_cdmd(&w);
                ck_assert_uint_eq(size_of(id), 64 * MIB);
                ck_assert_uint_eq(available(), all - 64 * MIB);
                ck_assert_str_ne(world_get(&w, DB "cpuset.mems"), "0-3");
        }
}
END_TEST

static uint32_t capped_scope(char *scope, size_t size)
{
        uint32_t id;

        world_add_unit(&w, "session-1.scope", "user-0.slice", "/user.slice/user-0.slice/session-1.scope",
                       "");
        world_be(&w, geteuid(), "/user.slice/user-0.slice/session-1.scope");
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        world_granted(world_request(w.client, "cdm", 64 * MIB, &id, 3, CDM_OPTION_PIDFD, "h", pidfd,
                                    CDM_OPTION_SCOPE, "b", 1, CDM_OPTION_MEM_POLICY, "s", "bind"));
        close(pidfd);
        snprintf(scope, size, "%s", world_reservation(&w, id, "ControlGroup"));
        ck_assert_str_eq(world_reservation(&w, id, "Strength"), "capped");
        return id;
}

/* The scope of one that is capped has as much memory as it reserved: what does not fit into less stays as it is. */
START_TEST(capped)
{
        char scope[128], file[256];
        uint32_t id = capped_scope(scope, sizeof(scope));

        snprintf(file, sizeof(file), "/sys/fs/cgroup%s/memory.current", scope);
        world_put(&w, file, "50000000\n");
        world_refused(resize(w.client, id, 32 * MIB), CDM_ERROR_BUSY, "uses 47.6");
        ck_assert_uint_eq(size_of(id), 64 * MIB);
        world_put(&w, file, "30000000\n");
        world_granted(resize(w.client, id, 32 * MIB));
        ck_assert_uint_eq(size_of(id), 32 * MIB);
        snprintf(file, sizeof(file), "/sys/fs/cgroup%s/memory.max", scope);
        ck_assert_str_eq(world_get(&w, file), "33554432");
        world_granted(resize(w.client, id, 128 * MIB));
        ck_assert_str_eq(world_get(&w, file), "134217728");
        ck_assert_str_eq(world_reservation(&w, id, "Strength"), "capped");
}
END_TEST

/* What cannot be stored is not acknowledged, and the limit of the scope goes back. */
START_TEST(capped_and_not_stored)
{
        const uint64_t sizes[] = { 32 * MIB, 128 * MIB };
        char scope[128], file[256], in_the_way[256];
        uint32_t id = capped_scope(scope, sizeof(scope));
        uint64_t left = available();

        snprintf(file, sizeof(file), "/sys/fs/cgroup%s/memory.current", scope);
        world_put(&w, file, "30000000\n");
        snprintf(file, sizeof(file), "/sys/fs/cgroup%s/memory.max", scope);
        snprintf(in_the_way, sizeof(in_the_way), "%s/run/cdmd/.reservation-%" PRIu32 ".tmp", w.root, id);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                ck_assert_int_eq(mkdir(in_the_way, 0755), 0);
                ck_assert_int_lt(resize(w.client, id, sizes[i]), 0);
                ck_assert_int_eq(rmdir(in_the_way), 0);
                world_wait_file(&w, file, "67108864");
                ck_assert_uint_eq(size_of(id), 64 * MIB);
                ck_assert_uint_eq(available(), left);
        }
        restart();
        ck_assert_uint_eq(size_of(id), 64 * MIB);
}
END_TEST

/* It is displaced while its limit is lowered. */
START_TEST(capped_and_displaced)
{
        char scope[128], file[256];
        uint32_t id = capped_scope(scope, sizeof(scope)), other;
        Reply reply;

        world_put(&w, "/etc/cdm/cdmd.conf", "[Reservations]\nGracePeriod=1h\n");
        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=infinity\nPriority=100\nOnFull=preempt\n");
        snprintf(file, sizeof(file), "/sys/fs/cgroup%s/memory.current", scope);
        world_put(&w, file, "30000000\n");
        snprintf(file, sizeof(file), "/sys/fs/cgroup%s/memory.max", scope);
        world_steer(&w, "Hold", 1);
        begin_resize(id, 32 * MIB, &reply);
        world_granted(world_request(w.client, "cdm", available() + 64 * MIB, &other, 2, CDM_OPTION_UNIT, "s",
                                    "train.service", CDM_OPTION_PRIORITY, "i", 1));
        ck_assert_str_eq(world_reservation(&w, id, "State"), "revoking");
        world_steer(&w, "Hold", 0);
        wait_reply(&reply);
        ck_assert_str_eq(reply.name, CDM_ERROR_STALE);
        world_wait_file(&w, file, "67108864");
        ck_assert_uint_eq(size_of(id), 64 * MIB);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("bus-resize");
        TCase *c = tcase_create("bus-resize");

        tcase_add_checked_fixture(c, start, stop);
        tcase_set_timeout(c, 0);
        tcase_add_test(c, larger_and_smaller);
        tcase_add_test(c, its_nodes_follow);
        tcase_add_test(c, what_fails_is_taken_back);
        tcase_add_test(c, full_is_full);
        tcase_add_test(c, the_rule_of_now);
        tcase_add_test(c, what_cannot_be_resized);
        tcase_add_loop_test(c, who_may, 0, ARRAY_SIZE(askers));
        tcase_add_loop_test(c, one_at_a_time, 0, 3);
        tcase_add_test(c, capped);
        tcase_add_test(c, capped_and_not_stored);
        tcase_add_test(c, capped_and_displaced);
        suite_add_tcase(s, c);
        return check_main(s);
}
