/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the files of tests/data are. */

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/macro.h"

/* The path of a file below tests/data; owned by the caller. */
static inline char *data_path(const char *format, ...) _printf_(1, 2);
static inline char *data_path(const char *format, ...)
{
        const char *srcdir = getenv("srcdir");
        char *tail, *path;
        va_list arguments;

        va_start(arguments, format);
        ck_assert_int_ge(vasprintf(&tail, format, arguments), 0);
        va_end(arguments);
        ck_assert_int_ge(asprintf(&path, "%s/tests/data/%s", srcdir ? srcdir : ".", tail), 0);
        free(tail);
        return path;
}
