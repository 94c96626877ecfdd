/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every unit test's main() does: run the one suite, each test in a process of its own unless CK_FORK=no
 * says otherwise, and tell the result by the exit status. */

#include <check.h>
#include <stdlib.h>

/* For loops of many thousands: ck_assert_*() writes to a file each time it succeeds. */
#define MUST(x)                                                                                             \
        do {                                                                                                \
                if (!(x))                                                                                   \
                        ck_abort_msg("not so: %s", #x);                                                     \
        } while (0)

/* From the sanitizers: what this thread allocates in between is no leak. For what is left allocated on
 * purpose. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static inline void leaks_allowed(int allowed)
{
        if (allowed && __lsan_disable)
                __lsan_disable();
        else if (!allowed && __lsan_enable)
                __lsan_enable();
}

/* Each test may take ten minutes, which only one that hangs does. Check's own limit of four seconds ends
 * tests on a busy machine; it reads this variable when a test case is made. */
__attribute__((constructor)) static void set_time_limit(void)
{
        setenv("CK_DEFAULT_TIMEOUT", "600", 0);
}

static inline int check_main(Suite *s)
{
        SRunner *runner = srunner_create(s);
        int failed;

        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
