/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Throw-away directory trees for tests that read or write files below a root. */

#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/temp-dir.h"

/* A new empty directory in temp_dir(); free with tree_remove(). */
static inline char *tree_new(void)
{
        char *path = NULL;

        ck_assert_int_ge(asprintf(&path, "%s/cdmd-test-XXXXXX", temp_dir()), 0);
        ck_assert_ptr_nonnull(mkdtemp(path));
        return path;
}

static inline int tree_remove_one(const char *path, const struct stat *st __attribute__((unused)),
                                  int flag __attribute__((unused)), struct FTW *ftw __attribute__((unused)))
{
        return remove(path);
}

static inline void tree_remove(char *root)
{
        nftw(root, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
        free(root);
}

/* Makes the directories above root/path. Returns root/path, which the caller frees. */
static inline char *tree_make_parents(const char *root, const char *path)
{
        char *full = NULL;

        ck_assert_int_ge(asprintf(&full, "%s/%s", root, path), 0);
        for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
                *p = '\0';
                if (mkdir(full, 0755) < 0)
                        ck_assert_int_eq(errno, EEXIST);
                *p = '/';
        }
        return full;
}

static inline void tree_write_bytes(const char *root, const char *path, const void *bytes, size_t n)
{
        char *full = tree_make_parents(root, path);
        FILE *f = fopen(full, "w");

        ck_assert_msg(f != NULL, "cannot write %s", full);
        ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
        ck_assert_int_eq(fclose(f), 0);
        free(full);
}

static inline void tree_write(const char *root, const char *path, const char *text)
{
        tree_write_bytes(root, path, text, strlen(text));
}

static inline void tree_symlink(const char *root, const char *path, const char *target)
{
        char *full = tree_make_parents(root, path);

        ck_assert_int_eq(symlink(target, full), 0);
        free(full);
}

/* NULL when there is no such file; the caller frees. */
static inline char *tree_read(const char *root, const char *path)
{
        char *full = NULL, *text;
        size_t n;
        FILE *f;

        ck_assert_int_ge(asprintf(&full, "%s/%s", root, path), 0);
        f = fopen(full, "r");
        free(full);
        if (!f)
                return NULL;
        text = calloc(1, 65536);
        ck_assert_ptr_nonnull(text);
        n = fread(text, 1, 65535, f);
        text[n] = '\0';
        fclose(f);
        return text;
}

static inline int tree_exists(const char *root, const char *path)
{
        char *full = NULL;
        struct stat st;
        int r;

        ck_assert_int_ge(asprintf(&full, "%s/%s", root, path), 0);
        r = lstat(full, &st) == 0;
        free(full);
        return r;
}
