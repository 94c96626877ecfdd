/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "policy/macro.h"
#include "policy/nodeset.h"
#include "tests/unit/check-main.h"

static NodeSet parse(const char *list)
{
        NodeSet set;

        ck_assert_int_eq(nodeset_parse(list, &set), 0);
        return set;
}

START_TEST(members)
{
        NodeSet set = nodeset_of(63);

        nodeset_add(&set, 0);
        nodeset_add(&set, 64);
        nodeset_add(&set, 1023);
        ck_assert_uint_eq(nodeset_count(&set), 4);
        ck_assert(nodeset_contains(&set, 63) && nodeset_contains(&set, 1023));
        ck_assert(!nodeset_contains(&set, 1) && !nodeset_contains(&set, -1));
        ck_assert(!nodeset_contains(&set, NODE_MAX));
        nodeset_remove(&set, 63);
        ck_assert(!nodeset_contains(&set, 63));
        ck_assert(!nodeset_is_empty(&set));
        ck_assert(nodeset_is_empty(&NODESET_EMPTY));
}
END_TEST

START_TEST(algebra)
{
        NodeSet a = parse("0-2,70"), b = parse("2-3,70"), empty = NODESET_EMPTY;
        NodeSet u = nodeset_union(&a, &b), i = nodeset_intersect(&a, &b), d = nodeset_subtract(&a, &b);
        NodeSet want = parse("0-3,70");

        ck_assert(nodeset_equal(&u, &want));
        want = parse("2,70");
        ck_assert(nodeset_equal(&i, &want));
        want = parse("0-1");
        ck_assert(nodeset_equal(&d, &want));
        ck_assert(!nodeset_equal(&a, &b));
        ck_assert(nodeset_is_subset(&i, &a) && !nodeset_is_subset(&a, &b));
        ck_assert(nodeset_is_subset(&empty, &a) && nodeset_is_subset(&a, &a));
        ck_assert(nodeset_intersects(&a, &b) && !nodeset_intersects(&d, &b));
        ck_assert(!nodeset_intersects(&empty, &empty));
}
END_TEST

START_TEST(walk)
{
        NodeSet set = parse("0,8,250-255,1023"), seen = NODESET_EMPTY;
        int n = 0, last = -1;

        NODESET_FOREACH (node, &set) {
                ck_assert_int_gt(node, last);
                last = node;
                nodeset_add(&seen, node);
                n++;
        }
        ck_assert_int_eq(n, 9);
        ck_assert(nodeset_equal(&seen, &set));
        ck_assert_int_eq(nodeset_next(&set, -5), 0);
        ck_assert_int_eq(nodeset_next(&set, 9), 250);
        ck_assert_int_eq(nodeset_next(&set, 1024), -1);
        ck_assert_int_eq(nodeset_next(&NODESET_EMPTY, 0), -1);
}
END_TEST

static const struct {
        const char *list, *canonical;
} good[] = {
        { "", "" },           { " \n", "" },
        { "0", "0" },         { "0-1,3\n", "0-1,3" },
        { " 2-3 ", "2-3" },   { "250-255,0,8", "0,8,250-255" },
        { "0,1,2,3", "0-3" }, { "1-1", "1" },
        { "0-5,2-7", "0-7" }, { "007", "7" },
        { "63-64", "63-64" }, { "0-1023", "0-1023" },
};

START_TEST(lists)
{
        char buf[NODESET_STR_MAX];
        NodeSet set = parse(good[_i].list);

        ck_assert_str_eq(nodeset_format(&set, buf), good[_i].canonical);
}
END_TEST

static const struct {
        const char *list;
        int error;
} bad[] = {
        { "a", -EINVAL },          { "1,", -EINVAL },
        { ",1", -EINVAL },         { "1,,2", -EINVAL },
        { "1-", -EINVAL },         { "-1", -EINVAL },
        { "+1", -EINVAL },         { "1-2-3", -EINVAL },
        { "1 2", -EINVAL },        { "1, 2", -EINVAL },
        { "1- 2", -EINVAL },       { "0x1", -EINVAL },
        { "0-7:2/4", -EINVAL },    { "file:/etc/passwd", -EINVAL },
        { "all", -EINVAL },        { "99999999999999999999x", -EINVAL },
        { "3-2,x", -EINVAL },      { "1024", -ERANGE },
        { "0-1024", -ERANGE },     { "3-2", -ERANGE },
        { "4294967296", -ERANGE }, { "99999999999999999999", -ERANGE },
};

START_TEST(not_lists)
{
        NodeSet set = nodeset_of(5), before = set;

        ck_assert_int_eq(nodeset_parse(bad[_i].list, &set), bad[_i].error);
        ck_assert(nodeset_equal(&set, &before));
}
END_TEST

/* Pairs with a gap of one make the longest text; it must fit and come back unchanged. */
START_TEST(longest_text)
{
        NodeSet set = NODESET_EMPTY, back;
        char buf[NODESET_STR_MAX + 1];

        for (int node = 0; node < NODE_MAX; node++)
                if (node % 3 != 2)
                        nodeset_add(&set, node);
        buf[NODESET_STR_MAX] = 'x';
        nodeset_format(&set, buf);
        ck_assert_int_eq(buf[NODESET_STR_MAX], 'x');
        ck_assert_int_eq(nodeset_parse(buf, &back), 0);
        ck_assert(nodeset_equal(&back, &set));
}
END_TEST

START_TEST(bytes)
{
        uint8_t out[NODESET_BYTES_MAX], wide[NODESET_BYTES_MAX + 2] = { 0 };
        NodeSet set = parse("0-1,3,9"), back;

        ck_assert_uint_eq(nodeset_to_bytes(&set, out), 2);
        ck_assert_uint_eq(out[0], 0x0b);
        ck_assert_uint_eq(out[1], 0x02);
        ck_assert_int_eq(nodeset_from_bytes(out, 2, &back), 0);
        ck_assert(nodeset_equal(&back, &set));

        ck_assert_uint_eq(nodeset_to_bytes(&NODESET_EMPTY, out), 0);
        ck_assert_int_eq(nodeset_from_bytes(NULL, 0, &back), 0);
        ck_assert(nodeset_is_empty(&back));

        set = parse("250-255,1023");
        ck_assert_uint_eq(nodeset_to_bytes(&set, out), NODESET_BYTES_MAX);
        memcpy(wide, out, sizeof(out));
        ck_assert_int_eq(nodeset_from_bytes(wide, sizeof(wide), &back), 0);
        ck_assert(nodeset_equal(&back, &set));
        wide[NODESET_BYTES_MAX] = 1;
        ck_assert_int_eq(nodeset_from_bytes(wide, sizeof(wide), &back), -ERANGE);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("nodeset");
        TCase *c = tcase_create("nodeset");

        tcase_add_test(c, members);
        tcase_add_test(c, algebra);
        tcase_add_test(c, walk);
        tcase_add_loop_test(c, lists, 0, ARRAY_SIZE(good));
        tcase_add_loop_test(c, not_lists, 0, ARRAY_SIZE(bad));
        tcase_add_test(c, longest_text);
        tcase_add_test(c, bytes);
        suite_add_tcase(s, c);
        return check_main(s);
}
