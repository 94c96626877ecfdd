/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/pool.h"
#include "tests/unit/check-main.h"
#include "tests/unit/machine.h"

static NodeSet set(const char *list)
{
        NodeSet s = NODESET_EMPTY;

        ck_assert_int_eq(nodeset_parse(list, &s), 0);
        return s;
}

static PoolConfig config(const char *name, const char *nodes)
{
        PoolConfig c = {
                .name = (char *)name,
                .file = (char *)"/etc/cdm/pools.d/x.conf",
                .line = 1,
                .nodes_auto = !nodes,
                .nodes_line = 4,
                .tier = TIER_UNKNOWN,
                .headroom = { .value = POOL_DEFAULT_HEADROOM },
        };

        if (nodes)
                c.nodes = set(nodes);
        return c;
}

static void expect_set(const NodeSet *got, const char *list)
{
        char buf[NODESET_STR_MAX];

        ck_assert_str_eq(nodeset_format(got, buf), list);
}

static PoolSet *resolve(const Topology *t, const PoolConfig *configs, size_t n)
{
        const PoolConfig *pointers[8];
        PoolSet *s = NULL;
        char *error = NULL;

        for (size_t i = 0; i < n; i++)
                pointers[i] = &configs[i];
        ck_assert_int_eq(pool_set_resolve(t, pointers, n, &s, &error), 0);
        ck_assert_ptr_null(error);
        return s;
}

static void expect_refusal(const Topology *t, const PoolConfig *configs, size_t n, int errnum,
                           const char *start, const char *part)
{
        const PoolConfig *pointers[8];
        PoolSet *s = NULL;
        _cleanup_free_ char *error = NULL;

        for (size_t i = 0; i < n; i++)
                pointers[i] = &configs[i];
        ck_assert_int_eq(pool_set_resolve(t, pointers, n, &s, &error), -errnum);
        ck_assert_ptr_null(s);
        ck_assert_ptr_nonnull(error);
        ck_assert_msg(strncmp(error, start, strlen(start)) == 0, "%s", error);
        ck_assert_msg(strstr(error, part) != NULL, "%s", error);
}

/* Two sockets and six GPUs with numbers far away. */
static Topology *power9(void)
{
        Topology *t = machine_new();

        machine_add(t, 0, 128 * GIB, true);
        machine_add(t, 8, 128 * GIB, true);
        for (int id = 250; id <= 255; id++)
                machine_add(t, id, 16 * GIB, false);
        return t;
}

START_TEST(sparse_nodes)
{
        _cleanup_(topology_free_p) Topology *t = power9();
        _cleanup_(pool_set_free_p) PoolSet *s = resolve(t, NULL, 0);

        ck_assert_uint_eq(s->n_pools, 1);
        ck_assert_str_eq(s->pools[0].name, "cdm");
        ck_assert_ptr_null(s->pools[0].file);
        ck_assert_uint_eq(s->pools[0].size_bytes, 96 * GIB);
        expect_set(&s->pools[0].nodes, "250-255");
        expect_set(&s->cdm, "250-255");
        expect_set(&s->ordinary, "0,8");
        ck_assert_ptr_eq(pool_set_find(s, "cdm"), &s->pools[0]);
        ck_assert_ptr_null(pool_set_find(s, "hbm"));
        ck_assert_ptr_eq(pool_set_find_node(s, 253), &s->pools[0]);
        ck_assert_ptr_null(pool_set_find_node(s, 8));
        ck_assert_ptr_null(pool_set_find_node(s, 7));
        ck_assert_uint_eq(pool_headroom_bytes(&s->pools[0], topology_find(t, 250)), 64 * MIB);
}
END_TEST

START_TEST(machine_without_cdm)
{
        _cleanup_(topology_free_p) Topology *t = machine_new();
        _cleanup_(pool_set_free_p) PoolSet *s = NULL;

        machine_add(t, 0, GIB, true);
        s = resolve(t, NULL, 0);
        ck_assert_uint_eq(s->n_pools, 0);
        ck_assert(nodeset_is_empty(&s->cdm));
        expect_set(&s->ordinary, "0");
}
END_TEST

START_TEST(machine_that_says_nothing)
{
        _cleanup_(topology_free_p) Topology *t = machine_new();
        _cleanup_(pool_set_free_p) PoolSet *s = resolve(t, NULL, 0);

        ck_assert_uint_eq(s->n_pools, 0);
        ck_assert(nodeset_is_empty(&s->ordinary));
}
END_TEST

START_TEST(node0_missing)
{
        _cleanup_(topology_free_p) Topology *t = machine_new();
        _cleanup_(pool_set_free_p) PoolSet *s = NULL;

        machine_add(t, 1, GIB, true);
        machine_add(t, 5, GIB, false);
        s = resolve(t, NULL, 0);
        expect_set(&s->cdm, "5");
        expect_set(&s->ordinary, "1");
}
END_TEST

/* 34 nodes, of which two have CPUs, four are GPUs and the others are empty. */
START_TEST(many_empty_nodes)
{
        _cleanup_(topology_free_p) Topology *t = machine_new();
        _cleanup_(pool_set_free_p) PoolSet *s = NULL;

        for (int id = 0; id < 34; id++)
                machine_add(t, id, id < 2 ? 480 * GIB : id % 8 == 2 && id < 32 ? 184 * GIB : 0, id < 2);
        s = resolve(t, NULL, 0);
        expect_set(&s->cdm, "2,10,18,26");
        expect_set(&s->ordinary, "0-1");
}
END_TEST

/* CPUs in one node, their DRAM in another: only what is marked as special is taken. */
static Topology *split_firmware(void)
{
        Topology *t = machine_new();

        machine_add(t, 0, 0, true);
        machine_add(t, 1, 64 * GIB, false);
        machine_add(t, 2, 16 * GIB, false);
        return t;
}

static const struct {
        const char *what;
        const char *cdm;
        int tier[2]; /* of nodes 1 and 2 */
        uint64_t mbps[2];
        bool dax;
        const char *device;
} marks[] = {
        { "nothing", "", { -1, -1 }, { 0, 0 }, false, NULL },
        { "dax", "2", { -1, -1 }, { 0, 0 }, true, NULL },
        { "driver", "2", { -1, -1 }, { 0, 0 }, false, "0004:04:00.0" },
        { "faster tier", "2", { 4, 1 }, { 0, 0 }, false, NULL },
        { "same tier", "", { 4, 4 }, { 0, 0 }, false, NULL },
        { "tier of one only", "", { -1, 4 }, { 0, 0 }, false, NULL },
        { "bandwidth", "2", { 4, 4 }, { 100000, 400000 }, false, NULL },
        { "about the same bandwidth", "", { 4, 4 }, { 100000, 101000 }, false, NULL },
        { "bandwidth of one only", "", { 4, 4 }, { 0, 400000 }, false, NULL },
        { "slower expander beside DRAM", "2", { 4, 5 }, { 100000, 30000 }, true, NULL },
};

START_TEST(dram_without_cpu)
{
        _cleanup_(topology_free_p) Topology *t = split_firmware();
        _cleanup_(pool_set_free_p) PoolSet *s = NULL;

        for (int i = 0; i < 2; i++) {
                t->nodes[1 + i].tier = marks[_i].tier[i];
                t->nodes[1 + i].read_bandwidth_mbps = marks[_i].mbps[i];
        }
        t->nodes[2].dax = marks[_i].dax;
        t->nodes[2].device = marks[_i].device ? strdup(marks[_i].device) : NULL;
        s = resolve(t, NULL, 0);
        expect_set(&s->cdm, marks[_i].cdm);
        ck_assert(nodeset_contains(&s->ordinary, 1));

        /* Nodes=auto in a file is careful as well. */
        PoolConfig c = config("hbm", NULL);

        pool_set_free(s);
        s = resolve(t, &c, 1);
        expect_set(&s->cdm, marks[_i].cdm);
}
END_TEST

START_TEST(all_memory_is_refused)
{
        _cleanup_(topology_free_p) Topology *t = split_firmware();
        PoolConfig all = config("all", "1-2"), two[2] = { config("a", "1"), config("b", "2") };

        expect_refusal(t, &all, 1, ENOSPC, "/etc/cdm/pools.d/x.conf:4: ", "1-2");
        expect_refusal(t, two, 2, ENOSPC, "/etc/cdm/pools.d/x.conf:4: ", "ordinary");
        t->nodes[1].dax = t->nodes[2].dax = true;
        expect_refusal(t, NULL, 0, ENOSPC, "every node", "Nodes=");
}
END_TEST

START_TEST(node_of_two_pools)
{
        _cleanup_(topology_free_p) Topology *t = power9();
        PoolConfig two[2] = { config("a", "250-252"), config("b", "252-253") };

        expect_refusal(t, two, 2, EEXIST, "/etc/cdm/pools.d/x.conf:4: ", "node 252");
}
END_TEST

/* Lists first, wherever they stand; auto pools share what is left. */
START_TEST(lists_and_auto)
{
        _cleanup_(topology_free_p) Topology *t = power9();
        PoolConfig configs[3] = { config("fast", NULL), config("rest", NULL), config("listed", "250-251") };
        _cleanup_(pool_set_free_p) PoolSet *s = NULL;

        configs[0].min_bandwidth_mbps = 300000;
        t->nodes[3].read_bandwidth_mbps = 900000; /* node 251: listed */
        t->nodes[4].read_bandwidth_mbps = 900000;
        t->nodes[5].read_bandwidth_mbps = 299999;
        s = resolve(t, configs, 3);
        expect_set(&s->pools[0].nodes, "252");
        expect_set(&s->pools[1].nodes, "253-255");
        expect_set(&s->pools[2].nodes, "250-251");
        expect_set(&s->ordinary, "0,8");
}
END_TEST

START_TEST(selectors)
{
        _cleanup_(topology_free_p) Topology *t = power9();
        PoolConfig c = config("x", NULL);
        _cleanup_(pool_set_free_p) PoolSet *s = NULL;

        for (int i = 0; i < 3; i++) {
                t->nodes[2 + i].read_latency_ns = 100 + (uint64_t)i;
                t->nodes[2 + i].tier = i;
                t->nodes[2 + i].dax = i == 2;
        }
        c.max_latency_ns = 101;
        s = resolve(t, &c, 1);
        expect_set(&s->cdm, "250-251");
        c.max_latency_ns = 0;
        c.tier = 0;
        pool_set_free(s);
        s = resolve(t, &c, 1);
        expect_set(&s->cdm, "250");
        c.tier = TIER_UNKNOWN;
        c.dax = true;
        pool_set_free(s);
        s = resolve(t, &c, 1);
        expect_set(&s->cdm, "252");
}
END_TEST

/* Nodes with CPUs and absent nodes may be listed. */
START_TEST(listed_nodes)
{
        _cleanup_(topology_free_p) Topology *t = power9();
        PoolConfig c = config("x", "8,250,300");
        _cleanup_(pool_set_free_p) PoolSet *s = resolve(t, &c, 1);

        expect_set(&s->cdm, "8,250,300");
        expect_set(&s->ordinary, "0,251-255");
        ck_assert_uint_eq(s->pools[0].size_bytes, 144 * GIB);
}
END_TEST

static PoolSet *resolve_held(const Topology *t, const char *held)
{
        NodeSet nodes = set(held);
        PoolSet *s = NULL;
        _cleanup_free_ char *error = NULL;

        ck_assert_int_eq(pool_set_resolve_at_start(t, NULL, 0, &nodes, &s, &error), 0);
        return s;
}

/* Plain DRAM may be in nodes without CPUs; if that is most of the memory, all of it is taken for that. */
START_TEST(most_memory_without_cpus)
{
        _cleanup_(topology_free_p) Topology *t = machine_new();
        _cleanup_(pool_set_free_p) PoolSet *s = NULL;
        PoolConfig fast = config("fast", NULL);
        char buf[POOL_EVIDENCE_STR_MAX];

        machine_add(t, 0, 8 * GIB, true);
        machine_add(t, 1, 4 * GIB, false);
        machine_add(t, 2, 4 * GIB, false);
        s = resolve(t, NULL, 0); /* just half of it */
        expect_set(&s->cdm, "1-2");
        expect_set(&s->unproven, "1-2");
        ck_assert_str_eq(pool_evidence(s, t, 1, buf), "no-cpu");
        ck_assert_str_eq(pool_evidence(s, t, 0, buf), "");
        t->nodes[2].size_bytes++;
        pool_set_free(s);
        s = resolve(t, NULL, 0);
        ck_assert(nodeset_is_empty(&s->cdm));
        expect_set(&s->passed_over, "1-2");
        ck_assert(nodeset_is_empty(&s->unproven));
        /* Of those, what something marks is taken all the same, whatever its share. */
        t->nodes[2].device = strdup("0009:01:00.0");
        t->nodes[2].size_bytes = 900 * GIB;
        pool_set_free(s);
        s = resolve(t, NULL, 0);
        expect_set(&s->cdm, "1-2");
        expect_set(&s->unproven, "1");
        ck_assert_str_eq(pool_evidence(s, t, 2, buf), "driver");
        t->nodes[1].size_bytes = 910 * GIB;
        pool_set_free(s);
        s = resolve(t, NULL, 0);
        expect_set(&s->cdm, "2");
        expect_set(&s->passed_over, "1");
        /* So is what meets a selector that memory with CPUs does not meet. */
        fast.max_latency_ns = 90;
        t->nodes[1].read_latency_ns = 80;
        t->nodes[0].read_latency_ns = 100;
        pool_set_free(s);
        s = resolve(t, &fast, 1);
        expect_set(&s->cdm, "1");
        ck_assert_str_eq(pool_evidence(s, t, 1, buf), "selector");
        ck_assert(nodeset_is_empty(&s->passed_over));
        t->nodes[0].read_latency_ns = 90;
        t->nodes[2].read_latency_ns = 90;
        pool_set_free(s);
        s = resolve(t, &fast, 1);
        expect_set(&s->cdm, "2");
        expect_set(&s->passed_over, "1");
        ck_assert(s->pools[0].selects_all);
}
END_TEST

/* Memory that is plugged in elsewhere, or goes, opens no node that is fenced. */
START_TEST(what_is_fenced_stays_so_while_the_machine_runs)
{
        _cleanup_(topology_free_p) Topology *t = machine_new();
        _cleanup_(pool_set_free_p) PoolSet *s = NULL;

        machine_add(t, 0, 8 * GIB, true);
        machine_add(t, 1, 4 * GIB, false);
        machine_add(t, 2, 40 * GIB, false);
        s = resolve_held(t, "1");
        expect_set(&s->cdm, "1");
        expect_set(&s->unproven, "1");
        expect_set(&s->passed_over, "2");
        pool_set_free(s);
        t->nodes[1].size_bytes = 0;
        s = resolve_held(t, "1");
        ck_assert(nodeset_is_empty(&s->cdm));
        pool_set_free(s);
        t->nodes[1].size_bytes = 4 * GIB;
        s = resolve_held(t, "");
        ck_assert(nodeset_is_empty(&s->cdm));
}
END_TEST

static const struct {
        const char *what, *evidence;
        int tier;      /* of node 2; DRAM's is 4 */
        uint64_t mbps; /* of node 2; DRAM's is 100000 and 90000 */
        bool dax;
        const char *device;
} kinds[] = {
        { "nothing", "no-cpu", TIER_UNKNOWN, 0, false, NULL },
        { "like DRAM", "no-cpu", 4, 100000, false, NULL },
        { "a bit faster", "no-cpu", 4, 130000, false, NULL },
        { "a bit slower", "no-cpu", 4, 61000, false, NULL },
        { "HBM", "hmat", TIER_UNKNOWN, 400000, false, NULL },
        { "HBM by tier", "tier", 1, 0, false, NULL },
        { "CXL", "hmat", TIER_UNKNOWN, 30000, false, NULL },
        { "CXL by tier", "tier", 22, 0, false, NULL },
        { "CXL by DAX", "dax", TIER_UNKNOWN, 0, true, "dax0.0" },
        { "CXL by DAX and region", "driver,dax", TIER_UNKNOWN, 0, true, "mem0" },
        { "all", "driver,dax,tier,hmat", 22, 30000, true, "region0" },
};

START_TEST(evidence)
{
        _cleanup_(topology_free_p) Topology *t = machine_new();
        _cleanup_(pool_set_free_p) PoolSet *s = NULL;
        char buf[POOL_EVIDENCE_STR_MAX], list[POOL_EVIDENCE_STR_MAX];
        PoolConfig c = config("listed", "2");

        machine_add(t, 0, 8 * GIB, true);
        machine_add(t, 1, 8 * GIB, true);
        machine_add(t, 2, GIB, false);
        t->nodes[0].tier = t->nodes[1].tier = 4;
        t->nodes[0].read_bandwidth_mbps = 100000;
        t->nodes[1].read_bandwidth_mbps = 90000;
        t->nodes[2].tier = kinds[_i].tier;
        t->nodes[2].read_bandwidth_mbps = kinds[_i].mbps;
        t->nodes[2].dax = kinds[_i].dax;
        t->nodes[2].device = kinds[_i].device ? strdup(kinds[_i].device) : NULL;
        s = resolve(t, NULL, 0);
        ck_assert_str_eq(pool_evidence(s, t, 2, buf), kinds[_i].evidence);
        ck_assert_str_eq(pool_evidence(s, t, 1, list), "");
        pool_set_free(s);
        s = resolve(t, &c, 1);
        if (strcmp(kinds[_i].evidence, "no-cpu") == 0)
                snprintf(list, sizeof(list), "list");
        else
                snprintf(list, sizeof(list), "list,%s", kinds[_i].evidence);
        ck_assert_str_eq(pool_evidence(s, t, 2, buf), list);
}
END_TEST

/* A pool that somebody asked for is there, even when it is empty; only its online nodes count. */
START_TEST(empty_pool)
{
        _cleanup_(topology_free_p) Topology *t = machine_new();
        PoolConfig c = config("x", NULL);
        _cleanup_(pool_set_free_p) PoolSet *s = NULL;

        machine_add(t, 0, GIB, true);
        s = resolve(t, &c, 1);
        ck_assert_uint_eq(s->n_pools, 1);
        ck_assert_uint_eq(s->pools[0].size_bytes, 0);
        c = config("x", "1");
        machine_add(t, 1, GIB, false)->online = false;
        pool_set_free(s);
        s = resolve(t, &c, 1);
        ck_assert_uint_eq(s->pools[0].size_bytes, 0);
}
END_TEST

/* Without a mistake a start is as any other time. */
static PoolSet *resolve_at_start(const Topology *t, const PoolConfig *configs, size_t n, const char *part)
{
        const PoolConfig *pointers[8];
        PoolSet *s = NULL;
        _cleanup_free_ char *error = NULL;

        for (size_t i = 0; i < n; i++)
                pointers[i] = &configs[i];
        ck_assert_int_eq(pool_set_resolve_at_start(t, pointers, n, &NODESET_EMPTY, &s, &error), 0);
        ck_assert_msg(part ? error && strstr(error, part) : !error, "%s", error);
        return s;
}

START_TEST(a_start_without_mistakes)
{
        _cleanup_(topology_free_p) Topology *t = power9();
        const PoolConfig configs[] = { config("a", NULL), config("b", "251"), config("c", "8") };
        _cleanup_(pool_set_free_p) PoolSet *s = resolve_at_start(t, configs, 3, NULL), *none = NULL;

        ck_assert_str_eq(s->pools[0].name, "a");
        expect_set(&s->pools[0].nodes, "250,252-255");
        expect_set(&s->cdm, "8,250-255");
        none = resolve_at_start(t, NULL, 0, NULL);
        expect_set(&none->cdm, "250-255");
}
END_TEST

/* The refused one comes first, and takes what nobody else wants. */
START_TEST(a_refused_pool_is_fenced_as_well)
{
        _cleanup_(topology_free_p) Topology *t = power9();
        PoolConfig configs[] = { config("a", NULL), config("b", "8"), config("c", NULL) };
        _cleanup_(pool_set_free_p) PoolSet *s = NULL, *all = NULL;

        configs[0].refused = true;
        configs[2].max_latency_ns = 1;
        s = resolve_at_start(t, configs, 3, NULL);
        expect_set(&s->cdm, "8,250-255");
        expect_set(&pool_set_find(s, "b")->nodes, "8");
        expect_set(&pool_set_find(s, "a")->nodes, "250-255");

        /* What is known for sure rather than nothing. */
        configs[1] = config("b", "0,8");
        all = resolve_at_start(t, configs, 3, NULL);
        expect_set(&all->cdm, "0,8");
        expect_set(&all->ordinary, "250-255");
}
END_TEST

START_TEST(pools_that_contradict_each_other_are_all_fenced)
{
        _cleanup_(topology_free_p) Topology *t = power9();
        const PoolConfig configs[] = { config("cdm", "8,250"), config("b", "250-251") };
        _cleanup_(pool_set_free_p) PoolSet *s =
                resolve_at_start(t, configs, 2, "node 250 is already in pool cdm");

        expect_set(&pool_set_find(s, "cdm")->nodes, "8,250");
        expect_set(&pool_set_find(s, "b")->nodes, "251");
        expect_set(&pool_set_find(s, "cdm-1")->nodes, "252-255");
        expect_set(&s->cdm, "8,250-255");
}
END_TEST

START_TEST(a_start_with_pools_that_take_all)
{
        _cleanup_(topology_free_p) Topology *t = power9();
        const PoolConfig c = config("a", "0,8,250-255"), *list[] = { &c };
        _cleanup_free_ char *error = NULL;
        PoolSet *s = NULL;

        ck_assert_int_eq(pool_set_resolve_at_start(t, list, 1, &NODESET_EMPTY, &s, &error), -ENOSPC);
        ck_assert_ptr_null(s);
        ck_assert_ptr_nonnull(error);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("pool");
        TCase *c = tcase_create("pool");

        tcase_add_test(c, sparse_nodes);
        tcase_add_test(c, machine_without_cdm);
        tcase_add_test(c, machine_that_says_nothing);
        tcase_add_test(c, node0_missing);
        tcase_add_test(c, many_empty_nodes);
        tcase_add_loop_test(c, dram_without_cpu, 0, ARRAY_SIZE(marks));
        tcase_add_test(c, all_memory_is_refused);
        tcase_add_test(c, node_of_two_pools);
        tcase_add_test(c, lists_and_auto);
        tcase_add_test(c, selectors);
        tcase_add_test(c, listed_nodes);
        tcase_add_test(c, most_memory_without_cpus);
        tcase_add_test(c, what_is_fenced_stays_so_while_the_machine_runs);
        tcase_add_loop_test(c, evidence, 0, ARRAY_SIZE(kinds));
        tcase_add_test(c, empty_pool);
        tcase_add_test(c, a_start_without_mistakes);
        tcase_add_test(c, a_refused_pool_is_fenced_as_well);
        tcase_add_test(c, pools_that_contradict_each_other_are_all_fenced);
        tcase_add_test(c, a_start_with_pools_that_take_all);
        suite_add_tcase(s, c);
        return check_main(s);
}
