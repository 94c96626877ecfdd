/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "policy/subject.h"
#include "tests/unit/check-main.h"

static const struct {
        const char *slice;
        const char *parent; /* NULL: has none */
} slices[] = {
        { "a-b-c.slice", "a-b.slice" },
        { "a-b.slice", "a.slice" },
        { "user-1000.slice", "user.slice" },
        { "a.slice", "-.slice" },
        { "x-y.z.slice", "x.slice" },
        { "-.slice", NULL },
        { ".slice", NULL },
        { "", NULL },
        { "a.service", NULL },
        { "slice", NULL },
        { "-a.slice", NULL },
        { "a-.slice", NULL },
        { "a--b.slice", NULL },
};

START_TEST(slice_parents)
{
        char buf[64], same[64];
        const char *parent = subject_slice_parent(slices[_i].slice, buf);

        ck_assert_pstr_eq(parent, slices[_i].parent);
        strcpy(same, slices[_i].slice);
        ck_assert_pstr_eq(subject_slice_parent(same, same), slices[_i].parent);
}
END_TEST

START_TEST(copies_are_deep)
{
        gid_t gids[] = { 5, 1000 };
        Subject s = {
                .unit = (char *)"a.service",
                .slice = (char *)"system.slice",
                .cgroup = (char *)"/system.slice/a.service",
                .cgroup_id = 77,
                .container = (char *)"podman:abc",
                .uid = 1000,
                .user = (char *)"alice",
                .gids = gids,
                .n_gids = 2,
                .labels = { .items = (Label[]){ { (char *)"a.b", (char *)"c" } }, .n = 1 },
                .unit_uid = 33,
        };
        _cleanup_(subject_free_p) Subject *copy = NULL;

        ck_assert_int_eq(subject_copy(&s, &copy), 0);
        ck_assert_str_eq(copy->unit, s.unit);
        ck_assert(labels_equal(&copy->labels, &s.labels));
        ck_assert_ptr_ne(copy->labels.items[0].value, s.labels.items[0].value);
        ck_assert_ptr_ne(copy->unit, s.unit);
        ck_assert_str_eq(copy->slice, s.slice);
        ck_assert_str_eq(copy->cgroup, s.cgroup);
        ck_assert_str_eq(copy->container, s.container);
        ck_assert_uint_eq(copy->cgroup_id, 77);
        ck_assert_uint_eq(copy->uid, 1000);
        ck_assert_str_eq(copy->user, s.user);
        ck_assert_uint_eq(copy->unit_uid, 33);
        ck_assert_uint_eq(copy->n_gids, 2);
        ck_assert_mem_eq(copy->gids, gids, sizeof(gids));
        ck_assert_ptr_ne(copy->gids, gids);
}
END_TEST

START_TEST(what_is_absent_stays_absent)
{
        Subject s = { .uid = 0, .unit_uid = UID_NONE };
        _cleanup_(subject_free_p) Subject *copy = NULL;

        ck_assert_int_eq(subject_copy(&s, &copy), 0);
        ck_assert_ptr_null(copy->unit);
        ck_assert_ptr_null(copy->cgroup);
        ck_assert_ptr_null(copy->gids);
        ck_assert_uint_eq(copy->unit_uid, UID_NONE);
        ck_assert_ptr_null(subject_free(NULL));
}
END_TEST

#define ID "3f2504e04f8911d39a0c0305e82c33013f2504e04f8911d39a0c0305e82c3301"

static const struct {
        const char *unit, *cgroup;
        const char *container; /* NULL: none that a rule may believe in */
} containers[] = {
        { "libpod-" ID ".scope", "/machine.slice/libpod-" ID ".scope", "podman:" ID },
        { "libpod-" ID ".scope", NULL, "podman:" ID },
        { "docker-" ID ".scope", "/system.slice/docker-" ID ".scope", "docker:" ID },
        { NULL, "/libpod_parent/libpod-" ID, "podman:" ID },
        { NULL, "/libpod_parent/libpod-" ID "/container", NULL },
        { "libpod-conmon-" ID ".scope", "/machine.slice/libpod-conmon-" ID ".scope", NULL },
        { "web.service", "/system.slice/web.service", NULL },
        /* a path below a unit that is no container's */
        { "web.service", "/system.slice/web.service/libpod-" ID, NULL },
        /* what a user may name as he likes */
        { "user@1000.service", "/user.slice/user-1000.slice/user@1000.service/libpod-" ID ".scope", NULL },
        { "libpod-" ID ".scope", "/user.slice/user-1000.slice/libpod-" ID ".scope", NULL },
        { NULL, "/user.slice/user-1000.slice/user@1000.service/app.slice/libpod-" ID ".scope", NULL },
        { NULL, NULL, NULL },
};

START_TEST(containers_that_root_made)
{
        Subject s = {
                .unit = (char *)containers[_i].unit,
                .cgroup = (char *)containers[_i].cgroup,
                .container = strdup("podman:old"),
        };

        ck_assert_int_eq(subject_set_container(&s), 0);
        ck_assert_pstr_eq(s.container, containers[_i].container);
        free(s.container);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("subject");
        TCase *c = tcase_create("subject");

        tcase_add_loop_test(c, slice_parents, 0, ARRAY_SIZE(slices));
        tcase_add_loop_test(c, containers_that_root_made, 0, ARRAY_SIZE(containers));
        tcase_add_test(c, copies_are_deep);
        tcase_add_test(c, what_is_absent_stays_absent);
        suite_add_tcase(s, c);
        return check_main(s);
}
