/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A temporary directory that stands for the root of a machine, and files below it. */

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/macro.h"
#include "tests/unit/temp-dir.h"

static char root[512];

static inline void root_make(void)
{
        umask(022);
        snprintf(root, sizeof(root), "%s/cdmd-test.XXXXXX", temp_dir());
        ck_assert_ptr_nonnull(mkdtemp(root));
}

static inline int root_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static inline void root_remove(void)
{
        nftw(root, root_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path below root, its folders made. Valid until the next call. */
static inline const char *at(const char *path)
{
        static char full[4096];

        snprintf(full, sizeof(full), "%s%s", root, path);
        for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
                *p = '\0';
                mkdir(full, 0755);
                *p = '/';
        }
        return full;
}

static inline void write_bytes(const char *path, const char *text, size_t n)
{
        FILE *file = fopen(at(path), "w");

        ck_assert_ptr_nonnull(file);
        ck_assert_uint_eq(fwrite(text, 1, n, file), n);
        ck_assert_int_eq(fclose(file), 0);
}

static inline void put(const char *path, const char *text)
{
        write_bytes(path, text, strlen(text));
}
