/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A real machine: POWER9 with six V100s, whose memory is nodes 250-255. A program of its own, because it is
 * skipped where the machine's files are not there. */

#include "daemon/machine/topology-device.h"
#include "daemon/machine/topology-read.h"
#include "policy/facts.h"
#include "tests/unit/check-main.h"
#include "tests/unit/tree.h"

static char *scratch, *root, *fixture;
static Topology *topology;

static void setup(void)
{
        char *command = NULL;

        scratch = tree_new();
        ck_assert_int_ge(asprintf(&command, "tar -xjf '%s' -C '%s'", fixture, scratch), 0);
        ck_assert_int_eq(system(command), 0);
        free(command);
        ck_assert_int_ge(asprintf(&root, "%s/nvidiagpunumanodes", scratch), 0);
        ck_assert_int_eq(topology_read(root, &topology), 0);
}

static void teardown(void)
{
        topology = topology_free(topology);
        free(root);
        tree_remove(scratch);
}

static void assert_list(NodeSet set, const char *list)
{
        char buf[NODESET_STR_MAX];

        ck_assert_str_eq(nodeset_format(&set, buf), list);
}

START_TEST(nodes_belong_to_gpus)
{
        assert_list(topology_memory_nodes(topology), "0,8,250-255");
        assert_list(topology_cpu_nodes(topology), "0,8");
        ck_assert_str_eq(topology_find(topology, 255)->device, "0004:05:00.0");
        ck_assert_str_eq(topology_find(topology, 250)->device, "0035:05:00.0");
        ck_assert_ptr_null(topology_find(topology, 8)->device);
        ck_assert_uint_eq(topology_find(topology, 250)->size_bytes, UINT64_C(15728640) * 1024);
        ck_assert_uint_eq(topology_distance(topology, 0, 8), 40);
        ck_assert_uint_eq(topology_distance(topology, 250, 250), 10);
}
END_TEST

START_TEST(a_gpu_is_nearest_to_its_own_memory)
{
        NodeSet near = NODESET_EMPTY;

        ck_assert_int_eq(topology_read_near(root, topology, "0006:00:00.0", &near), 0);
        assert_list(near, "253");
        ck_assert_int_eq(topology_read_near(root, topology, "0006:00:00.1", &near), -ENOENT);
}
END_TEST

/* Its driver puts memory online by itself: auto_online_blocks is not in the way. */
START_TEST(nothing_to_complain_of_the_gpus)
{
        PoolSet pools = { .cdm = NODESET_EMPTY };

        for (int i = 250; i < 256; i++)
                nodeset_add(&pools.cdm, i);
        ck_assert(topology->gpu_numa);
        for (Fact f = 0; f < _FACT_MAX; f++) {
                char *text = NULL;

                ck_assert_msg(fact_judge(f, topology, &pools, &text) == 0, "%s", text ? text : "");
        }
}
END_TEST

int main(void)
{
        const char *folder = getenv("CDM_FIXTURES");

        if (asprintf(&fixture, "%s/power9-v100.tar.bz2", folder ? folder : FIXTURES) < 0)
                return EXIT_FAILURE;
        if (access(fixture, R_OK) < 0) {
                printf("skipped: there is no %s\n", fixture);
                free(fixture);
                return 77;
        }
        Suite *s = suite_create("power9");
        TCase *c = tcase_create("read");

        tcase_add_checked_fixture(c, setup, teardown);
        tcase_set_timeout(c, 0); /* a tar file is unpacked, on a machine that may be busy */
        tcase_add_test(c, nodes_belong_to_gpus);
        tcase_add_test(c, a_gpu_is_nearest_to_its_own_memory);
        tcase_add_test(c, nothing_to_complain_of_the_gpus);
        suite_add_tcase(s, c);
        int status = check_main(s);
        free(fixture);
        return status;
}
