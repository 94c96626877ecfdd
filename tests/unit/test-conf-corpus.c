/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Configuration as data: every file of tests/data/conf/good is accepted without a word, every one of
 * tests/data/conf/bad is refused with the messages that its index lists. A new case needs no code. */

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>

#include "daemon/machine/name-lookup.h"
#include "policy/conf-read.h"
#include "tests/unit/check-main.h"
#include "tests/unit/data.h"
#include "tests/unit/temp-root.h"

static ConfMessages messages;

static void set_up(void)
{
        root_make();
        messages = (ConfMessages){ 0 };
}

static void tear_down(void)
{
        conf_messages_clear(&messages);
        root_remove();
}

/* Copies a file of the corpus below root, because the tree may belong to anybody, and checks the copy. */
static int check_copy(const char *set, const char *file)
{
        static char text[CONF_FILE_BYTES_MAX + 1];
        _cleanup_free_ char *from = data_path("conf/%s/%s", set, file);
        FILE *source = fopen(from, "r");
        char to[512], *paths[1];
        size_t n;

        ck_assert_msg(source != NULL, "%s: %m", from);
        n = fread(text, 1, sizeof(text), source);
        fclose(source);
        snprintf(to, sizeof(to), "/%s", file);
        write_bytes(to, text, n);
        paths[0] = (char *)at(to);
        return config_check_files(paths, 1, name_find, (char *)"", &messages);
}

START_TEST(good_files)
{
        static const char *const folders[] = { "cdmd.conf.d", "pools.d", "policy.d" };
        unsigned n_files = 0;

        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                _cleanup_free_ char *path = data_path("conf/good/%s", folders[i]);
                DIR *dir = opendir(path);

                ck_assert_msg(dir != NULL, "%s: %m", path);
                for (struct dirent *e; (e = readdir(dir));) {
                        char file[512];

                        if (e->d_name[0] == '.')
                                continue;
                        snprintf(file, sizeof(file), "%s/%s", folders[i], e->d_name);
                        ck_assert_msg(check_copy("good", file) == 0 && messages.n_messages == 0, "%s: %s",
                                      file, messages.n_messages > 0 ? messages.messages[0].text : "refused");
                        n_files++;
                }
                closedir(dir);
        }
        ck_assert_uint_gt(n_files, 15);
}
END_TEST

/* The messages of the file under test must be those of the index, all of them and in order. */
static void assert_file_refused(const char *file, char *const *expected, size_t n_expected)
{
        size_t prefix = strlen(root) + 1;

        ck_assert_msg(check_copy("bad", file) == -EBADMSG, "%s was accepted", file);
        for (size_t i = 0; i < messages.n_messages || i < n_expected; i++) {
                _cleanup_free_ char *line = NULL, *pattern = NULL;
                const ConfMessage *m = &messages.messages[i];

                ck_assert_msg(i < n_expected, "%s: unexpected message on line %u: %s", file, m->line,
                              m->text);
                ck_assert_msg(i < messages.n_messages, "%s: no message \"%s\"", file, expected[i]);
                ck_assert_int_ge(asprintf(&line, "%s:%u: %s", m->file + prefix, m->line, m->text), 0);
                ck_assert_msg(fnmatch(expected[i], line, 0) == 0, "expected %s\ngot      %s", expected[i],
                              line);
        }
        conf_messages_clear(&messages);
}

START_TEST(bad_files)
{
        _cleanup_free_ char *index = data_path("conf/bad/index"), *line = NULL, *file = NULL;
        char *expected[64];
        size_t size = 0, n = 0, n_files = 0;
        FILE *stream = fopen(index, "r");

        ck_assert_ptr_nonnull(stream);
        for (ssize_t length; (length = getline(&line, &size, stream)) > 0 || n > 0;) {
                size_t name = length > 0 ? strcspn(line, ":") : 0;

                if (length > 0 && line[0] == '#')
                        continue;
                if (n > 0 && (length <= 0 || strlen(file) != name || strncmp(file, line, name) != 0)) {
                        assert_file_refused(file, expected, n);
                        n_files++;
                        while (n > 0)
                                free(expected[--n]);
                }
                if (length <= 0)
                        break;
                free(file);
                file = strndup(line, name);
                line[strcspn(line, "\n")] = '\0';
                ck_assert_uint_lt(n, ARRAY_SIZE(expected));
                expected[n++] = strdup(line);
        }
        fclose(stream);
        ck_assert_uint_gt(n_files, 60);
}
END_TEST

static unsigned n_corpus_files;

static int count_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        _cleanup_free_ char *index = data_path("conf/bad/index"), *line = NULL;
        const char *file;
        bool found = false;
        size_t size = 0;
        FILE *stream;

        if (type != FTW_F || fnmatch("*.conf", path, 0) != 0)
                return 0;
        file = strstr(path, "/bad/") + strlen("/bad/");
        stream = fopen(index, "r");
        ck_assert_ptr_nonnull(stream);
        while (!found && getline(&line, &size, stream) > 0)
                found = strncmp(line, file, strlen(file)) == 0 && line[strlen(file)] == ':';
        fclose(stream);
        ck_assert_msg(found, "%s is not in the index", file);
        n_corpus_files++;
        return 0;
}

/* A bad file that nobody expects anything of would test nothing. */
START_TEST(bad_files_are_indexed)
{
        _cleanup_free_ char *path = data_path("conf/bad");

        ck_assert_int_eq(nftw(path, count_file, 16, FTW_PHYS), 0);
        ck_assert_uint_gt(n_corpus_files, 60);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("conf-corpus");
        TCase *c = tcase_create("conf-corpus");

        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_set_timeout(c, 0);
        tcase_add_test(c, good_files);
        tcase_add_test(c, bad_files);
        tcase_add_test(c, bad_files_are_indexed);
        suite_add_tcase(s, c);
        return check_main(s);
}
