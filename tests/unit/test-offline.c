/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "client/mempolicy.h"
#include "client/offline.h"
#include "policy/macro.h"
#include "tests/unit/check-main.h"

static const struct {
        const char *path, *slice, *unit;
} paths[] = {
        { "/", NULL, NULL },
        { "", NULL, NULL },
        { "/init.scope", "-.slice", "init.scope" },
        { "/system.slice", "system.slice", NULL },
        { "/system.slice/a.service", "system.slice", "a.service" },
        { "/system.slice/a.service/", "system.slice", "a.service" },
        { "//system.slice//a.service//sub", "system.slice", "a.service" },
        { "/system.slice/system-getty.slice/getty@tty1.service", "system-getty.slice",
          "getty@tty1.service" },
        { "/user.slice/user-1000.slice/session-2.scope", "user-1000.slice", "session-2.scope" },
        { "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", "user-1000.slice",
          "user@1000.service" },
        { "/system.slice/_cpu.service", "system.slice", "cpu.service" },
        { "/_cpu.slice/x.service", "cpu.slice", "x.service" },
        { "/docker/0123", NULL, NULL },
        { "/system.slice/.service", "system.slice", NULL },
};

static void assert_text(const char *is, const char *should)
{
        if (should)
                ck_assert_str_eq(is, should);
        else
                ck_assert_ptr_null(is);
}

START_TEST(test_split_cgroup)
{
        _cleanup_free_ char *slice = NULL, *unit = NULL;

        ck_assert_int_eq(offline_split_cgroup(paths[_i].path, &slice, &unit), 0);
        assert_text(slice, paths[_i].slice);
        assert_text(unit, paths[_i].unit);
}
END_TEST

static const struct {
        const char *unit, *slice;
} units[] = {
        { "a.service", "system.slice" },
        { "getty@tty1.service", "system-getty.slice" },
        { "my-job@1.service", "system-my\\x2djob.slice" },
        { "session-2.scope", NULL },
};

START_TEST(test_default_slice)
{
        _cleanup_free_ char *slice = NULL;

        ck_assert_int_eq(offline_default_slice(units[_i].unit, &slice), 0);
        assert_text(slice, units[_i].slice);
}
END_TEST

START_TEST(test_mem_policy)
{
        MemPolicy p = MEM_POLICY_BIND;

        for (unsigned i = 0; i < _MEM_POLICY_MAX; i++) {
                ck_assert_int_eq(mem_policy_from_string(mem_policy_to_string((MemPolicy)i), &p), 0);
                ck_assert_uint_eq(p, i);
        }
        ck_assert_int_lt(mem_policy_from_string("local", &p), 0);
        ck_assert_int_eq(mem_policy_set(MEM_POLICY_NONE, NULL, 0), 0);
        ck_assert_int_lt(mem_policy_set(MEM_POLICY_BIND, NULL, 0), 0);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("offline");
        TCase *c = tcase_create("offline");

        tcase_add_loop_test(c, test_split_cgroup, 0, ARRAY_SIZE(paths));
        tcase_add_loop_test(c, test_default_slice, 0, ARRAY_SIZE(units));
        tcase_add_test(c, test_mem_policy);
        suite_add_tcase(s, c);
        return check_main(s);
}
