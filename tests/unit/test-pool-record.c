/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "policy/pool-record.h"
#include "tests/unit/check-main.h"
#include "tests/unit/machine.h"

typedef struct World {
        Topology *topology;
        PoolSet pools;
        Pool pool[2];
        PoolRecord *record;
} World;

/* Node 0 has CPUs; 2 is in pool cxl, 3 and 4 in hbm. */
static void world_setup(World *w)
{
        *w = (World){ .topology = machine_new() };
        for (int id = 0; id < 5; id++)
                machine_add(w->topology, id, GIB, id == 0);
        w->pool[0] = (Pool){ .name = (char *)"cxl", .nodes = nodeset_of(2) };
        w->pool[1] = (Pool){ .name = (char *)"hbm", .nodes = nodeset_of(3) };
        nodeset_add(&w->pool[1].nodes, 4);
        w->pools = (PoolSet){ .pools = w->pool, .n_pools = 2 };
        ck_assert_int_eq(pool_record_new(&w->record), 0);
}

static void world_done(World *w)
{
        topology_free(w->topology);
        pool_record_free(w->record);
}

static void settle(World *w, bool forget)
{
        w->pools.cdm = nodeset_union(&w->pool[0].nodes, &w->pool[1].nodes);
        w->pools.ordinary = topology_memory_nodes(w->topology);
        w->pools.ordinary = nodeset_subtract(&w->pools.ordinary, &w->pools.cdm);
        ck_assert_int_eq(pool_record_update(w->record, w->topology, &w->pools, forget), 0);
}

static void expect_text(const World *w, const char *text)
{
        _cleanup_free_ char *got = NULL, *again = NULL;
        _cleanup_(pool_record_free_p) PoolRecord *back = NULL;

        ck_assert_int_eq(pool_record_format(w->record, &got), 0);
        ck_assert_str_eq(got, text);
        ck_assert_int_eq(pool_record_parse(got, &back), 0);
        ck_assert_int_eq(pool_record_format(back, &again), 0);
        ck_assert_str_eq(again, text);
}

/* words: NULL for silence. */
static void expect_told(const World *w, const char *words)
{
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(pool_record_judge(w->record, w->topology, &w->pools, &text), words ? 1 : 0);
        if (words)
                ck_assert_msg(strstr(text, words) != NULL, "'%s' is not in: %s", words, text);
}

START_TEST(what_stays_is_no_news)
{
        World w;

        world_setup(&w);
        expect_text(&w, "");
        settle(&w, false);
        expect_text(&w, "cxl 2\nhbm 3-4\n");
        expect_told(&w, NULL);
        /* from one pool to another */
        w.pool[0].nodes = NODESET_EMPTY;
        nodeset_add(&w.pool[1].nodes, 2);
        settle(&w, false);
        expect_text(&w, "hbm 2-4\n");
        expect_told(&w, NULL);
        world_done(&w);
}
END_TEST

START_TEST(what_left_is_told_until_it_is_taken_note_of)
{
        World w;

        world_setup(&w);
        settle(&w, false);
        w.pool[1].nodes = NODESET_EMPTY;
        for (int boot = 0; boot < 3; boot++) {
                settle(&w, false);
                expect_text(&w, "cxl 2\nhbm 3-4\n");
                expect_told(&w,
                            "node 3-4 was in pool hbm before and is in none now: everybody may use its 2G");
                expect_told(&w, "write Nodes=3-4");
        }
        /* one of them is back, the other has lost its memory */
        w.pool[1].nodes = nodeset_of(3);
        w.topology->nodes[4].size_bytes = 0;
        settle(&w, false);
        expect_text(&w, "cxl 2\nhbm 3-4\n");
        expect_told(&w, "node 4 was in pool hbm before and has no memory now");
        settle(&w, true);
        expect_text(&w, "cxl 2\nhbm 3\n");
        expect_told(&w, NULL);
        world_done(&w);
}
END_TEST

START_TEST(a_listed_node_counts_from_when_it_has_memory)
{
        World w;

        world_setup(&w);
        w.topology->nodes[2].size_bytes = 0;
        settle(&w, false);
        expect_text(&w, "hbm 3-4\n");
        world_done(&w);
}
END_TEST

static const char *const garbage[] = { "hbm\n", "hbm x\n", "2\n", " 2\n", "hbm 2\nhbm 3-\n", "hbm 99999\n" };

START_TEST(garbage_is_refused)
{
        PoolRecord *r = NULL;

        ck_assert_int_eq(pool_record_parse(garbage[_i], &r), -EBADMSG);
        ck_assert_ptr_null(r);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("pool-record");
        TCase *c = tcase_create("record");

        tcase_add_test(c, what_stays_is_no_news);
        tcase_add_test(c, what_left_is_told_until_it_is_taken_note_of);
        tcase_add_test(c, a_listed_node_counts_from_when_it_has_memory);
        tcase_add_loop_test(c, garbage_is_refused, 0, ARRAY_SIZE(garbage));
        suite_add_tcase(s, c);
        return check_main(s);
}
