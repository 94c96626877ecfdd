/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whose a cgroup is, and what the cgroups above one leave to it. */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "daemon/fence/fence-scan.h"
#include "daemon/fence/fence-way.h"
#include "daemon/fence/foreign.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/owner.h"
#include "daemon/pid1/unit.h"
#include "tests/unit/check-main.h"
#include "tests/unit/tree.h"

#define CG "sys/fs/cgroup"

static char *root;

static NodeSet list(const char *text)
{
        NodeSet set;

        ck_assert_int_eq(nodeset_parse(text, &set), 0);
        return set;
}

static void assert_list(NodeSet set, const char *text)
{
        char buf[NODESET_STR_MAX];

        ck_assert_str_eq(nodeset_format(&set, buf), text);
}

static void put(const char *cgroup, const char *file, const char *text)
{
        char path[256];

        snprintf(path, sizeof(path), CG "%s/%s", cgroup, file);
        tree_write(root, path, text);
}

static void make(const char *cgroup)
{
        put(cgroup, "cgroup.procs", "");
}

static void setup(void)
{
        char *error = NULL;

        root = tree_new();
        put("", "cgroup.controllers", "cpuset cpu memory pids\n");
        ck_assert_int_eq(cgroup_setup(root, &error), 0);
}

static void teardown(void)
{
        tree_remove(root);
}

/* The unit of the leaf of this path, "none" if it has none; until the next call. */
static const char *unit_of(const char *path)
{
        static char name[64];
        FenceLeaf leaf = { .path = strdup(path) };

        ck_assert_int_eq(fence_leaf_name(&leaf), 0);
        snprintf(name, sizeof(name), "%s", leaf.unit ? leaf.unit : "none");
        fence_leaf_clear(&leaf);
        return name;
}

/* The answer comes while the cgroup is still the same. */
static int learn(const char *path, const char *unit)
{
        uint64_t id = 0;
        int fd = cgroup_open(path, &id);

        if (fd >= 0)
                close(fd);
        return owner_learn(path, id, unit);
}

START_TEST(the_nearest_unit_says_whose_a_cgroup_is)
{
        static const struct {
                const char *path, *unit, *top;
        } cases[] = {
                { "/system.slice/a.service", "a.service", "" },
                { "/system.slice/_cpu.service", "cpu.service", "" },
                { "/system.slice", "system.slice", "" },
                { "/system.slice/b.scope", "system.slice", "/system.slice/b.scope" },
                { "/n.slice/n-r.slice/x.scope", NULL, "/n.slice" },
                { "/n.slice/n-r.slice/x.scope", "-.slice", "/n.slice" },
                { "/n.slice/n-r.slice/x.scope", "n.slice", "/n.slice/n-r.slice" },
                { "/n.slice/n-r.slice/x.scope", "n-r.slice", "/n.slice/n-r.slice/x.scope" },
                { "/system.slice/a.service/x.scope", "a.service", "" }, /* the unit's */
                { "/system.slice/a.service", "b.service", "" },         /* no answer to this question */
                { "/a.slice/a.slice", "a.slice", "/a.slice/a.slice" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                make(cases[i].path);
                ck_assert_int_eq(learn(cases[i].path, cases[i].unit), strlen(cases[i].top));
                ck_assert_uint_eq(owner_top(cases[i].path), strlen(cases[i].top));
                ck_assert_uint_eq(owner_count(), cases[i].top[0] ? 1 : 0);
                if (cases[i].top[0])
                        owner_forget(cases[i].top);
        }
}
END_TEST

START_TEST(what_is_not_systemds_has_no_unit)
{
        make("/n.slice/n-r.slice/x.scope");
        ck_assert_str_eq(unit_of("/n.slice/n-r.slice/x.scope"), "x.scope");
        ck_assert_int_eq(learn("/n.slice/n-r.slice/x.scope", NULL), strlen("/n.slice"));
        ck_assert_str_eq(unit_of("/n.slice/n-r.slice/x.scope"), "none");
        ck_assert_str_eq(unit_of("/n.slice/other.service"), "none");
        ck_assert_str_eq(unit_of("/n.slices.slice/other.service"), "other.service");
        ck_assert_uint_eq(owner_top("/n.slice"), strlen("/n.slice"));
        owner_forget("/n.slice");
        ck_assert_str_eq(unit_of("/n.slice/n-r.slice/x.scope"), "x.scope");
}
END_TEST

START_TEST(an_answer_is_for_one_cgroup)
{
        _cleanup_free_ char *old = NULL, *other = NULL;

        make("/system.slice/b.scope");
        ck_assert_int_gt(learn("/system.slice/b.scope", "system.slice"), 0);
        /* The successor has another inode, because the first one is still there. */
        ck_assert_int_ge(asprintf(&old, "%s/" CG "/system.slice/b.scope", root), 0);
        ck_assert_int_ge(asprintf(&other, "%s/" CG "/system.slice/kept", root), 0);
        ck_assert_int_eq(rename(old, other), 0);
        ck_assert_uint_eq(owner_top("/system.slice/b.scope"), 0);
        make("/system.slice/b.scope");
        ck_assert_uint_eq(owner_top("/system.slice/b.scope"), 0);
        ck_assert_int_eq(learn("/system.slice/gone.scope", "system.slice"), -ENOENT);
        owner_forget("/system.slice/b.scope");
}
END_TEST

/* A unit stops as PID 1 is asked, and has a new cgroup when the answer is read, which says that it has none. */
START_TEST(an_answer_about_a_former_cgroup_says_nothing)
{
        _cleanup_free_ char *old = NULL, *other = NULL;
        uint64_t id;

        make("/system.slice/again.service");
        int fd = cgroup_open("/system.slice/again.service", &id);
        ck_assert_int_ge(fd, 0);
        close(fd);
        ck_assert_int_ge(asprintf(&old, "%s/" CG "/system.slice/again.service", root), 0);
        ck_assert_int_ge(asprintf(&other, "%s/" CG "/system.slice/kept", root), 0);
        ck_assert_int_eq(rename(old, other), 0);
        make("/system.slice/again.service");
        ck_assert_int_eq(owner_learn("/system.slice/again.service", id, "system.slice"), -ESTALE);
        ck_assert_uint_eq(owner_top("/system.slice/again.service"), 0);
        ck_assert_uint_eq(owner_count(), 0);
}
END_TEST

START_TEST(a_cgroup_that_systemd_takes_over_is_systemds)
{
        make("/n.slice/x.scope");
        ck_assert_int_gt(learn("/n.slice/x.scope", NULL), 0);
        _cleanup_free_ char *path = owner_find("n.slice");
        ck_assert_str_eq(path, "/n.slice");
        ck_assert_ptr_null(owner_find("x.scope"));
        ck_assert_int_eq(learn("/n.slice", "n.slice"), 0);
        ck_assert_uint_eq(owner_count(), 0);
        ck_assert_uint_eq(owner_top("/n.slice/x.scope"), 0);
}
END_TEST

START_TEST(systemds_attribute_is_worth_more_than_an_earlier_answer)
{
        char full[256];

        make("/system.slice/taken.service");
        ck_assert_int_gt(learn("/system.slice/taken.service", "system.slice"), 0);
        ck_assert_uint_gt(owner_top("/system.slice/taken.service"), 0);
        snprintf(full, sizeof(full), "%s/" CG "/system.slice/taken.service", root);
        if (setxattr(full, "user.invocation_id", "1", 1, 0) < 0) {
                printf("# skipped: no user attributes in %s\n", root);
                return;
        }
        ck_assert_uint_eq(owner_top("/system.slice/taken.service"), 0);
        /* Others can set it in a cgroup in which they can write. */
        ck_assert_int_eq(chmod(full, 0777), 0);
        ck_assert_uint_gt(owner_top("/system.slice/taken.service"), 0);
        ck_assert_int_eq(chmod(full, 0755), 0);
        ck_assert_int_eq(removexattr(full, "user.invocation_id"), 0);
        ck_assert_uint_gt(owner_top("/system.slice/taken.service"), 0);
        owner_forget("/system.slice/taken.service");
}
END_TEST

/* systemd would take over a slice whose name it is told: also where PID 1 was not asked whose it is. */
START_TEST(systemd_is_not_poked_by_the_name_of_a_foreign_cgroup)
{
        _cleanup_free_ char *member = NULL;
        char full[512];

        make("/ex.slice/ex-n.slice/x.scope");
        put("/ex.slice/ex-n.slice", "cgroup.events", "populated 1\n");
        ck_assert_int_eq(unit_find_member("ex.slice", &member), -ENOENT);
        ck_assert_int_gt(learn("/ex.slice/ex-n.slice/x.scope", "ex.slice"), 0);
        ck_assert_int_eq(unit_find_member("ex.slice", &member), -ENOENT);
        make("/ex.slice/ex-a.slice");
        snprintf(full, sizeof(full), "%s/" CG "/ex.slice/ex-a.slice", root);
        if (setxattr(full, "user.invocation_id", "1", 1, 0) == 0) {
                ck_assert_int_eq(unit_find_member("ex.slice", &member), 0);
                ck_assert_str_eq(member, "ex-a.slice");
        } else {
                printf("# skipped: no user attributes in %s\n", root);
        }
        owner_forget("/ex.slice/ex-n.slice");
}
END_TEST

START_TEST(the_table_is_bounded)
{
        char path[64];
        int r = 0;

        for (unsigned i = 0; i < 2000 && r >= 0; i++) {
                snprintf(path, sizeof(path), "/system.slice/%u.scope", i);
                make(path);
                r = learn(path, "system.slice");
        }
        ck_assert_int_eq(r, -ENOSPC);
        size_t n = owner_count();
        /* Those that are gone make room. */
        char *full = NULL;
        ck_assert_int_ge(asprintf(&full, "%s/" CG "/system.slice", root), 0);
        tree_remove(full);
        ck_assert_uint_gt(n, 1);
        for (unsigned i = 0; i < n; i++) {
                snprintf(path, sizeof(path), "/system.slice/late-%u.scope", i);
                make(path);
                ck_assert_int_gt(learn(path, "system.slice"), 0);
                ck_assert_uint_le(owner_count(), n);
        }
        for (unsigned i = 0; i < n; i++) {
                snprintf(path, sizeof(path), "/system.slice/late-%u.scope", i);
                ck_assert(owner_is_foreign(path, strlen(path)));
                owner_forget(path);
        }
        /* What is left is of those that are gone: there was room without them. */
        for (unsigned i = 0; i < 2000; i++) {
                snprintf(path, sizeof(path), "/system.slice/%u.scope", i);
                owner_forget(path);
        }
        ck_assert_uint_eq(owner_count(), 0);
}
END_TEST

static void set(const char *cgroup, const char *mems, const char *effective)
{
        make(cgroup);
        put(cgroup, "cpuset.mems", mems);
        put(cgroup, "cpuset.mems.effective", effective);
}

START_TEST(the_uppermost_without_an_ordinary_node_is_found)
{
        static const struct {
                const char *mems[2], *effective[2]; /* of a.slice and a-b.slice in it */
                const char *cgroup, *target, *room;
        } cases[] = {
                { { "", "" }, { "0-3", "0-3" }, NULL, "", "0-1" },
                { { "1-2", "" }, { "1-2", "1-2" }, NULL, "", "1" },
                { { "2", "" }, { "2", "2" }, "/a.slice", "0-2", "0-1" },
                { { "2", "3" }, { "2", "2" }, "/a.slice", "0-2", "0-1" },
                { { "", "3" }, { "0-3", "3" }, "/a.slice/a-b.slice", "0-1,3", "0-1" },
                { { "0,2", "1-2" }, { "0,2", "2" }, "/a.slice/a-b.slice", "0-2", "0" },
                { { "2,9", "" }, { "2", "2" }, "/a.slice", "0-2", "0-1" }, /* node 9 is not there */
                { { "0", "3" }, { "0", "0" }, "/a.slice/a-b.slice", "0,3", "0" },
        };
        NodeSet cdm = list("2-3");

        put("", "cpuset.mems.effective", "0-3\n");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                FenceWay w = { 0 }, above = { 0 };

                set("/a.slice", cases[i].mems[0], cases[i].effective[0]);
                set("/a.slice/a-b.slice", cases[i].mems[1], cases[i].effective[1]);
                ck_assert_int_eq(fence_way_read("/a.slice/a-b.slice", true, &cdm, &w), 0);
                ck_assert_pstr_eq(w.cgroup, cases[i].cgroup);
                assert_list(w.target, cases[i].target);
                assert_list(w.room, cases[i].room);
                make("/a.slice/a-b.slice/x.service");
                ck_assert_int_eq(fence_way_read("/a.slice/a-b.slice/x.service", false, &cdm, &above), 0);
                ck_assert_pstr_eq(above.cgroup, cases[i].cgroup);
                fence_way_clear(&w);
                fence_way_clear(&above);
        }
        FenceWay w = { 0 };
        ck_assert_int_eq(fence_way_read("/a.slice/gone", true, &cdm, &w), -ENOENT);
        ck_assert_int_eq(fence_way_read("/", true, &cdm, &w), 0);
        assert_list(w.room, "0-1");
        fence_way_clear(&w);
}
END_TEST

START_TEST(a_leaf_that_is_open_by_its_slice_says_so)
{
        FenceLeaf leaf = { 0 };
        NodeSet cdm = list("2-3"), ordinary = list("0-1"), none = NODESET_EMPTY, allowed;

        put("", "cpuset.mems.effective", "0-3\n");
        set("/a.slice", "2", "2");
        set("/a.slice/x.service", "0-1", "2");
        ck_assert_int_eq(fence_leaf_read("/a.slice/x.service", &cdm, &leaf), 0);
        ck_assert_pstr_eq(leaf.way.cgroup, "/a.slice");
        assert_list(leaf.way.target, "0-2");
        fence_leaf_clear(&leaf);

        /* A slice that allows some is respected, and the leaf has these. */
        set("/a.slice", "1-2", "1-2");
        set("/a.slice/x.service", "0", "1-2");
        ck_assert_int_eq(fence_leaf_read("/a.slice/x.service", &cdm, &leaf), 0);
        ck_assert_ptr_null(leaf.way.cgroup);
        allowed = fence_leaf_allowed(&leaf, &ordinary);
        assert_list(allowed, "1");
        assert_list(fence_target(&leaf.mems, &none, &allowed), "1");
        fence_leaf_clear(&leaf);

        /* What it has by its own set is not asked for. */
        set("/a.slice/x.service", "0-2", "1-2");
        ck_assert_int_eq(fence_leaf_read("/a.slice/x.service", &cdm, &leaf), 0);
        assert_list(leaf.way.room, "");
        assert_list(fence_leaf_allowed(&leaf, &ordinary), "0-1");
        fence_leaf_clear(&leaf);
}
END_TEST

/* The path as systemd makes it, and the other way round. */
START_TEST(a_name_of_a_file_of_the_kernel_has_a_prefix)
{
        static const struct {
                const char *slice, *unit, *path;
        } cases[] = {
                { "system.slice", "a.service", "/system.slice/a.service" },
                { "system.slice", "memory.service", "/system.slice/_memory.service" },
                { "system.slice", "memory.numa.scope", "/system.slice/_memory.numa.scope" },
                { "system.slice", "memory-x.service", "/system.slice/memory-x.service" },
                { "system.slice", "cgroup.service", "/system.slice/_cgroup.service" },
                { "system.slice", "_x.service", "/system.slice/__x.service" },
                { "cpu-a.slice", "io.service", "/_cpu.slice/cpu-a.slice/_io.service" },
                { "-.slice", "pids.service", "/_pids.service" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                UnitInfo info = { .name = (char *)cases[i].unit, .slice = (char *)cases[i].slice };
                _cleanup_free_ char *path = unit_future_cgroup(&info);

                ck_assert_str_eq(path, cases[i].path);
                ck_assert_str_eq(unit_of(path), cases[i].unit);
        }
        make("/_cpu.slice/cpu-a.slice/_io.service");
        _cleanup_free_ char *member = NULL;
        ck_assert_int_eq(unit_find_member("cpu-a.slice", &member), 0);
        ck_assert_str_eq(member, "io.service");
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("owner");
        TCase *c = tcase_create("owner");

        tcase_set_timeout(c, 120);
        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_test(c, the_nearest_unit_says_whose_a_cgroup_is);
        tcase_add_test(c, what_is_not_systemds_has_no_unit);
        tcase_add_test(c, an_answer_is_for_one_cgroup);
        tcase_add_test(c, an_answer_about_a_former_cgroup_says_nothing);
        tcase_add_test(c, a_cgroup_that_systemd_takes_over_is_systemds);
        tcase_add_test(c, systemds_attribute_is_worth_more_than_an_earlier_answer);
        tcase_add_test(c, systemd_is_not_poked_by_the_name_of_a_foreign_cgroup);
        tcase_add_test(c, the_table_is_bounded);
        tcase_add_test(c, the_uppermost_without_an_ordinary_node_is_found);
        tcase_add_test(c, a_leaf_that_is_open_by_its_slice_says_so);
        tcase_add_test(c, a_name_of_a_file_of_the_kernel_has_a_prefix);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        return check_main(suite());
}
