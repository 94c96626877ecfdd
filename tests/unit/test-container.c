/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Paths as runtimes make them are data (tests/data/container-paths): a new one needs no code. */

#include <stdio.h>
#include <string.h>

#include "policy/container.h"
#include "tests/unit/check-main.h"
#include "tests/unit/data.h"

#define ID_A "3f2504e04f8911d39a0c0305e82c33013f2504e04f8911d39a0c0305e82c3301"
#define ID_B "b1946ac92492d2347c6235b4d2611184b1946ac92492d2347c6235b4d2611184"

/* Writes the ids in full: a capital A or B that stands for one, which no letter follows. */
static void expand(const char *from, char *to)
{
        for (; *from; from++) {
                bool is_id = (*from == 'A' || *from == 'B') && (from[1] == '\0' || strchr("/.0:", from[1]));

                if (is_id)
                        to = stpcpy(to, *from == 'A' ? ID_A : ID_B);
                else
                        *to++ = *from;
        }
        *to = '\0';
}

static void check_line(const char *container, const char *path, const char *own)
{
        Container c;
        size_t len = 0;

        bool found = container_of_cgroup(path, &c, &len);
        _cleanup_free_ char *s = found ? container_format(&c) : strdup("-");
        ck_assert_msg(strcmp(s, container) == 0, "%s is %s, not %s", path, s, container);
        if (found)
                ck_assert_msg(len == strlen(own) && strncmp(path, own, len) == 0, "%s: %.*s, not %s", path,
                              (int)len, path, own);
}

START_TEST(paths_of_real_runtimes)
{
        _cleanup_free_ char *name = data_path("container-paths");
        char line[1024], full[3][1024];
        unsigned n = 0;

        FILE *f = fopen(name, "r");
        ck_assert_msg(f != NULL, "%s: %m", name);
        while (fgets(line, sizeof(line), f)) {
                char *state = NULL, *container, *path, *own;

                if (line[0] == '#' || !(container = strtok_r(line, "\t\n", &state)))
                        continue;
                path = strtok_r(NULL, "\t\n", &state);
                ck_assert_ptr_nonnull(path);
                own = strtok_r(NULL, "\t\n", &state);
                expand(container, full[0]);
                expand(path, full[1]);
                expand(own ? own : path, full[2]);
                check_line(full[0], full[1], full[2]);
                n++;
        }
        fclose(f);
        ck_assert_uint_gt(n, 50);
}
END_TEST

START_TEST(runtimes_have_names)
{
        ContainerRuntime back;

        for (ContainerRuntime v = 0; v < _CONTAINER_RUNTIME_MAX; v++) {
                ck_assert_int_eq(container_runtime_from_string(container_runtime_to_string(v), &back), 0);
                ck_assert_int_eq(back, v);
        }
        ck_assert_ptr_null(container_runtime_to_string(_CONTAINER_RUNTIME_MAX));
        ck_assert_int_eq(container_runtime_from_string("lxc", &back), -EINVAL);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("container");
        TCase *c = tcase_create("container");

        tcase_add_test(c, paths_of_real_runtimes);
        tcase_add_test(c, runtimes_have_names);
        suite_add_tcase(s, c);
        return check_main(s);
}
