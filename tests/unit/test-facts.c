/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/facts.h"
#include "policy/warning.h"
#include "tests/unit/check-main.h"
#include "tests/unit/machine.h"

/* Nodes 0 and 1 have CPUs, 2 and 3 are CDM nodes of a slower tier. Nothing is wrong with it. */
typedef struct World {
        Topology *topology;
        PoolSet pools;
} World;

static void world_setup(World *w)
{
        *w = (World){ .topology = machine_new() };
        for (int i = 0; i < 4; i++)
                machine_add(w->topology, i, GIB, i < 2)->tier = i < 2 ? 4 : 22;
        for (int i = 0; i < 4; i++)
                nodeset_add(i < 2 ? &w->pools.ordinary : &w->pools.cdm, i);
        w->topology->kernel_major = 6;
        w->topology->kernel_minor = 1;
}

static void world_done(World *w)
{
        topology_free(w->topology);
}

/* Exactly this is told, and with these words; NULL: nothing is. */
static void expect_only(const World *w, Fact only, const char *words)
{
        for (Fact f = 0; f < _FACT_MAX; f++) {
                char *text = NULL;
                int r = fact_judge(f, w->topology, &w->pools, &text);

                ck_assert_msg(r == (words && f == only), "%s: %d: %s", fact_to_string(f), r,
                              text ? text : "nothing");
                ck_assert_int_eq(text != NULL, r);
                if (text)
                        ck_assert_msg(strstr(text, words), "'%s' is not in: %s", words, text);
                free(text);
        }
}

START_TEST(names)
{
        for (Fact f = 0; f < _FACT_MAX; f++)
                ck_assert_msg(fact_to_string(f) && warning_find(fact_to_string(f)),
                              "fact %d is not explained", (int)f);
        ck_assert_ptr_null(fact_to_string(_FACT_MAX));
}
END_TEST

START_TEST(a_well_kept_machine_has_none)
{
        World w;

        world_setup(&w);
        strcpy(w.topology->auto_online, "offline");
        expect_only(&w, FACT_CDMM, NULL);
        world_done(&w);
}
END_TEST

START_TEST(cdmm)
{
        World w;

        world_setup(&w);
        w.topology->cdmm = strdup("CoherentGPUMemoryMode=driver");
        expect_only(&w, FACT_CDMM, "and keeps GPU memory out of NUMA");
        expect_only(&w, FACT_CDMM, "CoherentGPUMemoryMode=driver");
        expect_only(&w, FACT_CDMM, "NVreg_CoherentGPUMemoryMode=numa");
        world_done(&w);
}
END_TEST

START_TEST(demotion_goes_past_the_fence_to_slower_nodes_before_6_16)
{
        static const struct {
                unsigned major, minor;
                bool past;
        } kernels[] = { { 0, 0, true },   { 5, 15, true },  { 6, 1, true },  { 6, 15, true },
                        { 6, 16, false }, { 6, 17, false }, { 7, 0, false }, { 7, 3, false } };
        World w;

        world_setup(&w);
        for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
                w.topology->kernel_major = kernels[i].major;
                w.topology->kernel_minor = kernels[i].minor;
                w.topology->demotion_enabled = false;
                expect_only(&w, FACT_DEMOTION, NULL);
                w.topology->demotion_enabled = true;
                if (kernels[i].past)
                        expect_only(&w, FACT_FENCE_DEMOTION, "(2-3)");
                else
                        expect_only(&w, FACT_DEMOTION, "off the nodes that they reserved");
                ck_assert_int_eq(facts_pool_takes_demotions(w.topology, &w.pools.ordinary, &w.pools.cdm),
                                 kernels[i].past);
        }
        world_done(&w);
}
END_TEST

START_TEST(demotion_takes_from_faster_nodes)
{
        World w;

        world_setup(&w);
        w.topology->demotion_enabled = true;
        expect_only(&w, FACT_FENCE_DEMOTION, "Linux 6.1");
        expect_only(&w, FACT_FENCE_DEMOTION, "write 0 to /sys/kernel/mm/numa/demotion_enabled");
        w.topology->nodes[2].tier = 1; /* faster than DRAM */
        expect_only(&w, FACT_FENCE_DEMOTION, "(3)");
        w.topology->nodes[3].tier = 4; /* like DRAM */
        expect_only(&w, FACT_DEMOTION, "write 0 to /sys/kernel/mm/numa/demotion_enabled");
        w.topology->nodes[3].tier = TIER_UNKNOWN;
        expect_only(&w, FACT_DEMOTION, "");
        /* An ordinary node that is slower still does not make the pool safe from the faster one. */
        w.topology->nodes[1].tier = 30;
        w.topology->nodes[3].tier = 22;
        expect_only(&w, FACT_FENCE_DEMOTION, "(3)");
        w.pools.cdm = NODESET_EMPTY;
        expect_only(&w, FACT_DEMOTION, NULL);
        world_done(&w);
}
END_TEST

START_TEST(numa_balancing)
{
        World w;

        world_setup(&w);
        w.topology->numa_balancing = true;
        expect_only(&w, FACT_NUMA_BALANCING, "sysctl kernel.numa_balancing=0");
        w.pools.cdm = NODESET_EMPTY;
        expect_only(&w, FACT_NUMA_BALANCING, NULL);
        world_done(&w);
}
END_TEST

START_TEST(huge_pages_on_cdm_nodes)
{
        World w;

        world_setup(&w);
        w.topology->nodes[0].hugetlb_bytes = GIB;
        expect_only(&w, FACT_HUGETLB, NULL);
        w.topology->nodes[3].hugetlb_bytes = 64 * MIB;
        expect_only(&w, FACT_HUGETLB, "64M of the system's huge pages are on CDM nodes (3)");
        w.topology->nodes[2].hugetlb_bytes = 64 * MIB;
        expect_only(&w, FACT_HUGETLB, "128M of the system's huge pages are on CDM nodes (2-3)");
        expect_only(&w, FACT_HUGETLB, "nr_hugepages");
        world_done(&w);
}
END_TEST

START_TEST(auto_online)
{
        static const char *const bad[] = { "offline", "online", "online_kernel" };
        World w;

        world_setup(&w);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                strcpy(w.topology->auto_online, bad[i]);
                w.topology->gpu_needs_movable = false;
                expect_only(&w, FACT_AUTO_ONLINE, NULL);
                w.topology->gpu_needs_movable = true;
                expect_only(&w, FACT_AUTO_ONLINE, bad[i]);
                expect_only(&w, FACT_AUTO_ONLINE, "memhp_default_state=online_movable");
        }
        strcpy(w.topology->auto_online, "online_movable");
        expect_only(&w, FACT_AUTO_ONLINE, NULL);
        strcpy(w.topology->auto_online, ""); /* no memory hotplug in this kernel, or unknown */
        expect_only(&w, FACT_AUTO_ONLINE, NULL);
        world_done(&w);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("facts");
        TCase *c = tcase_create("judge");

        tcase_add_test(c, names);
        tcase_add_test(c, a_well_kept_machine_has_none);
        tcase_add_test(c, cdmm);
        tcase_add_test(c, demotion_goes_past_the_fence_to_slower_nodes_before_6_16);
        tcase_add_test(c, demotion_takes_from_faster_nodes);
        tcase_add_test(c, numa_balancing);
        tcase_add_test(c, huge_pages_on_cdm_nodes);
        tcase_add_test(c, auto_online);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        return check_main(suite());
}
