/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/decide.h"
#include "policy/queue.h"
#include "tests/unit/check-main.h"

static Queue *q;

static void start(void)
{
        ck_assert_int_eq(queue_new(&q), 0);
}

static void stop(void)
{
        queue_free(q);
}

static void add(const Request *r, const char *claims)
{
        NodeSet set;

        ck_assert_int_eq(nodeset_parse(claims, &set), 0);
        ck_assert_int_eq(queue_add(q, r, &set), 0);
}

static void claimed(int32_t priority, uint32_t id, const char *expected)
{
        char list[NODESET_STR_MAX];
        NodeSet set = queue_claimed(q, priority, id);

        ck_assert_str_eq(nodeset_format(&set, list), expected);
}

static void order(const char *expected)
{
        char text[256] = "";
        int32_t priority = 0;
        uint32_t id = 0;

        for (const Request *r; (r = queue_next(q, priority, id)); priority = r->priority, id = r->id) {
                size_t n = strlen(text);

                snprintf(text + n, sizeof(text) - n, "%s%u", n ? " " : "", r->id);
        }
        ck_assert_str_eq(text, expected);
}

static const Request r1 = { .id = 1 }, r2 = { .id = 2, .priority = 7 }, r3 = { .id = 3 },
                     r4 = { .id = 4, .priority = -1 }, r5 = { .id = 5, .priority = 7 },
                     top = { .id = 6, .priority = INT32_MAX };

START_TEST(by_priority_then_first_come)
{
        order("");
        /* as a restart finds them: in any order */
        add(&r5, "2");
        add(&r1, "2");
        add(&r4, "2");
        add(&r2, "2");
        add(&r3, "2");
        order("2 5 1 3 4");
        add(&top, "2");
        order("6 2 5 1 3 4");
        ck_assert_uint_eq(queue_count(q), 6);
        ck_assert_uint_eq(queue_position(q, 1), 3);
        queue_remove(q, 5);
        queue_remove(q, 77);
        order("6 2 1 3 4");
        ck_assert_ptr_eq(queue_find(q, 3), &r3);
        ck_assert_ptr_null(queue_find(q, 5));
}
END_TEST

START_TEST(what_is_claimed_before_a_place)
{
        add(&r1, "2");
        add(&r2, "3");
        add(&r4, "5");
        claimed(7, 2, "");
        claimed(0, 1, "3");
        claimed(0, 3, "2-3");
        /* new requests are behind all of their priority */
        claimed(8, 0, "");
        claimed(7, 0, "3");
        claimed(0, 0, "2-3");
        claimed(-1, 0, "2-3,5");
        claimed(INT32_MIN, 0, "2-3,5");
        NodeSet none = NODESET_EMPTY;
        queue_claim(q, 2, &none);
        claimed(0, 0, "2");
        queue_remove(q, 1);
        claimed(0, 0, "");
        claimed(-5, 0, "5");
}
END_TEST

START_TEST(a_walk_goes_on_while_the_queue_changes)
{
        add(&r1, "2");
        add(&r2, "2");
        add(&r3, "2");
        ck_assert_ptr_eq(queue_next(q, 7, 2), &r1);
        queue_remove(q, 2);
        queue_remove(q, 1);
        ck_assert_ptr_eq(queue_next(q, 7, 2), &r3);
        ck_assert_ptr_null(queue_next(q, 0, 3));
}
END_TEST

/* A question or a change looks at the way to one place, not at all who wait; and the claims are those of a
 * plain sum. Of 4096 in a treap of random heap no way is longer than MOST. */
#define MANY 4096
#define MOST 100

START_TEST(no_call_walks_the_whole_queue)
{
        static Request many[MANY];
        NodeSet sum = NODESET_EMPTY, none = NODESET_EMPTY;
        size_t before;

        for (uint32_t i = 0; i < MANY; i++) {
                NodeSet set = nodeset_of((int)(i % NODE_MAX));

                many[i] = (Request){ .id = i + 1, .priority = (int32_t)(i % 3) };
                before = queue_visited(q);
                ck_assert_int_eq(queue_add(q, &many[i], &set), 0);
                ck_assert_uint_le(queue_visited(q) - before, MOST);
        }
        size_t n = 0;
        const Request *r = queue_next(q, 0, 0);
        for (; r; n++) {
                NodeSet claims = queue_claimed(q, r->priority, r->id);

                ck_assert(nodeset_equal(&claims, &sum));
                ck_assert_uint_eq(queue_position(q, r->id), n);
                before = queue_visited(q);
                if (r->id % 2)
                        queue_claim(q, r->id, &none);
                else
                        nodeset_add(&sum, (int)((r->id - 1) % NODE_MAX));
                queue_position(q, r->id);
                queue_claimed(q, r->priority, r->id);
                r = queue_next(q, r->priority, r->id);
                ck_assert_uint_le(queue_visited(q) - before, 4 * MOST);
        }
        ck_assert_uint_eq(n, MANY);
        for (uint32_t i = 0; i < MANY; i++) {
                before = queue_visited(q);
                queue_remove(q, i * 5 % MANY + 1);
                ck_assert_uint_le(queue_visited(q) - before, MOST);
                ck_assert_uint_eq(queue_count(q), MANY - i - 1);
        }
}
END_TEST

START_TEST(nonsense)
{
        Request none = { .id = 0 };
        NodeSet set = NODESET_EMPTY;

        ck_assert_int_eq(queue_add(q, &none, &set), -EINVAL);
        add(&r1, "");
        ck_assert_int_eq(queue_add(q, &r1, &set), -EEXIST);
        ck_assert_ptr_null(queue_free(NULL));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("queue");
        TCase *t = tcase_create("queue");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, by_priority_then_first_come);
        tcase_add_test(t, what_is_claimed_before_a_place);
        tcase_add_test(t, a_walk_goes_on_while_the_queue_changes);
        tcase_add_test(t, no_call_walks_the_whole_queue);
        tcase_add_test(t, nonsense);
        suite_add_tcase(s, t);
        return check_main(s);
}
