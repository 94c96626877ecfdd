/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "policy/topology.h"
#include "tests/unit/check-main.h"

#define GIB (UINT64_C(1) << 30)

/* Like a POWER9 with GPUs: sparse numbers, an empty node, one that says nothing about distances. */
static Topology *machine(void)
{
        static const uint16_t row0[] = { 10, 40, 80, 99 }, row8[] = { 40, 10, 60, 99 };
        Topology *t = calloc(1, sizeof(*t));

        t->n_nodes = 4;
        t->nodes = calloc(t->n_nodes, sizeof(*t->nodes));
        t->nodes[0] = (Node){ .id = 0, .has_cpu = true, .size_bytes = GIB };
        t->nodes[1] = (Node){ .id = 8, .has_cpu = true };
        t->nodes[2] = (Node){ .id = 250, .size_bytes = GIB, .device = strdup("0004:04:00.0") };
        t->nodes[3] = (Node){ .id = 251, .size_bytes = GIB };
        t->nodes[0].distance = memcpy(malloc(sizeof(row0)), row0, sizeof(row0));
        t->nodes[1].distance = memcpy(malloc(sizeof(row8)), row8, sizeof(row8));
        t->cdmm = strdup("the driver says so");
        return t;
}

START_TEST(find)
{
        _cleanup_(topology_free_p) Topology *t = machine();
        Topology empty = { 0 };

        ck_assert_ptr_eq(topology_find(t, 0), &t->nodes[0]);
        ck_assert_ptr_eq(topology_find(t, 250), &t->nodes[2]);
        ck_assert_ptr_null(topology_find(t, 1));
        ck_assert_ptr_null(topology_find(t, -1));
        ck_assert_ptr_null(topology_find(&empty, 0));
        ck_assert_ptr_null(topology_free(NULL));
}
END_TEST

START_TEST(sets)
{
        _cleanup_(topology_free_p) Topology *t = machine();
        NodeSet memory = topology_memory_nodes(t), cpu = topology_cpu_nodes(t);
        char buf[NODESET_STR_MAX];

        ck_assert_str_eq(nodeset_format(&memory, buf), "0,250-251");
        ck_assert_str_eq(nodeset_format(&cpu, buf), "0");
}
END_TEST

START_TEST(distances)
{
        _cleanup_(topology_free_p) Topology *t = machine();
        NodeSet from = nodeset_of(0);

        ck_assert_uint_eq(topology_distance(t, 0, 0), 10);
        ck_assert_uint_eq(topology_distance(t, 8, 250), 60);
        ck_assert_uint_eq(topology_distance(t, 250, 0), 255);
        ck_assert_uint_eq(topology_distance(t, 0, 7), 255);
        ck_assert_uint_eq(topology_distance_from_set(t, &from, 250), 80);
        nodeset_add(&from, 8);
        nodeset_add(&from, 250);
        ck_assert_uint_eq(topology_distance_from_set(t, &from, 250), 60);
        ck_assert_uint_eq(topology_distance_from_set(t, &NODESET_EMPTY, 250), 255);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topology");
        TCase *c = tcase_create("topology");

        tcase_add_test(c, find);
        tcase_add_test(c, sets);
        tcase_add_test(c, distances);
        suite_add_tcase(s, c);
        return check_main(s);
}
