/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>

#include "daemon/machine/topology-device.h"
#include "daemon/machine/topology-read.h"
#include "tests/unit/check-main.h"
#include "tests/unit/tree.h"

#define NODE "sys/devices/system/node/"
#define GIB  (UINT64_C(1) << 30)

static Topology *read_machine(const char *name)
{
        Topology *t = NULL;
        char *root = NULL;

        ck_assert_int_ge(asprintf(&root, "%s/machine/%s", TEST_DATA_DIR, name), 0);
        ck_assert_int_eq(topology_read(root, &t), 0);
        free(root);
        return t;
}

static void assert_list(NodeSet set, const char *list)
{
        char buf[NODESET_STR_MAX];

        ck_assert_str_eq(nodeset_format(&set, buf), list);
}

/* A tree with one node, to which each test does one nasty thing. */
static char *one_node(void)
{
        char *root = tree_new();

        tree_write(root, NODE "online", "0\n");
        tree_write(root, NODE "has_memory", "0\n");
        tree_write(root, NODE "has_cpu", "\n");
        tree_write(root, NODE "node0/meminfo", "Node 0 MemTotal: 1024 kB\nNode 0 MemFree: 512 kB\n");
        tree_write(root, NODE "node0/cpulist", "\n");
        tree_write(root, NODE "node0/distance", "10\n");
        return root;
}

static Topology *read_tree(const char *root)
{
        Topology *t = NULL;

        ck_assert_int_eq(topology_read(root, &t), 0);
        return t;
}

START_TEST(hbm_machine_is_read_in_full)
{
        _cleanup_(topology_free_p) Topology *t = read_machine("hbm4");
        const Node *n = topology_find(t, 2);

        ck_assert_uint_eq(t->n_nodes, 4);
        assert_list(topology_memory_nodes(t), "0-3");
        assert_list(topology_cpu_nodes(t), "0-1");
        ck_assert_uint_eq(n->size_bytes, 2 * GIB);
        ck_assert_uint_eq(n->free_bytes, 2 * GIB);
        ck_assert_uint_eq(n->read_bandwidth_mbps, 800000);
        ck_assert_uint_eq(n->read_latency_ns, 130);
        assert_list(n->initiators, "0");
        ck_assert_int_eq(n->tier, 1);
        ck_assert_int_eq(topology_find(t, 0)->tier, 4);
        ck_assert(n->dax && n->online && !n->has_cpu);
        ck_assert_str_eq(n->device, "dax2.0");
        ck_assert_ptr_null(topology_find(t, 0)->device);
        ck_assert_uint_eq(topology_distance(t, 2, 3), 28);
        ck_assert(!t->demotion_enabled && !t->numa_balancing);
        ck_assert_ptr_null(t->cdmm);
}
END_TEST

/* Some tools that copy sysfs write a NUL byte at the end of each file. */
START_TEST(files_that_end_in_nul)
{
        _cleanup_(topology_free_p) Topology *t = read_machine("nul"), *as = read_machine("hbm4");

        ck_assert_uint_eq(t->n_nodes, as->n_nodes);
        ck_assert(nodeset_equal(&t->possible, &as->possible));
        ck_assert_uint_eq(t->kernel_major, as->kernel_major);
        ck_assert_int_eq(t->demotion_enabled, as->demotion_enabled);
        ck_assert_int_eq(t->numa_balancing, as->numa_balancing);
        ck_assert_str_eq(t->auto_online, as->auto_online);
        ck_assert_ptr_null(t->unread);
        for (size_t i = 0; i < t->n_nodes; i++) {
                const Node *a = &t->nodes[i], *b = &as->nodes[i];

                ck_assert_int_eq(a->id, b->id);
                ck_assert_int_eq(a->has_cpu, b->has_cpu);
                ck_assert_int_eq(a->online, b->online);
                ck_assert_uint_eq(a->size_bytes, b->size_bytes);
                ck_assert_uint_eq(a->free_bytes, b->free_bytes);
                ck_assert_uint_eq(a->read_bandwidth_mbps, b->read_bandwidth_mbps);
                ck_assert_uint_eq(a->read_latency_ns, b->read_latency_ns);
                ck_assert_int_eq(a->tier, b->tier);
                ck_assert(nodeset_equal(&a->initiators, &b->initiators));
                ck_assert_mem_eq(a->distance, b->distance, t->n_nodes * sizeof(*a->distance));
        }
}
END_TEST

START_TEST(machine_without_cdm_has_only_cpu_nodes)
{
        _cleanup_(topology_free_p) Topology *t = read_machine("plain");

        assert_list(topology_memory_nodes(t), "0-1");
        assert_list(topology_cpu_nodes(t), "0-1");
        ck_assert(t->numa_balancing);
        ck_assert_int_eq(topology_find(t, 0)->tier, TIER_UNKNOWN);
        ck_assert_uint_eq(topology_find(t, 0)->read_bandwidth_mbps, 0);
}
END_TEST

START_TEST(sparse_numbers_and_empty_nodes)
{
        _cleanup_(topology_free_p) Topology *t = read_machine("sparse");

        ck_assert_uint_eq(t->n_nodes, 6);
        ck_assert_ptr_null(topology_find(t, 0));
        ck_assert_ptr_null(topology_find(t, 3));
        assert_list(topology_memory_nodes(t), "1-2,34");
        /* 2: its CPUs are offline, but it has them. 36: CPUs without memory. */
        ck_assert(topology_find(t, 2)->has_cpu && topology_find(t, 36)->has_cpu);
        ck_assert(!topology_find(t, 4)->has_cpu);
        ck_assert_uint_eq(topology_find(t, 4)->size_bytes, 0);
        ck_assert_uint_eq(topology_distance(t, 1, 34), 17);
        ck_assert_uint_eq(topology_distance(t, 34, 2), 28);
        /* only access0 is there */
        ck_assert_uint_eq(topology_find(t, 34)->read_bandwidth_mbps, 60000);
        assert_list(topology_find(t, 34)->initiators, "1");
        ck_assert(topology_find(t, 34)->dax);
        /* a dax device that kmem does not drive is no memory */
        ck_assert(!topology_find(t, 5)->dax);
        ck_assert(t->demotion_enabled);
}
END_TEST

START_TEST(garbled_attributes_are_unknown_one_by_one)
{
        _cleanup_(topology_free_p) Topology *t = read_machine("garbled");
        const Node *n = topology_find(t, 2);

        ck_assert_uint_eq(t->n_nodes, 4);
        assert_list(topology_memory_nodes(t), "0,2");
        ck_assert_uint_eq(n->size_bytes, 2 * GIB);
        ck_assert_uint_eq(n->read_bandwidth_mbps, 0);
        ck_assert_uint_eq(n->read_latency_ns, 120);
        ck_assert(nodeset_is_empty(&n->initiators));
        ck_assert_ptr_null(n->distance);
        ck_assert_ptr_null(topology_find(t, 3)->distance);
        ck_assert_ptr_null(topology_find(t, 1)->distance);
        ck_assert_ptr_nonnull(topology_find(t, 0)->distance);
        ck_assert_int_eq(n->tier, TIER_UNKNOWN);
        ck_assert_ptr_null(n->device);
        ck_assert(!t->demotion_enabled && !t->numa_balancing);
}
END_TEST

/* A GPU's memory is the node that the driver says. */
START_TEST(coherent_gpus)
{
        _cleanup_(topology_free_p) Topology *t = read_machine("coherent");

        ck_assert_str_eq(topology_find(t, 2)->device, "0009:01:00.0");
        ck_assert_str_eq(topology_find(t, 3)->device, "0019:01:00.0");
        ck_assert_ptr_null(topology_find(t, 0)->device);
        ck_assert(!topology_find(t, 2)->dax);
        ck_assert(t->gpu_numa && t->gpu_needs_movable && !t->cdmm);
        ck_assert_str_eq(t->auto_online, "online");
        ck_assert_uint_eq(t->kernel_major, 6);
        ck_assert_uint_eq(t->kernel_minor, 8);
}
END_TEST

/* Through the dax device to the region to its memdev; and through the first memory block of a region that
 * firmware put online. */
START_TEST(cxl_memory)
{
        _cleanup_(topology_free_p) Topology *t = read_machine("cxl");

        ck_assert_str_eq(topology_find(t, 2)->device, "mem0");
        ck_assert_str_eq(topology_find(t, 3)->device, "region1"); /* mem1 and mem2 interleaved */
        ck_assert_str_eq(topology_find(t, 4)->device, "mem3");
        ck_assert(topology_find(t, 2)->dax && topology_find(t, 3)->dax && !topology_find(t, 4)->dax);
        ck_assert_ptr_null(topology_find(t, 1)->device);
        ck_assert(t->demotion_enabled && t->numa_balancing);
        ck_assert_str_eq(t->auto_online, "online_movable");
        ck_assert_uint_eq(t->kernel_major, 6);
        ck_assert_uint_eq(t->kernel_minor, 1);
        ck_assert_uint_eq(topology_find(t, 0)->hugetlb_bytes, 128 << 20);
        ck_assert_uint_eq(topology_find(t, 2)->hugetlb_bytes, 16 << 20);
        ck_assert_uint_eq(topology_find(t, 3)->hugetlb_bytes, 0);
        ck_assert(!t->gpu_numa && !t->gpu_needs_movable);
}
END_TEST

START_TEST(cdmm_mode)
{
        static const struct {
                const char *params;
                const char *cdmm;
        } cases[] = {
                { "EnableUserNUMAManagement: 0\nCoherentGPUMemoryMode: \"driver\"\n",
                  "CoherentGPUMemoryMode=driver" },
                /* what a driver since R615 makes of no preference */
                { "EnableUserNUMAManagement: 0\nCoherentGPUMemoryMode: \"\"\n",
                  "EnableUserNUMAManagement=0" },
                { "EnableUserNUMAManagement: 1\nCoherentGPUMemoryMode: \"numa\"\n", NULL },
                { "EnableUserNUMAManagement: 1\n", NULL },
                { "NotEnableUserNUMAManagement: 0\n", NULL },
                { "CoherentGPUMemoryMode: \"driver", "CoherentGPUMemoryMode=driver" },
                { "CoherentGPUMemoryMode: \"drivers-and-all-that-follows-in-a-very-long-line\"\n", NULL },
                { "CoherentGPUMemoryMode", NULL },
                { "", NULL },
        };
        _cleanup_(topology_free_p) Topology *machine = read_machine("cdmm");

        ck_assert_str_eq(machine->cdmm, "CoherentGPUMemoryMode=driver");
        ck_assert(!machine->gpu_numa && !machine->gpu_needs_movable);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(topology_free_p) Topology *t = NULL, *without = NULL;
                char *root = one_node();

                tree_write(root, "proc/driver/nvidia/params", cases[i].params);
                without = read_tree(root);
                ck_assert_ptr_null(without->cdmm); /* there is no GPU */
                tree_write(root, "proc/driver/nvidia/gpus/0009:01:00.0/information", "Model: x\n");
                t = read_tree(root);
                ck_assert_pstr_eq(t->cdmm, cases[i].cdmm);
                tree_write(root, "proc/driver/nvidia/gpus/0009:01:00.0/numa_status",
                           "Node:      0\nStatus:    online\n");
                ck_assert_int_eq(topology_read_facts(root, t), 0);
                ck_assert_ptr_null(t->cdmm); /* the driver says that it is a node */
                tree_remove(root);
        }
}
END_TEST

/* A driver without the parameter needs nothing while all is online (POWER9 has another way). */
START_TEST(who_needs_online_movable)
{
        _cleanup_(topology_free_p) Topology *t = NULL;
        char *root = one_node();

        tree_write(root, "proc/driver/nvidia/params", "EnableMSI: 1\n");
        tree_write(root, "proc/driver/nvidia/gpus/0009:01:00.0/numa_status",
                   "Node:      0\nStatus:    online\n");
        tree_write(root, "sys/devices/system/memory/auto_online_blocks", "online_and_something_longer\n");
        t = read_tree(root);
        ck_assert(t->gpu_numa && !t->gpu_needs_movable);
        ck_assert_str_eq(t->auto_online, "");
        tree_write(root, "proc/driver/nvidia/gpus/0009:01:00.0/numa_status",
                   "Node:      -1\nStatus:    offline\n");
        ck_assert_int_eq(topology_read_facts(root, t), 0);
        ck_assert(t->gpu_numa && t->gpu_needs_movable);
        tree_remove(root);
}
END_TEST

START_TEST(facts_are_read_again)
{
        _cleanup_(topology_free_p) Topology *t = NULL;
        uint64_t all = 1, unused = 1;
        char *root = one_node();

        t = read_tree(root);
        ck_assert_uint_eq(t->kernel_major, 0);
        tree_write(root, "proc/sys/kernel/osrelease", "6.16.0-rc1\n");
        tree_write(root, "sys/kernel/mm/numa/demotion_enabled", "true\n");
        tree_write(root, NODE "node0/hugepages/hugepages-2048kB/nr_hugepages", "3\n");
        tree_write(root, NODE "node0/hugepages/hugepages-2048kB/free_hugepages", "1\n");
        tree_write(root, NODE "node0/hugepages/hugepages-1048576kB/nr_hugepages", "1\n");
        tree_write(root, NODE "node0/hugepages/hugepages-18446744073709551615kB/nr_hugepages", "1\n");
        tree_write(root, NODE "node0/hugepages/hugepages-64kBx/nr_hugepages", "1\n");
        ck_assert_int_eq(topology_read_facts(root, t), 0);
        ck_assert_uint_eq(t->kernel_major * 100 + t->kernel_minor, 616);
        ck_assert(t->demotion_enabled);
        ck_assert_uint_eq(t->nodes[0].hugetlb_bytes, (6 << 20) + GIB);
        ck_assert_int_eq(topology_read_hugetlb(root, 0, &all, &unused), 0);
        ck_assert(all == (6 << 20) + GIB && unused == 2 << 20);
        ck_assert_int_eq(topology_read_hugetlb(root, 7, &all, &unused), 0);
        ck_assert(all == 0 && unused == 0);
        tree_write(root, "sys/kernel/mm/numa/demotion_enabled", "false\n");
        tree_write(root, "proc/sys/kernel/osrelease", "what?\n");
        ck_assert_int_eq(topology_read_facts(root, t), 0);
        ck_assert(!t->demotion_enabled && t->kernel_major == 0);
        tree_remove(root);
}
END_TEST

static void expect_near(const char *machine, const char *pci, int error, const char *list)
{
        _cleanup_(topology_free_p) Topology *t = read_machine(machine);
        NodeSet nodes = NODESET_EMPTY;
        char *root = NULL;

        ck_assert_int_ge(asprintf(&root, "%s/machine/%s", TEST_DATA_DIR, machine), 0);
        ck_assert_msg(topology_read_near(root, t, pci, &nodes) == error, "%s", pci);
        assert_list(nodes, list);
        free(root);
}

START_TEST(near_a_device)
{
        /* a device's own memory before the node that it hangs on */
        expect_near("coherent", "0009:01:00.0", 0, "2");
        expect_near("coherent", "0019:01:00.0", 0, "3");
        expect_near("coherent", "0000:65:00.0", 0, "1");
        expect_near("coherent", "65:00.0", 0, "1");
        expect_near("coherent", "0000:66:00.0", 0, ""); /* firmware does not say */
        expect_near("cxl", "0000:0d:00.0", 0, "2");
        expect_near("cxl", "0D:00.0", 0, "2");
        expect_near("cxl", "3d:00.0", 0, "4");
        expect_near("cxl", "1d:00.0", 0, "1"); /* one of two that are interleaved */
        expect_near("coherent", "0000:67:00.0", -ENOENT, "");
        expect_near("coherent", "0000:65:00", -EINVAL, "");
        expect_near("coherent", "65:00.00", -EINVAL, "");
        expect_near("coherent", "../../65:00.", -EINVAL, "");
        expect_near("coherent", "0000/65:00.0", -EINVAL, "");
        expect_near("coherent", "", -EINVAL, "");
        expect_near("coherent", "0000:65:00.0 ", -EINVAL, "");
}
END_TEST

/* A link of the copied machine never leads to this one. */
START_TEST(links_stay_below_the_root)
{
        _cleanup_(topology_free_p) Topology *t = NULL, *outside = NULL;
        char *root = one_node(), *secret = tree_new(), *target = NULL, *up = NULL;

        tree_write(secret, "latency", "77\n");
        tree_write(root, "elsewhere/nodes/online", "0\n");
        tree_write(root, "elsewhere/latency", "55\n");
        tree_symlink(root, NODE "node0/access1/initiators/read_latency", "/elsewhere/latency");
        t = read_tree(root);
        ck_assert_uint_eq(t->nodes[0].read_latency_ns, 55);
        ck_assert_int_ge(asprintf(&target, "%s/latency", secret), 0);
        tree_symlink(root, NODE "node0/access1/initiators/read_bandwidth", target);
        ck_assert_int_ge(asprintf(&up, "../../../../../../../../../../../../..%s", target), 0);
        tree_symlink(root, "proc/sys/kernel/numa_balancing", up);
        outside = read_tree(root);
        ck_assert_uint_eq(outside->nodes[0].read_bandwidth_mbps, 0);
        ck_assert(!outside->numa_balancing);
        free(target);
        free(up);
        tree_remove(secret);
        tree_remove(root);
}
END_TEST

START_TEST(node_list_decides_whether_there_is_a_topology)
{
        static const struct {
                const char *online;
                int error;
        } cases[] = {
                { "0\n", 0 },         { "", -EIO },      { "\n", -EIO },   { "0-", -EIO },
                { "zero\n", -EIO },   { "1-0\n", -EIO }, { "-1\n", -EIO }, { "0-4294967296\n", -EIO },
                { "0,1024\n", -EIO },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(topology_free_p) Topology *t = NULL;
                char *root = one_node();

                tree_write(root, NODE "online", cases[i].online);
                ck_assert_msg(topology_read(root, &t) == cases[i].error, "online '%s'", cases[i].online);
                ck_assert((t != NULL) == (cases[i].error == 0));
                tree_remove(root);
        }
}
END_TEST

static void expect_explained(const char *root, const char *part)
{
        _cleanup_free_ char *error = NULL;
        Topology *t = NULL;

        ck_assert_int_lt(topology_read_explained(root, &t, &error), 0);
        ck_assert_ptr_null(t);
        ck_assert_msg(error && strstr(error, part), "%s", error);
}

static void remove_file(const char *root, const char *path)
{
        _cleanup_free_ char *full = NULL;

        ck_assert_int_ge(asprintf(&full, "%s/%s", root, path), 0);
        ck_assert_int_eq(remove(full), 0);
}

/* What is wrong, where, and what to do. */
START_TEST(what_is_wrong_with_the_list_is_said)
{
        _cleanup_free_ char *big = calloc(1, 1 << 20);
        char *root = one_node();

        memset(big, '0', 1 << 20);
        tree_write(root, NODE "online", "zero\n");
        expect_explained(root, "/" NODE "online is not a list of nodes; write");
        tree_write(root, NODE "online", "");
        expect_explained(root, "/" NODE "online is empty");
        tree_write_bytes(root, NODE "online", "0\0001\n", 4);
        expect_explained(root, "/" NODE "online holds binary data");
        tree_write_bytes(root, NODE "online", big, 1 << 20);
        expect_explained(root, "/" NODE "online is longer than any attribute");
        remove_file(root, NODE "online");
        tree_symlink(root, NODE "online", "online");
        expect_explained(root, "/" NODE "online is a link that leads in a circle");
        remove_file(root, NODE "online");
        tree_write(root, NODE "online/x", "");
        expect_explained(root, "/" NODE "online is not a regular file");
        tree_remove(root);

        root = tree_new();
        expect_explained(root, "sys/devices/system/node does not exist: the kernel has no NUMA support");
        tree_write(root, NODE "has_cpu", "0\n");
        expect_explained(root, "has neither the file `online` nor a folder nodeN");
        tree_remove(root);
        expect_explained("/nonexistent-root", "/nonexistent-root does not exist");
}
END_TEST

/* The others are read. Nothing of it is taken for a pool, whatever else is known of it. */
START_TEST(a_node_that_cannot_be_read_is_named)
{
        static const struct {
                const char *meminfo, *part;
        } cases[] = {
                { "", "node3/meminfo has no line \"MemTotal: NUMBER kB\"" },
                { "\1\2\3", "node3/meminfo has no line" },
                { NULL, "node3/meminfo does not exist" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(topology_free_p) Topology *t = NULL;
                char *root = one_node();

                tree_write(root, NODE "online", "0,3,7");
                remove_file(root, NODE "has_memory");
                tree_write(root, NODE "has_cpu", "0");
                tree_write(root, NODE "node7/meminfo", "Node 7 MemTotal: 2048 kB");
                tree_write(root, NODE "node7/cpulist", "\n");
                if (cases[i].meminfo)
                        tree_write(root, NODE "node3/meminfo", cases[i].meminfo);
                t = read_tree(root);
                ck_assert_uint_eq(t->n_nodes, 3);
                ck_assert_uint_eq(topology_find(t, 3)->size_bytes, 0);
                assert_list(topology_memory_nodes(t), "0,7");
                ck_assert(!topology_find(t, 7)->has_cpu && topology_find(t, 0)->has_cpu);
                ck_assert_ptr_nonnull(t->unread);
                ck_assert_msg(strstr(t->unread, cases[i].part) != NULL, "%s", t->unread);
                ck_assert_ptr_null(strchr(t->unread, '\n'));
                tree_remove(root);
        }
}
END_TEST

START_TEST(no_sysfs_is_enoent_and_no_list_is_replaced_by_the_folders)
{
        char *empty = tree_new(), *root = one_node(), *online = NULL;
        Topology *t = NULL;

        ck_assert_int_eq(topology_read(empty, &t), -ENOENT);
        ck_assert_int_eq(topology_read("/nonexistent-root", &t), -ENOENT);
        ck_assert_ptr_null(t);
        ck_assert_int_ge(asprintf(&online, "%s/" NODE "online", root), 0);
        ck_assert_int_eq(unlink(online), 0);
        tree_write(root, NODE "node12/cpulist", "3\n");
        t = read_tree(root);
        ck_assert_uint_eq(t->n_nodes, 2);
        ck_assert_ptr_nonnull(topology_find(t, 12));
        topology_free(t);
        free(online);
        tree_remove(root);
        tree_remove(empty);
}
END_TEST

START_TEST(binary_over_long_and_special_files)
{
        _cleanup_free_ char *big = calloc(1, 1 << 20);
        char *root = one_node(), *fifo = NULL;
        _cleanup_(topology_free_p) Topology *t = NULL;

        memset(big, '1', 1 << 20);
        tree_write_bytes(root, NODE "node0/distance", big, 1 << 20);
        tree_write_bytes(root, NODE "node0/access1/initiators/read_latency", "12\0 34\n", 7);
        tree_write_bytes(root, NODE "node0/access1/initiators/read_bandwidth", big, 4096);
        tree_write(root, "sys/devices/virtual/memory_tiering/memory_tier5/nodelist/oops", "a folder\n");
        tree_write(root, "sys/bus/dax/drivers/kmem/dax\033[31m", "");
        tree_write(root, "sys/bus/dax/devices/dax\033[31m/target_node", "0\n");
        ck_assert_int_ge(asprintf(&fifo, "%s/proc/sys/kernel/numa_balancing", root), 0);
        free(tree_make_parents(root, "proc/sys/kernel/numa_balancing"));
        ck_assert_int_eq(mkfifo(fifo, 0600), 0);
        t = read_tree(root);
        ck_assert_ptr_null(t->nodes[0].distance);
        ck_assert_uint_eq(t->nodes[0].read_latency_ns, 0);
        ck_assert_uint_eq(t->nodes[0].read_bandwidth_mbps, 0);
        ck_assert_int_eq(t->nodes[0].tier, TIER_UNKNOWN);
        ck_assert_ptr_null(t->nodes[0].device);
        ck_assert(!t->numa_balancing);
        free(fifo);
        tree_remove(root);
}
END_TEST

START_TEST(sizes_that_cannot_be)
{
        static const char *const bad[] = {
                "Node 0 MemTotal: 99999999999999999999 kB\n",
                "Node 0 MemTotal: 18014398509481984 kB\n",
                "Node 0 MemTotal: -1 kB\n",
                "Node 0 MemTotal: kB\n",
                "Node 0 MemTotal: 1024\n",
                "Node 0 MemTot",
                "",
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                char *root = one_node();
                _cleanup_(topology_free_p) Topology *t = NULL;

                tree_write(root, NODE "node0/meminfo", bad[i]);
                t = read_tree(root);
                ck_assert_msg(t->nodes[0].size_bytes == 0, "meminfo '%s'", bad[i]);
                tree_remove(root);
        }
}
END_TEST

START_TEST(a_node_whose_cpus_are_unknown_is_left_alone)
{
        char *root = one_node(), *path = NULL;
        _cleanup_(topology_free_p) Topology *t = NULL, *u = NULL, *v = NULL, *w = NULL, *x = NULL;

        t = read_tree(root);
        ck_assert(!t->nodes[0].has_cpu);
        tree_write(root, NODE "has_cpu", "garbage\n");
        u = read_tree(root);
        ck_assert(!u->nodes[0].has_cpu); /* cpulist says so */
        ck_assert_int_ge(asprintf(&path, "%s/" NODE "node0/cpulist", root), 0);
        ck_assert_int_eq(unlink(path), 0);
        v = read_tree(root);
        ck_assert(v->nodes[0].has_cpu);
        /* Without a byte, or with no CPU on the whole machine, they say nothing. */
        tree_write(root, NODE "has_cpu", "");
        tree_write(root, NODE "node0/cpulist", "");
        w = read_tree(root);
        ck_assert(w->nodes[0].has_cpu);
        tree_write(root, NODE "has_cpu", "\n");
        x = read_tree(root);
        ck_assert(x->nodes[0].has_cpu);
        free(path);
        tree_remove(root);
}
END_TEST

START_TEST(meminfo_of_one_node)
{
        uint64_t size = 1, avail = 1;
        char *root = one_node();

        ck_assert_int_eq(topology_read_meminfo(root, 7, &size, &avail), -ENOENT);
        ck_assert(size == 1 && avail == 1);
        ck_assert_int_eq(topology_read_meminfo(root, 0, &size, &avail), 0);
        ck_assert_uint_eq(size, 1024 * 1024);
        ck_assert_uint_eq(avail, 512 * 1024);
        tree_write(root, NODE "node0/meminfo", "Node 0 MemTotal: 1024 kB\nNode 0 MemFree: 4096 kB\n");
        ck_assert_int_eq(topology_read_meminfo(root, 0, &size, &avail), 0);
        ck_assert_uint_eq(avail, size); /* never more free than there is */
        tree_remove(root);
}
END_TEST

START_TEST(this_machine_can_be_read)
{
        _cleanup_(topology_free_p) Topology *t = NULL;

        if (access("/sys/devices/system/node/online", R_OK) < 0) {
                fprintf(stderr, "skipped: no NUMA nodes in this machine's sysfs\n");
                return;
        }
        ck_assert_int_eq(topology_read("", &t), 0);
        ck_assert_uint_gt(t->n_nodes, 0);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("topology-read");
        TCase *c = tcase_create("read");

        tcase_add_test(c, hbm_machine_is_read_in_full);
        tcase_add_test(c, files_that_end_in_nul);
        tcase_add_test(c, machine_without_cdm_has_only_cpu_nodes);
        tcase_add_test(c, sparse_numbers_and_empty_nodes);
        tcase_add_test(c, garbled_attributes_are_unknown_one_by_one);
        tcase_add_test(c, coherent_gpus);
        tcase_add_test(c, cxl_memory);
        tcase_add_test(c, cdmm_mode);
        tcase_add_test(c, who_needs_online_movable);
        tcase_add_test(c, facts_are_read_again);
        tcase_add_test(c, near_a_device);
        tcase_add_test(c, links_stay_below_the_root);
        tcase_add_test(c, node_list_decides_whether_there_is_a_topology);
        tcase_add_test(c, what_is_wrong_with_the_list_is_said);
        tcase_add_test(c, a_node_that_cannot_be_read_is_named);
        tcase_add_test(c, no_sysfs_is_enoent_and_no_list_is_replaced_by_the_folders);
        tcase_add_test(c, binary_over_long_and_special_files);
        tcase_add_test(c, sizes_that_cannot_be);
        tcase_add_test(c, a_node_whose_cpus_are_unknown_is_left_alone);
        tcase_add_test(c, meminfo_of_one_node);
        tcase_add_test(c, this_machine_can_be_read);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        return check_main(suite());
}
