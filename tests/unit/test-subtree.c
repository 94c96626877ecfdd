/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>

#include "policy/subtree.h"
#include "tests/unit/check-main.h"

static Subtree parsed(const char *word)
{
        Subtree s;

        ck_assert_ptr_null(subtree_check(word));
        ck_assert_int_eq(subtree_parse(word, &s), 0);
        return s;
}

START_TEST(a_word_has_two_or_three_parts)
{
        Subtree s = parsed("*slurmstepd.scope:job_*/step_*");

        ck_assert_str_eq(s.unit, "*slurmstepd.scope");
        ck_assert_str_eq(s.tenant, "job_*");
        ck_assert_str_eq(s.level, "step_*");
        subtree_clear(&s);
        s = parsed("a:b.service:slot?");
        ck_assert_str_eq(s.unit, "a:b.service");
        ck_assert_str_eq(s.tenant, "slot?");
        ck_assert_ptr_null(s.level);
        subtree_clear(&s);
}
END_TEST

START_TEST(others_are_refused)
{
        static const char *const words[] = { "",           "a.scope",    ":job",          "a.scope:",
                                             "a.scope:/x", "a.scope:x/", "a.scope:x/y/z", "a.slice:x",
                                             "a:x",        "a.scope:..", "a.scope:x/.",   "a.scope:[x",
                                             "a.scope:a,b" };

        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
                ck_assert_msg(subtree_check(words[i]) != NULL, "%s", words[i]);
}
END_TEST

START_TEST(each_pattern_is_for_one_name)
{
        Subtree s[] = { parsed("*slurmstepd.scope:job_*/step_*"), parsed("b.service:x") };

        ck_assert(subtree_has_unit(s, 2, "node1_slurmstepd.scope"));
        ck_assert(!subtree_has_unit(s, 2, "slurmd.service"));
        ck_assert(subtree_has_tenant(s, 2, "slurmstepd.scope", "job_7"));
        ck_assert(!subtree_has_tenant(s, 2, "slurmstepd.scope", "system"));
        ck_assert(!subtree_has_tenant(s, 2, "slurmstepd.scope", "x"));
        ck_assert(!subtree_has_tenant(s, 2, "b.service", "job_7"));
        ck_assert(subtree_has_level(s, 2, "slurmstepd.scope", "job_7", "step_0"));
        ck_assert(!subtree_has_level(s, 2, "slurmstepd.scope", "job_7", "other"));
        ck_assert(!subtree_has_level(s, 2, "b.service", "x", "step_0"));
        ck_assert(!subtree_has_unit(s, 0, "slurmstepd.scope"));
        ck_assert(!subtree_equal(&s[0], &s[1]));
        ck_assert(subtree_equal(&s[0], &s[0]));
        subtree_clear(&s[0]);
        subtree_clear(&s[1]);
}
END_TEST

/* systemd escapes a '-' of a name. */
START_TEST(a_name_may_hold_a_backslash)
{
        Subtree s = parsed("my\\x2dslurmstepd.scope:a\\x2djob_*/the\\x2dstep_*");

        ck_assert(subtree_has_unit(&s, 1, "my\\x2dslurmstepd.scope"));
        ck_assert(!subtree_has_unit(&s, 1, "my-slurmstepd.scope"));
        ck_assert(subtree_has_tenant(&s, 1, "my\\x2dslurmstepd.scope", "a\\x2djob_7"));
        ck_assert(subtree_has_level(&s, 1, "my\\x2dslurmstepd.scope", "a\\x2djob_7", "the\\x2dstep_0"));
        ck_assert(!subtree_has_level(&s, 1, "my\\x2dslurmstepd.scope", "a\\x2djob_7", "the_step_0"));
        subtree_clear(&s);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("subtree");
        TCase *t = tcase_create("all");

        tcase_add_test(t, a_word_has_two_or_three_parts);
        tcase_add_test(t, others_are_refused);
        tcase_add_test(t, each_pattern_is_for_one_name);
        tcase_add_test(t, a_name_may_hold_a_backslash);
        suite_add_tcase(s, t);
        return check_main(s);
}
