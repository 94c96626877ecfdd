/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/plan.h"
#include "tests/unit/check-main.h"

static NodeSet set(const char *list)
{
        NodeSet s = NODESET_EMPTY;

        ck_assert_int_eq(nodeset_parse(list, &s), 0);
        return s;
}

static const char *list(const NodeSet *s)
{
        static char bufs[4][NODESET_STR_MAX];
        static unsigned next;

        return nodeset_format(s, bufs[next++ % 4]);
}

/* "write 0-2 <0-1; drain 2>0-1 7": a step a clause; "<" is the set of its inverse, "from>to" where pages go,
 * and the number how many bytes at most */
static char *describe(const Plan *p)
{
        char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        for (size_t i = 0; i < p->n_steps; i++) {
                const Step *s = &p->steps[i];

                fprintf(f, "%s%s ", i > 0 ? "; " : "", step_kind_to_string(s->kind));
                if (!nodeset_is_empty(&s->from))
                        fprintf(f, "%s>", list(&s->from));
                fprintf(f, "%s", list(&s->nodes));
                if (s->bytes > 0)
                        fprintf(f, " %" PRIu64, s->bytes);
                if (s->has_inverse) {
                        ck_assert_int_eq(s->inverse_kind,
                                         s->kind == STEP_OPEN_WAY ? STEP_CLOSE_WAY : s->kind);
                        fprintf(f, " <%s", list(&s->inverse_nodes));
                }
        }
        fclose(f);
        return text;
}

static const struct {
        const char *what;
        const char *current, *base, *wanted, *leaving;
        bool migrate_up, has_property, ended;
        const char *steps;
        PlanExcess excess[3];
} cases[] = {
        { "grant", "0-1", "0-1", "2", "", false, true, false,
          "write 0-2 <0-1; property 0-2 <0-1; verify 0-2" },
        { "grant with migration", "0-1", "0-1", "2", "", true, true, false,
          "write 0-2 <0-1; property 0-2 <0-1; verify 0-2; migrate 0-1>2" },
        { "grant to a cgroup of its own", "0-1", "0-1", "2", "", false, false, false,
          "write 0-2 <0-1; verify 0-2" },
        { "second node", "0-2", "0-1", "2-3", "", true, true, false,
          "write 0-3 <0-2; property 0-3 <0-2; verify 0-3; migrate 0-1>3" },
        { "more on the same node", "0-2", "0-1", "2", "", false, true, false, "verify 0-2" },
        { "migration alone", "0-2", "0-1", "2", "", true, true, false, "verify 0-2; migrate 0-1>2" },
        { "nothing to migrate to", "0-1", "0-1", "", "", true, true, false, "verify 0-1" },
        { "release", "0-2", "0-1", "", "2", false, true, false,
          "drain 2>0-1; write 0-1; property 0-1; verify 0-1; evict 2>0-1; measure 2>0-1" },
        { "release without saying what leaves", "0-2", "0-1", "", "", false, true, false,
          "drain 2>0-1; write 0-1; property 0-1; verify 0-1; evict 2>0-1; measure 2>0-1" },
        { "release one of two nodes", "0-3", "0-1", "3", "2", false, true, false,
          "drain 2>0-1; write 0-1,3; property 0-1,3; verify 0-1,3; evict 2>0-1; measure 2>0-1" },
        { "release one of two on one node", "0-2", "0-1", "2", "2", false, true, false, "verify 0-2" },
        { "release one of two on one node, with excess",
          "0-2",
          "0-1",
          "2",
          "2",
          false,
          true,
          false,
          "verify 0-2; drain 2>0-1 7; measure 2>0-1",
          { { 2, 7 } } },
        { "release one of two on two nodes, with excess",
          "0-3",
          "0-1",
          "2-3",
          "2-3",
          false,
          true,
          false,
          "verify 0-3; drain 2>0-1 7; drain 3>0-1 9; measure 2-3>0-1",
          { { 2, 7 }, { 3, 9 } } },
        { "page cache in excess leaves first",
          "0-2",
          "0-1",
          "2",
          "2",
          false,
          true,
          false,
          "verify 0-2; evict 2>0-1 3; drain 2>0-1 4; measure 2>0-1",
          { { 2, 7, 3 } } },
        { "no more page cache leaves than is in excess, and nothing else",
          "0-3",
          "0-1",
          "2-3",
          "2-3",
          false,
          true,
          false,
          "verify 0-3; evict 2>0-1 7; evict 3>0-1 9; measure 2-3>0-1",
          { { 2, 7, 8 }, { 3, 9, 9 } } },
        { "page cache within the reservation stays",
          "0-2",
          "0-1",
          "2",
          "2",
          false,
          true,
          false,
          "verify 0-2",
          { { 2, 0, 3 } } },
        { "no excess", "0-2", "0-1", "2", "2", false, true, false, "verify 0-2", { { 2, 0 } } },
        { "one node is kept, with excess, and one is left",
          "0-3",
          "0-1",
          "2",
          "2-3",
          false,
          true,
          false,
          "drain 2>0-1 7; drain 3>0-1; write 0-2; property 0-2; verify 0-2; evict 3>0-1; measure 2-3>0-1",
          { { 2, 7 } } },
        { "a node that is left is drained as a whole",
          "0-2",
          "0-1",
          "",
          "2",
          false,
          true,
          false,
          "drain 2>0-1; write 0-1; property 0-1; verify 0-1; evict 2>0-1; measure 2>0-1",
          { { 2, 7 } } },
        { "excess on ordinary nodes",
          "0-2",
          "0-1",
          "2",
          "2",
          false,
          true,
          false,
          "verify 0-2",
          { { 1, 7 } } },
        { "ended with excess", "0-2", "0-1", "2", "2", false, true, true, "property 0-1", { { 2, 7 } } },
        { "release from a cgroup of its own", "0-2", "0-1", "", "", false, false, false,
          "drain 2>0-1; write 0-1; verify 0-1; evict 2>0-1; measure 2>0-1" },
        { "release after drift", "0-1", "0-1", "", "2", false, true, false,
          "drain 2>0-1; write 0-1; property 0-1; verify 0-1; evict 2>0-1; measure 2>0-1" },
        { "swap", "0-2", "0-1", "3", "", false, true, false,
          "write 0-3 <0-1; property 0-3 <0-1; verify 0-3; "
          "drain 2>0-1; write 0-1,3; property 0-1,3; verify 0-1,3; evict 2>0-1; measure 2>0-1" },
        { "inherits", "", "0-1", "2", "", false, true, false, "write 0-2; property 0-2; verify 0-2" },
        { "inherits and leaves", "", "0-1", "", "2", false, true, false,
          "drain 2>0-1; write 0-1; property 0-1; verify 0-1; evict 2>0-1; measure 2>0-1" },
        { "CDM alone", "2", "0-1", "2", "", false, true, false,
          "write 0-2 <0-2; property 0-2 <0-2; verify 0-2" },
        { "pinned to one ordinary node", "1", "1", "250", "", false, true, false,
          "write 1,250 <1; property 1,250 <1; verify 1,250" },
        { "ended", "0-2", "0-1", "", "2", false, true, true, "property 0-1" },
        { "ended with a reservation left", "0-2", "0-1", "2", "", true, true, true, "property 0-1" },
        { "ended without a unit", "0-2", "0-1", "", "2", false, false, true, "" },
};

static PlanInput input(size_t i)
{
        return (PlanInput){
                .current = set(cases[i].current),
                .base = set(cases[i].base),
                .wanted = set(cases[i].wanted),
                .leaving = set(cases[i].leaving),
                .excess = cases[i].excess,
                .n_excess = ARRAY_SIZE(cases[i].excess),
                .migrate_up = cases[i].migrate_up,
                .has_property = cases[i].has_property,
                .ended = cases[i].ended,
        };
}

START_TEST(steps)
{
        PlanInput in = input(_i);
        Plan p;
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(plan(&in, &p), 0);
        text = describe(&p);
        ck_assert_msg(strcmp(text, cases[_i].steps) == 0, "%s: %s", cases[_i].what, text);
}
END_TEST

START_TEST(a_unit_that_has_no_cgroup_yet_has_only_a_property)
{
        PlanInput in = { .base = set("0-1"),
                         .wanted = set("2"),
                         .leaving = set("3"),
                         .unborn = true,
                         .migrate_up = true };
        _cleanup_free_ char *text = NULL, *none = NULL;
        Plan p;

        ck_assert_int_eq(plan(&in, &p), 0);
        none = describe(&p);
        ck_assert_str_eq(none, "");
        in.has_property = true;
        ck_assert_int_eq(plan(&in, &p), 0);
        text = describe(&p);
        ck_assert_str_eq(text, "property 0-2 <0-1");
}
END_TEST

START_TEST(the_way_is_opened_first_and_closed_after)
{
        static const struct {
                const char *current, *wanted, *leaving, *steps;
        } ways[] = {
                { "0-1", "2", "", "open-way 2 <; write 0-2 <0-1; verify 0-2" },
                { "0-2", "2-3", "", "open-way 2-3 <2; write 0-3 <0-2; verify 0-3" },
                { "", "2", "", "open-way 2 <; write 0-2 <0-1; verify 0-2" },
                { "0-2", "2", "", "open-way 2 <2; verify 0-2" },
                { "0-2", "", "2",
                  "drain 2>0-1; write 0-1; close-way ; verify 0-1; evict 2>0-1; measure 2>0-1" },
                { "0-3", "3", "2",
                  "drain 2>0-1; write 0-1,3; close-way 3; verify 0-1,3; evict 2>0-1; measure 2>0-1" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
                PlanInput in = { .current = set(ways[i].current),
                                 .base = set("0-1"),
                                 .wanted = set(ways[i].wanted),
                                 .leaving = set(ways[i].leaving),
                                 .has_way = true };
                _cleanup_free_ char *text = NULL;
                Plan p;

                ck_assert_int_eq(plan(&in, &p), 0);
                text = describe(&p);
                ck_assert_str_eq(text, ways[i].steps);
        }
}
END_TEST

START_TEST(nonsense_is_refused)
{
        PlanInput no_base = { .current = set("0-1"), .wanted = set("2") };
        PlanInput overlap = { .current = set("0-1"), .base = set("0-1"), .wanted = set("1-2") };
        Plan p = { .n_steps = 7 };

        ck_assert_int_eq(plan(&no_base, &p), -EINVAL);
        ck_assert_int_eq(plan(&overlap, &p), -EINVAL);
        ck_assert_uint_eq(p.n_steps, 7);
}
END_TEST

static bool changes_mems(StepKind kind)
{
        return kind == STEP_WRITE || kind == STEP_PROPERTY;
}

/* What must hold of any plan, whatever the input. `mems` follows what the leaf allows. */
static void check_invariants(const PlanInput *in, const Plan *p)
{
        NodeSet mems = in->current, target = nodeset_union(&in->base, &in->wanted), undone, kept;
        bool narrowed = false;

        MUST(p->n_steps <= PLAN_STEPS_MAX);
        for (size_t i = 0; i < p->n_steps; i++) {
                const Step *s = &p->steps[i];

                if (!changes_mems(s->kind))
                        continue;
                /* never CDM alone, back or forth */
                MUST(nodeset_intersects(&s->nodes, &in->base));
                MUST(!s->has_inverse || nodeset_intersects(&s->inverse_nodes, &in->base));
                /* never a swap: one write adds or takes away (an empty set inherits: all) */
                MUST(nodeset_is_empty(&mems) || nodeset_is_subset(&s->nodes, &mems) ||
                     nodeset_is_subset(&mems, &s->nodes));
                /* the worker first */
                MUST(s->kind == STEP_WRITE || in->ended || p->steps[i - 1].kind == STEP_WRITE);
                if (!nodeset_is_subset(&mems, &s->nodes) && !nodeset_is_empty(&mems))
                        narrowed = true;
                MUST(!narrowed || !s->has_inverse);
                mems = s->nodes;
        }
        if (in->ended || p->n_steps == 0)
                return;
        /* it ends where it should, and undoing opens no node that shall be closed */
        if (!nodeset_equal(&in->current, &mems) || !nodeset_is_empty(&in->current))
                MUST(nodeset_equal(&mems, &target));
        kept = nodeset_intersect(&in->current, &target);
        for (size_t i = 0; i < p->n_steps; i++) {
                if (!p->steps[i].has_inverse)
                        continue;
                undone = p->steps[i].inverse_nodes;
                MUST(nodeset_is_subset(&undone, &target));
                if (nodeset_intersects(&kept, &in->base))
                        MUST(nodeset_equal(&undone, &kept));
        }
}

/* Nothing is moved beyond what is to leave, and all that is moved is measured, after everything else. */
static void check_drains(const PlanInput *in, const Plan *p)
{
        NodeSet target = nodeset_union(&in->base, &in->wanted), drained = NODESET_EMPTY;
        size_t n_excess = 0, measure = 0;

        for (size_t i = 0; i < p->n_steps; i++) {
                const Step *s = &p->steps[i];

                MUST(s->bytes == 0 || s->kind == STEP_DRAIN || s->kind == STEP_EVICT);
                MUST(s->kind != STEP_EVICT || s->bytes > 0 || !nodeset_intersects(&s->from, &target));
                if (s->kind == STEP_MEASURE)
                        measure = i;
                if (s->kind != STEP_DRAIN)
                        continue;
                MUST(nodeset_equal(&s->nodes, &in->base));
                drained = nodeset_union(&drained, &s->from);
                if (s->bytes == 0) {
                        MUST(!nodeset_intersects(&s->from, &target));
                        continue;
                }
                MUST(nodeset_count(&s->from) == 1 && nodeset_is_subset(&s->from, &in->wanted));
                n_excess++;
        }
        if (nodeset_is_empty(&drained))
                return;
        MUST(measure == p->n_steps - 1);
        MUST(nodeset_is_subset(&drained, &p->steps[measure].from));
        for (size_t i = 0; !in->ended && i < in->n_excess; i++)
                if (in->excess[i].bytes > 0 && nodeset_contains(&in->wanted, in->excess[i].node))
                        n_excess--;
        MUST(n_excess == 0);
}

static NodeSet from_bits(unsigned bits, int first)
{
        NodeSet s = NODESET_EMPTY;

        for (int i = 0; i < 3; i++)
                if (bits & (1u << i))
                        nodeset_add(&s, first + i);
        return s;
}

/* All inputs over three ordinary and three CDM nodes. */
START_TEST(invariants)
{
        static const PlanExcess excess[] = { { 100, 7, 3 }, { 101, 0 }, { 102, 9 } };

        for (unsigned base = 1; base < 8; base++)
                for (unsigned bits = 0; bits < 8 * 8 * 8 * 8 * 4; bits++) {
                        NodeSet ordinary = from_bits(bits, 0), cdm = from_bits(bits >> 3, 100);
                        PlanInput in = {
                                .current = nodeset_union(&ordinary, &cdm),
                                .base = from_bits(base, 0),
                                .wanted = from_bits(bits >> 6, 100),
                                .leaving = from_bits(bits >> 9, 100),
                                .excess = excess,
                                .n_excess = bits >> 13 ? ARRAY_SIZE(excess) : 0,
                                .has_property = bits >> 12 & 1,
                                .migrate_up = bits >> 12 & 1,
                        };
                        Plan p;

                        MUST(plan(&in, &p) == 0);
                        check_invariants(&in, &p);
                        check_drains(&in, &p);
                }
}
END_TEST

/* Of very many nodes some are left for the next plan, but none goes unmeasured. */
START_TEST(excess_on_many_nodes)
{
        PlanExcess excess[SHARES_MAX];
        PlanInput in = { .current = set("0-64"),
                         .base = set("0"),
                         .wanted = set("1-63"),
                         .leaving = set("1-64"),
                         .excess = excess,
                         .n_excess = SHARES_MAX,
                         .has_property = true };
        Plan p;

        for (int i = 0; i < SHARES_MAX; i++)
                excess[i] = (PlanExcess){ i + 1, 7, 3 };
        ck_assert_int_eq(plan(&in, &p), 0);
        check_invariants(&in, &p);
        ck_assert_uint_eq(p.n_steps, 2 * PLAN_EXCESS_MAX + 6);
        ck_assert_uint_eq(p.steps[2 * PLAN_EXCESS_MAX].bytes, 0);
        ck_assert_str_eq(list(&p.steps[p.n_steps - 1].from), "1-64");
}
END_TEST

/* A grant that fails ends where it began, step by step. */
START_TEST(inverses_restore)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                PlanInput in = input(i);
                Plan p;

                ck_assert_int_eq(plan(&in, &p), 0);
                if (!nodeset_is_subset(&in.current, &p.steps[0].nodes) || strncmp(cases[i].what, "grant", 5))
                        continue;
                for (size_t k = 0; k < p.n_steps; k++)
                        if (changes_mems(p.steps[k].kind)) {
                                ck_assert(p.steps[k].has_inverse);
                                ck_assert(nodeset_equal(&p.steps[k].inverse_nodes, &in.current));
                        }
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("plan");
        TCase *c = tcase_create("plan");

        tcase_set_timeout(c, 0);
        tcase_add_loop_test(c, steps, 0, ARRAY_SIZE(cases));
        tcase_add_test(c, the_way_is_opened_first_and_closed_after);
        tcase_add_test(c, a_unit_that_has_no_cgroup_yet_has_only_a_property);
        tcase_add_test(c, nonsense_is_refused);
        tcase_add_test(c, invariants);
        tcase_add_test(c, excess_on_many_nodes);
        tcase_add_test(c, inverses_restore);
        suite_add_tcase(s, c);
        return check_main(s);
}
