/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Leases, the queue and preemption, as the clients of a whole cdmd see them. */

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "policy/timespan.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

#define DB_MEMS    "/sys/fs/cgroup/system.slice/db.service/cpuset.mems"
#define TRAIN_MEMS "/sys/fs/cgroup/system.slice/train.service/cpuset.mems"
#define MSEC       UINT64_C(1000)
#define SEC        (1000 * MSEC)

static World w;

static void start(void)
{
        world_start(&w);
}

static void stop(void)
{
        world_stop(&w);
}

static uint32_t lease_db(uint64_t lease_usec)
{
        uint32_t id = 0;
        int r = world_request(w.client, "cdm", GIB / 2, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                              CDM_OPTION_LEASE, "t", lease_usec);

        ck_assert_msg(r == 0, "%s: %s", world_error, world_message);
        return id;
}

static int renew(uint32_t id, uint64_t usec)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        char path[64];

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        int r = sd_bus_call_method(w.client, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION, "Renew", &error,
                                   NULL, "t", usec);
        snprintf(world_error, sizeof(world_error), "%s", error.name ? error.name : "");
        return r;
}

static uint64_t expires(uint32_t id)
{
        uint64_t usec;

        world_reservation_get(&w, id, "Expires", 't', &usec);
        return usec;
}

/* When the lease ends, on the clock that nobody can set, as the state file has it. The property is on the
 * wall clock: the distance of the two clocks is read anew for each answer, and differs by a microsecond now
 * and then. */
static uint64_t stored_expires(uint32_t id)
{
        char path[1024], line[256];
        uint64_t usec = 0;
        FILE *f;

        snprintf(path, sizeof(path), "%s/run/cdmd/reservation-%" PRIu32, w.root, id);
        f = fopen(path, "r");
        ck_assert_ptr_nonnull(f);
        while (usec == 0 && fgets(line, sizeof(line), f))
                if (sscanf(line, "Expires=%" SCNu64, &usec) != 1)
                        usec = 0;
        fclose(f);
        ck_assert_uint_ne(usec, 0);
        return usec;
}

START_TEST(a_lease_is_warned_of_and_ends)
{
        uint32_t id = lease_db(600 * MSEC);

        world_wait_event(&w, "revoking", id);
        ck_assert_str_eq(world_reason, "its lease ends");
        world_wait_event(&w, "draining", id);
        ck_assert_str_eq(world_reason, "its lease ended");
        world_wait_event(&w, "released", id);
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
}
END_TEST

START_TEST(a_renewal_keeps_what_is_revoked)
{
        uint32_t id = lease_db(8 * SEC);
        uint64_t later;

        world_wait_event(&w, "revoking", id);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "revoking");
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-2");
        ck_assert_int_lt(renew(id, 2 * 3600 * SEC), 0); /* Lease=1h */
        ck_assert_str_eq(world_error, CDM_ERROR_DENIED);
        ck_assert_int_ge(renew(id, 3600 * SEC), 0);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        later = expires(id);
        /* by the time first asked for */
        ck_assert_int_ge(renew(id, 0), 0);
        ck_assert_uint_lt(expires(id), later - 1800 * SEC);
        ck_assert_int_ge(renew(id, 600 * MSEC), 0);
        world_wait_event(&w, "revoking", id);
        world_wait_event(&w, "released", id);
        ck_assert_int_lt(renew(id, 0), 0);
}
END_TEST

/* What cannot be stored is not acknowledged, and nothing has changed. */
START_TEST(a_renewal_that_cannot_be_stored_fails)
{
        uint32_t id = lease_db(60 * SEC);
        char temp[128];

        world_put(&w, "/etc/cdm/cdmd.conf", "[Reservations]\nGracePeriod=1h\n");
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "Reload", NULL, NULL, ""),
                         0);
        ck_assert_int_ge(renew(id, 2 * SEC), 0);
        ck_assert_int_ge(renew(id, 40 * SEC), 0);
        world_wait_event(&w, "revoking", id);
        snprintf(temp, sizeof(temp), "%s/run/cdmd/.reservation-%" PRIu32 ".tmp", w.root, id);
        ck_assert_int_eq(mkdir(temp, 0755), 0);
        ck_assert_int_lt(renew(id, 3600 * SEC), 0);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "revoking");
        ck_assert_int_eq(rmdir(temp), 0);
        ck_assert_int_ge(renew(id, 3600 * SEC), 0);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
}
END_TEST

START_TEST(a_lease_survives_a_kill)
{
        uint32_t id = lease_db(3600 * SEC);
        uint64_t end = stored_expires(id);

        world_kill_cdmd(&w, SIGKILL);
        world_start_cdmd(&w);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        ck_assert_uint_eq(stored_expires(id), end);
        ck_assert_int_ge(renew(id, 1800 * SEC), 0);
        ck_assert_uint_ne(stored_expires(id), end);
        ck_assert_int_ge(renew(id, 3 * SEC), 0);
        world_wait_event(&w, "revoking", id);
        /* as warned of before the kill */
        world_kill_cdmd(&w, SIGKILL);
        world_start_cdmd(&w);
        world_wait_event(&w, "released", id);
        ck_assert_str_eq(world_reason, "its lease ended");
        ck_assert_str_eq(world_get(&w, DB_MEMS), "0-1");
}
END_TEST

/* It was over before cdmd came back: the warning comes all the same. */
START_TEST(a_lease_that_ended_meanwhile_is_warned_of_first)
{
        uint32_t id = lease_db(600 * MSEC);

        world_kill_cdmd(&w, SIGKILL);
        usleep(900 * MSEC);
        world_start_cdmd(&w);
        world_wait_event(&w, "revoking", id);
        world_wait_event(&w, "released", id);
}
END_TEST

/* --- the queue --- */

static const char policy_queue[] = "[Match]\nPool=*\n[Grant]\nLimit=infinity\nPriority=100\nOnFull=queue\n";
static const char policy_preempt[] =
        "[Match]\nPool=*\n[Grant]\nLimit=infinity\nPriority=100\nOnFull=preempt\n";

static int ask(sd_bus *bus, const char *unit, uint64_t size, int priority, uint64_t queue_usec,
               uint32_t *ret)
{
        if (queue_usec == 0)
                return world_request(bus, "cdm", size, ret, 2, CDM_OPTION_UNIT, "s", unit,
                                     CDM_OPTION_PRIORITY, "i", priority);
        return world_request(bus, "cdm", size, ret, 3, CDM_OPTION_UNIT, "s", unit, CDM_OPTION_PRIORITY, "i",
                             priority, CDM_OPTION_QUEUE, "t", queue_usec);
}

static uint32_t must_ask(sd_bus *bus, const char *unit, uint64_t size, int priority, uint64_t queue_usec)
{
        uint32_t id = 0;
        int r = ask(bus, unit, size, priority, queue_usec, &id);

        ck_assert_msg(r == 0, "%s: %s", world_error, world_message);
        return id;
}

#define FOREVER UINT64_MAX

static void is_state(uint32_t id, const char *state)
{
        ck_assert_str_eq(world_reservation(&w, id, "State"), state);
}

START_TEST(one_that_waits_is_granted_when_there_is_room)
{
        world_set_policy(&w, policy_queue);
        uint32_t first = must_ask(w.client, "db.service", world_available(&w), 0, 0), second;

        ck_assert_int_lt(ask(w.client, "train.service", GIB, 0, 0, &second), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        second = must_ask(w.client, "train.service", GIB, 0, FOREVER);
        is_state(second, "queued");
        ck_assert_str_eq(world_reservation(&w, second, "Strength"), "");
        ck_assert_str_eq(world_get(&w, TRAIN_MEMS), "0-1");
        ck_assert_int_lt(renew(second, SEC), 0);
        ck_assert_int_eq(world_release(w.client, first), 0);
        world_wait_event(&w, "granted", second);
        is_state(second, "active");
        ck_assert_str_eq(world_reservation(&w, second, "Strength"), "exclusive");
        ck_assert_str_ne(world_get(&w, TRAIN_MEMS), "0-1");
}
END_TEST

/* A large one at the head is not starved by small ones; a higher priority passes. */
START_TEST(nobody_overtakes)
{
        world_set_policy(&w, policy_queue);
        uint64_t all = world_available(&w);
        uint32_t a = must_ask(w.client, "db.service", all - GIB, 0, 0), id;
        uint32_t large = must_ask(w.client, "train.service", all, 5, FOREVER);
        uint32_t small = must_ask(w.client, "train.service", GIB / 2, 5, FOREVER);
        uint32_t low = must_ask(w.client, "train.service", GIB / 2, 0, FOREVER);

        ck_assert_int_lt(ask(w.client, "db.service", GIB / 2, 5, 0, &id), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        uint32_t high = must_ask(w.client, "db.service", GIB / 2, 6, 0);
        is_state(high, "active");
        is_state(small, "queued");
        ck_assert_int_eq(world_release(w.client, high), 0);
        ck_assert_int_eq(world_release(w.client, a), 0);
        world_wait_event(&w, "granted", large);
        is_state(small, "queued");
        ck_assert_int_eq(world_release(w.client, large), 0);
        world_wait_event(&w, "granted", small);
        world_wait_event(&w, "granted", low);
}
END_TEST

/* Nobody has read what a unit that waits had before. */
START_TEST(a_unit_that_waits_keeps_its_ordinary_nodes)
{
        world_set_policy(&w, policy_queue);
        uint64_t all = world_available(&w);
        uint32_t other = must_ask(w.client, "db.service", all - GIB, 0, 0);
        world_put(&w, TRAIN_MEMS ".effective", "0\n");
        world_put(&w, TRAIN_MEMS, "0\n");
        uint32_t large = must_ask(w.client, "train.service", all - GIB, 0, FOREVER);
        uint32_t small = must_ask(w.client, "train.service", GIB / 2, 6, 0);

        is_state(small, "active");
        is_state(large, "queued");
        ck_assert_str_eq(world_get(&w, TRAIN_MEMS), "0,3");
        world_kill_cdmd(&w, SIGKILL);
        world_put(&w, TRAIN_MEMS ".effective", "0\n");
        world_put(&w, TRAIN_MEMS, "0\n");
        world_start_cdmd(&w);
        world_wait_file(&w, TRAIN_MEMS, "0,3");
        ck_assert_int_eq(world_release(w.client, other), 0);
        world_wait_event(&w, "granted", large);
        ck_assert_str_eq(world_get(&w, TRAIN_MEMS), "0,2-3");
}
END_TEST

/* Who waits for room is in the way of others; as soon as he waits for his quota he is not. */
START_TEST(who_waits_for_a_quota_is_in_nobodys_way)
{
        uint64_t all = world_available(&w);
        char text[160];

        snprintf(text, sizeof(text),
                 "[Match]\nPool=*\nUnit=db.service\n[Grant]\nPriority=100\nOnFull=queue\nQuota=%" PRIu64
                 "\n",
                 all / 8 * 7);
        world_put(&w, "/etc/cdm/policy.d/05-db.conf", text);
        world_set_policy(&w, policy_queue);
        must_ask(w.client, "train.service", all / 2, 0, 0);
        uint32_t large = must_ask(w.client, "db.service", all / 4 * 3, 0, FOREVER), id;
        ck_assert_int_lt(ask(w.client, "train.service", all / 8, 0, 0, &id), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        must_ask(w.client, "db.service", all / 4, 5, 0);
        must_ask(w.client, "train.service", all / 8, 0, 0);
        is_state(large, "queued");
}
END_TEST

START_TEST(waiting_ends)
{
        world_set_policy(&w, policy_queue);
        uint64_t all = world_available(&w);
        uint32_t first = must_ask(w.client, "db.service", all, 0, 0);
        sd_bus *other = world_connect(&w, geteuid());
        uint32_t timed = must_ask(w.client, "train.service", GIB, 0, 300 * MSEC);
        uint32_t orphan = must_ask(other, "train.service", GIB, 0, FOREVER);
        uint32_t released = must_ask(w.client, "train.service", GIB, 0, FOREVER);

        world_wait_event(&w, "dequeued", timed);
        ck_assert_str_eq(world_event_error, CDM_ERROR_TIMEOUT);
        is_state(timed, "");
        is_state(orphan, "queued");
        sd_bus_flush_close_unref(other);
        world_wait_event(&w, "dequeued", orphan);
        ck_assert_str_eq(world_event_error, CDM_ERROR_STALE);
        ck_assert_int_eq(world_release(w.client, released), 0);
        world_wait_event(&w, "dequeued", released);
        /* with its unit, and when policy changes its mind */
        uint32_t unit = must_ask(w.client, "train.service", GIB, 0, FOREVER);
        world_unit_state(&w, "train.service", "inactive", false);
        world_wait_event(&w, "dequeued", unit);
        world_unit_state(&w, "train.service", "active", false);
        uint32_t denied = must_ask(w.client, "train.service", GIB, 0, FOREVER);
        world_set_policy(&w, "[Match]\nPool=*\nUnit=db.service\n[Grant]\nLimit=infinity\nOnFull=queue\n");
        world_wait_event(&w, "dequeued", denied);
        ck_assert_str_eq(world_event_error, CDM_ERROR_DENIED);
        is_state(first, "active");
}
END_TEST

START_TEST(the_queue_has_an_end)
{
        uint32_t id;

        world_put(&w, "/etc/cdm/cdmd.conf", "[Reservations]\nQueueMax=2\n");
        world_set_policy(&w, policy_queue);
        must_ask(w.client, "db.service", world_available(&w), 0, 0);
        must_ask(w.client, "train.service", GIB, 0, FOREVER);
        must_ask(w.client, "train.service", GIB, 0, FOREVER);
        ck_assert_int_lt(ask(w.client, "train.service", GIB, 0, FOREVER, &id), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        ck_assert_ptr_nonnull(strstr(world_message, "QueueMax=2"));
        ck_assert_int_lt(ask(w.client, "train.service", 1000 * GIB, 0, FOREVER, &id), 0);
        ck_assert_ptr_nonnull(strstr(world_message, "never fits"));
        ck_assert_int_lt(world_request(w.client, "cdm", GIB, &id, 2, CDM_OPTION_UNIT, "s", "train.service",
                                       CDM_OPTION_QUEUE, "t", UINT64_C(0)),
                         0);
        ck_assert_str_eq(world_error, CDM_ERROR_INVALID);
}
END_TEST

/* More than one turn of the event loop looks at, all of whom wait for their quota but the last one. Nothing
 * happens to the others, so a walk that ended too early would end there each time. */
START_TEST(a_long_queue_is_served_to_its_end)
{
        enum { N = 100 };
        char text[160];

        world_put(&w, "/etc/cdm/cdmd.conf", "[Reservations]\nQueueMax=200\n");
        snprintf(text, sizeof(text),
                 "[Match]\nPool=*\nUnit=db.service\n[Grant]\nPriority=100\nOnFull=queue\nQuota=%" PRIu64
                 "\n",
                 GIB);
        world_put(&w, "/etc/cdm/policy.d/05-db.conf", text);
        world_set_policy(&w, policy_queue);
        uint32_t first = must_ask(w.client, "train.service", world_available(&w) - GIB / 2, 0, 0), id = 0;
        for (size_t i = 0; i < N; i++)
                id = must_ask(w.client, "db.service", GIB, 0, FOREVER);
        /* What is left of the quota is too little for them from now on. */
        uint32_t db = must_ask(w.client, "db.service", GIB / 2, 5, 0);
        uint32_t last = must_ask(w.client, "train.service", GIB, 0, FOREVER);
        is_state(last, "queued");
        ck_assert_int_eq(world_release(w.client, first), 0);
        world_wait_event(&w, "granted", last);
        is_state(id, "queued");
        is_state(db, "active");
}
END_TEST

START_TEST(the_queue_survives_a_kill)
{
        world_set_policy(&w, policy_queue);
        sd_bus *other = world_connect(&w, geteuid());
        uint64_t all = world_available(&w);
        uint32_t first = must_ask(w.client, "db.service", all, 0, 0);
        uint32_t orphan = must_ask(other, "train.service", all, 9, FOREVER);
        uint32_t low = must_ask(w.client, "train.service", all, 0, FOREVER);
        uint32_t high = must_ask(w.client, "train.service", all, 7, FOREVER);
        uint32_t timed = must_ask(w.client, "train.service", all, 0, 900 * MSEC);

        world_kill_cdmd(&w, SIGKILL);
        sd_bus_flush_close_unref(other); /* nobody sees it go */
        world_start_cdmd(&w);
        is_state(orphan, "");
        is_state(low, "queued");
        is_state(high, "queued");
        world_wait_event(&w, "dequeued", timed);
        ck_assert_int_eq(world_release(w.client, first), 0);
        world_wait_event(&w, "granted", high);
        ck_assert_int_eq(world_release(w.client, high), 0);
        world_wait_event(&w, "granted", low);
}
END_TEST

/* --- preemption --- */

static bool is_on_the_bus(const char *name)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int there;

        ck_assert_int_ge(sd_bus_call_method(w.client, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                            "org.freedesktop.DBus", "NameHasOwner", NULL, &m, "s", name),
                         0);
        ck_assert_int_ge(sd_bus_message_read(m, "b", &there), 0);
        return there;
}

static int ignore(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return 0;
}

/* One that leaves the bus while cdmd looks at the nodes, before there is a place in the queue, has none. */
START_TEST(who_left_before_is_not_queued)
{
        static const char stat[] = "/sys/fs/cgroup/system.slice/db.service/memory.numa_stat";
        sd_bus *bus = world_connect(&w, geteuid());
        char path[256], later[256], name[64];
        const char *unique;
        uint32_t all, id;

        world_set_policy(&w, "[Match]\nPool=*\n[Grant]\nLimit=infinity\nOnFull=queue\n");
        all = must_ask(w.client, "db.service", world_available(&w), 0, 0);
        world_put(&w, "/later", "anon N2=0\n");
        snprintf(path, sizeof(path), "%s%s", w.root, stat);
        snprintf(later, sizeof(later), "%s/later", w.root);
        (void)unlink(path);
        ck_assert_int_eq(mkfifo(path, 0644), 0);
        ck_assert_int_ge(sd_bus_get_unique_name(bus, &unique), 0);
        snprintf(name, sizeof(name), "%s", unique);
        ck_assert_int_ge(sd_bus_call_method_async(bus, NULL, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                  "Request", ignore, NULL, "sta{sv}", "cdm", GIB / 4, 2,
                                                  CDM_OPTION_UNIT, "s", "train.service", CDM_OPTION_QUEUE,
                                                  "t", UINT64_MAX),
                         0);
        ck_assert_int_ge(sd_bus_flush(bus), 0);
        int fd = open(path, O_WRONLY | O_CLOEXEC); /* returns when cdmd looks */
        ck_assert_int_ge(fd, 0);
        sd_bus_close(bus);
        sd_bus_unref(bus);
        while (is_on_the_bus(name))
                ;
        (void)world_available(&w); /* the bus has told cdmd before it asks this */
        ck_assert_int_eq(rename(later, path), 0);
        close(fd);
        /* This one is looked at after that one. */
        ck_assert_int_lt(
                world_request(w.client, "cdm", GIB / 4, &id, 1, CDM_OPTION_UNIT, "s", "train.service"), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        ck_assert_str_eq(world_reservation(&w, all + 1, "State"), "");
}
END_TEST

START_TEST(a_lower_priority_is_displaced)
{
        uint32_t id;

        world_put(&w, "/etc/cdm/cdmd.conf", "[Reservations]\nGracePeriod=1s\n");
        world_set_policy(&w, policy_preempt);
        uint64_t all = world_available(&w);
        uint32_t big = must_ask(w.client, "db.service", all - GIB, 1, 0);
        uint32_t small = must_ask(w.client, "db.service", GIB, 1, 0);
        /* of the same priority: nobody moves */
        ck_assert_int_lt(ask(w.client, "train.service", GIB, 1, 0, &id), 0);
        ck_assert_str_eq(world_error, CDM_ERROR_FULL);
        is_state(small, "active");
        /* as few bytes as needed */
        id = must_ask(w.client, "train.service", GIB, 2, 0);
        is_state(id, "queued");
        is_state(small, "revoking");
        is_state(big, "active");
        ck_assert_int_lt(renew(small, 0), 0);
        world_wait_event(&w, "draining", small);
        ck_assert_ptr_nonnull(strstr(world_reason, "of higher priority displaced it"));
        world_wait_event(&w, "granted", id);
        is_state(id, "active");
        is_state(small, "");
        is_state(big, "active");
        /* what would not fit anyway displaces nobody */
        ck_assert_int_lt(ask(w.client, "train.service", 1000 * GIB, 9, 0, &id), 0);
        is_state(big, "active");
}
END_TEST

START_TEST(who_is_not_needed_any_more_stays)
{
        world_put(&w, "/etc/cdm/cdmd.conf", "[Reservations]\nGracePeriod=1h\n");
        world_set_policy(&w, policy_preempt);
        sd_bus *other = world_connect(&w, geteuid());
        uint64_t all = world_available(&w);
        uint32_t first = must_ask(w.client, "db.service", all - GIB, 1, 0);
        uint32_t second = must_ask(w.client, "db.service", GIB, 5, 0);
        uint32_t id = must_ask(other, "train.service", GIB, 2, 0);

        is_state(first, "revoking");
        /* its client goes */
        sd_bus_flush_close_unref(other);
        world_wait_event(&w, "dequeued", id);
        is_state(first, "active");
        /* there is room for it elsewhere, also after a restart */
        id = must_ask(w.client, "train.service", GIB, 2, 0);
        is_state(first, "revoking");
        world_kill_cdmd(&w, SIGKILL);
        world_start_cdmd(&w);
        is_state(first, "revoking");
        is_state(id, "queued");
        ck_assert_int_eq(world_release(w.client, second), 0);
        world_wait_event(&w, "granted", id);
        is_state(first, "active");
}
END_TEST

/* Counts the events of that kind until n have come, and how often cdmd answers a Ping meanwhile. */
static unsigned pings_during(sd_bus *bus, const char *kind, unsigned n)
{
        sd_bus *other = world_connect(&w, geteuid());
        unsigned n_pings = 0;

        for (unsigned seen = 0; seen < n;) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                const char *k;
                uint32_t id;

                int r = sd_bus_process(bus, &m);
                ck_assert_int_ge(r, 0);
                if (r > 0 && m && sd_bus_message_is_signal(m, CDM_INTERFACE_MANAGER, "Event")) {
                        ck_assert_int_ge(sd_bus_message_read(m, "su", &k, &id), 0);
                        seen += strcmp(k, kind) == 0;
                } else if (r == 0 && seen == 0) {
                        ck_assert_int_ge(sd_bus_wait(bus, UINT64_MAX), 0);
                } else if (r == 0) {
                        ck_assert_int_ge(sd_bus_call_method(other, CDM_BUS_NAME, CDM_PATH,
                                                            "org.freedesktop.DBus.Peer", "Ping", NULL, NULL,
                                                            NULL),
                                         0);
                        n_pings++;
                }
        }
        sd_bus_flush_close_unref(other);
        return n_pings;
}

/* Others are answered meanwhile. A client that the machine does not let run sees all events at once: so it is
 * tried a few times. */
START_TEST(hundreds_are_displaced_and_stay)
{
        enum { N = 250 };
        unsigned n_pings = 0;

        world_put(&w, "/etc/cdm/cdmd.conf", "[Reservations]\nGracePeriod=1h\n");
        world_set_policy(&w, policy_preempt);
        world_kill_cdmd(&w, SIGTERM);
        world_put_reservations(&w, 1, N, N);
        world_start_cdmd(&w);
        for (unsigned i = 0; i < 20 && n_pings <= 8; i++) {
                sd_bus *other = world_connect(&w, geteuid());
                uint32_t id = must_ask(other, "train.service", world_available(&w) + N * BULK_BYTES, 1, 0);
                n_pings = pings_during(w.client, "revoking", N);
                is_state(id, "queued");
                is_state(1, "revoking");
                is_state(N, "revoking");
                /* its client goes */
                sd_bus_flush_close_unref(other);
                world_wait_event(&w, "dequeued", id);
                is_state(1, "active");
                is_state(N, "active");
        }
        ck_assert_uint_gt(n_pings, 8);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("queue");
        TCase *t = tcase_create("queue"), *gone = tcase_create("gone");

        /* No time limit: a slow machine is no failure. */
        tcase_set_timeout(t, 0);
        tcase_add_checked_fixture(gone, start, stop);
        tcase_add_test(gone, who_left_before_is_not_queued);
        suite_add_tcase(s, gone);
        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, a_lease_is_warned_of_and_ends);
        tcase_add_test(t, a_renewal_keeps_what_is_revoked);
        tcase_add_test(t, a_renewal_that_cannot_be_stored_fails);
        tcase_add_test(t, a_lease_survives_a_kill);
        tcase_add_test(t, a_lease_that_ended_meanwhile_is_warned_of_first);
        tcase_add_test(t, one_that_waits_is_granted_when_there_is_room);
        tcase_add_test(t, nobody_overtakes);
        tcase_add_test(t, a_unit_that_waits_keeps_its_ordinary_nodes);
        tcase_add_test(t, who_waits_for_a_quota_is_in_nobodys_way);
        tcase_add_test(t, waiting_ends);
        tcase_add_test(t, the_queue_has_an_end);
        tcase_add_test(t, a_long_queue_is_served_to_its_end);
        tcase_add_test(t, the_queue_survives_a_kill);
        tcase_add_test(t, a_lower_priority_is_displaced);
        tcase_add_test(t, who_is_not_needed_any_more_stays);
        tcase_add_test(t, hundreds_are_displaced_and_stay);
        suite_add_tcase(s, t);
        return check_main(s);
}
