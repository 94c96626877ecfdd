/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Nodes that come and go by themselves, as udev tells of them: no reload. What a virtual machine cannot show
 * is here: memory of a DAX device, whose driver is unloaded again, and a node that comes with CPUs. */

#include <stdio.h>

#include "build-config.h"

#if !defined(HAVE_UMOCKDEV)

int main(void)
{
        puts("skipped: built without umockdev (install libumockdev-dev and umockdev)");
        return 77;
}

#else

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <umockdev.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

#define NODE       "/sys/devices/system/node/"
#define PRELOAD    "libumockdev-preload.so.0"

static World w;
static UMockdevTestbed *testbed;
static char *node_device, *memory_device;

static void start(void)
{
        testbed = umockdev_testbed_new();
        node_device = umockdev_testbed_add_device(testbed, "node", "node4", NULL, NULL, NULL);
        memory_device = umockdev_testbed_add_device(testbed, "memory", "memory32", NULL, NULL, NULL);
        ck_assert(node_device && memory_device);
        world_start(&w);
}

static void stop(void)
{
        world_stop(&w);
        g_free(node_device);
        g_free(memory_device);
        g_object_unref(testbed);
}

static void put_lists(const char *online, const char *has_memory, const char *has_cpu)
{
        world_put(&w, NODE "online", online);
        world_put(&w, NODE "possible", "0-4\n");
        world_put(&w, NODE "has_memory", has_memory);
        world_put(&w, NODE "has_cpu", has_cpu);
}

static void add_node4(const char *cpulist)
{
        world_put(&w, NODE "node4/meminfo", "Node 4 MemTotal: 2097152 kB\nNode 4 MemFree: 2097152 kB\n");
        world_put(&w, NODE "node4/cpulist", cpulist);
        put_lists("0-4\n", "0-4\n", *cpulist == '\n' ? "0-1\n" : "0-1,4\n");
        umockdev_testbed_uevent(testbed, node_device, "add");
        umockdev_testbed_uevent(testbed, memory_device, "online");
}

static uint32_t grant_on_4(void)
{
        uint32_t id = 0;
        int r = world_request(w.client, "cdm", GIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                              CDM_OPTION_NODES, "s", "4");

        ck_assert_msg(r == 0, "%s: %s", world_error, world_message);
        return id;
}

#define MEMS(unit) "/sys/fs/cgroup/system.slice/" unit "/cpuset.mems"

START_TEST(dax_memory_comes_and_its_driver_goes)
{
        world_put(&w, "/sys/bus/dax/drivers/kmem/dax0.0/.keep", "");
        world_put(&w, "/sys/bus/dax/devices/dax0.0/target_node", "4\n");
        add_node4("\n");
        world_wait_event(&w, "node-online", 0);
        uint32_t id = grant_on_4();
        ck_assert_str_eq(world_get(&w, MEMS("db.service")), "0-1,4");
        ck_assert_str_eq(world_get(&w, MEMS("train.service")), "0-1");
        /* daxctl offlines its blocks one by one, then the driver lets go, and the node is gone. */
        put_lists("0-4\n", "0-3\n", "0-1\n");
        for (int i = 0; i < 8; i++)
                umockdev_testbed_uevent(testbed, memory_device, "offline");
        world_wait_event(&w, "degraded", id);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "degraded");
        put_lists("0-3\n", "0-3\n", "0-1\n");
        umockdev_testbed_uevent(testbed, memory_device, "remove");
        umockdev_testbed_uevent(testbed, node_device, "remove");
        /* And is loaded again. */
        add_node4("\n");
        world_wait_event(&w, "restored", id);
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        ck_assert_str_eq(world_get(&w, MEMS("db.service")), "0-1,4");
}
END_TEST

/* More than half of the memory comes without CPUs. */
static void add_much(void)
{
        world_put(&w, NODE "node4/meminfo", "Node 4 MemTotal: 20971520 kB\nNode 4 MemFree: 20971520 kB\n");
        world_put(&w, NODE "node4/cpulist", "\n");
        put_lists("0-4\n", "0-4\n", "0-1\n");
        umockdev_testbed_uevent(testbed, memory_device, "online");
        world_wait_event(&w, "node-online", 0);
}

/* MIG is switched, and a node that was empty until now has memory of the GPU. */
START_TEST(a_gpus_node_that_fills_is_fenced)
{
        world_put(&w, "/proc/driver/nvidia/gpus/0009:01:00.0/numa_status",
                  "Node:      -1\nStatus:    online\n");
        world_put(&w, NODE "has_generic_initiator", "4\n");
        add_much();
        uint32_t id = grant_on_4();
        ck_assert_str_eq(world_get(&w, MEMS("db.service")), "0-1,4");
        ck_assert_str_eq(world_get(&w, MEMS("train.service")), "0-1");
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
}
END_TEST

START_TEST(much_that_nothing_marks_is_everyones)
{
        uint32_t id = 0;

        add_much();
        world_wait_event(&w, "fence-closed", 0);
        world_wait_file(&w, MEMS("train.service"), "0-1,4");
        ck_assert_int_lt(world_request(w.client, "cdm", GIB, &id, 2, CDM_OPTION_UNIT, "s", "db.service",
                                       CDM_OPTION_NODES, "s", "4"),
                         0);
}
END_TEST

START_TEST(a_node_with_cpus_is_everyones)
{
        uint32_t id = 0;

        ck_assert_int_eq(world_request(w.client, "cdm", GIB, &id, 1, CDM_OPTION_UNIT, "s", "db.service"), 0);
        add_node4("8-11\n");
        world_wait_event(&w, "fence-closed", 0);
        world_wait_file(&w, MEMS("train.service"), "0-1,4");
        world_wait_file(&w, MEMS("db.service"), "0-2,4");
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
}
END_TEST

START_TEST(a_driver_that_is_slow_to_come)
{
        /* The node is there, its memory is not yet. */
        put_lists("0-4\n", "0-3\n", "0-1\n");
        world_put(&w, NODE "node4/meminfo", "Node 4 MemTotal: 0 kB\nNode 4 MemFree: 0 kB\n");
        world_put(&w, NODE "node4/cpulist", "\n");
        umockdev_testbed_uevent(testbed, node_device, "add");
        add_node4("\n");
        world_wait_event(&w, "node-online", 0);
        grant_on_4();
}
END_TEST

/* umockdev's library stands between this program, and cdmd, and the kernel. The library of AddressSanitizer must be the
 * first one of all. */
static void preload(void)
{
        const char *libraries = PRELOAD;
#if defined(__SANITIZE_ADDRESS__)
        Dl_info asan;

        if (dladdr(dlsym(RTLD_DEFAULT, "__asan_init"), &asan) != 0 &&
            asprintf((char **)&libraries, "%s " PRELOAD, asan.dli_fname) < 0)
                libraries = PRELOAD;
#endif
        setenv("LD_PRELOAD", libraries, 1);
}

int main(int argc _unused_, char **argv)
{
        Suite *s = suite_create("hotplug");
        TCase *t = tcase_create("hotplug");

        if (!getenv("LD_PRELOAD")) {
                preload();
                execv("/proc/self/exe", argv);
                return EXIT_FAILURE;
        }
        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, dax_memory_comes_and_its_driver_goes);
        tcase_add_test(t, a_gpus_node_that_fills_is_fenced);
        tcase_add_test(t, much_that_nothing_marks_is_everyones);
        tcase_add_test(t, a_node_with_cpus_is_everyones);
        tcase_add_test(t, a_driver_that_is_slow_to_come);
        suite_add_tcase(s, t);
        return check_main(s);
}

#endif
