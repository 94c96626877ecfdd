/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tenants below a delegated unit, on a tree of plain files: nobody moves pages, and no set follows another one. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "daemon/fence/subtenant.h"
#include "daemon/kernel/cgroup.h"
#include "tests/unit/check-main.h"
#include "tests/unit/tree.h"

#define CG   "sys/fs/cgroup"
#define UNIT "/system.slice/slurmstepd.scope"
#define MANY (SUBTENANTS_MAX + 100)

static char *root;

static NodeSet list(const char *text)
{
        NodeSet set;

        ck_assert_int_eq(nodeset_parse(text, &set), 0);
        return set;
}

static void put(const char *cgroup, const char *file, const char *text)
{
        char path[256];

        snprintf(path, sizeof(path), CG "%s/%s", cgroup, file);
        tree_write(root, path, text);
}

static void make(const char *cgroup, const char *mems)
{
        put(cgroup, "cgroup.procs", "");
        put(cgroup, "cgroup.subtree_control", "cpuset memory\n");
        put(cgroup, "cgroup.events", "populated 1\nfrozen 0\n");
        put(cgroup, "cpuset.mems", mems);
        put(cgroup, "cpuset.mems.effective", "0-3\n");
}

static void assert_mems(const char *cgroup, const char *expected)
{
        char path[256], buf[NODESET_STR_MAX];
        NodeSet set;

        snprintf(path, sizeof(path), CG "%s/cpuset.mems", cgroup);
        char *text = tree_read(root, path);
        ck_assert_ptr_nonnull(text);
        text[strcspn(text, "\n")] = '\0';
        ck_assert_int_eq(nodeset_parse(text, &set), 0);
        ck_assert_msg(strcmp(nodeset_format(&set, buf), expected) == 0, "%s has %s, not %s", cgroup, buf,
                      expected);
        free(text);
}

static void change_mode(const char *cgroup, const char *file, mode_t mode)
{
        char *path;

        ck_assert_int_ge(asprintf(&path, "%s/" CG "%s/%s", root, cgroup, file), 0);
        ck_assert_int_eq(chmod(path, mode), 0);
        free(path);
}

static void configure(const char *word)
{
        NodeSet ordinary = list("0-1"), cdm = list("2-3");
        Subtree s;

        ck_assert_int_eq(subtree_parse(word, &s), 0);
        ck_assert_int_eq(subtenant_configure(&s, 1, &ordinary, &cdm), 0);
        subtree_clear(&s);
}

static void setup(void)
{
        char *error = NULL;

        root = tree_new();
        put("", "cgroup.controllers", "cpuset cpu memory pids\n");
        ck_assert_int_eq(cgroup_setup(root, &error), 0);
        make("/system.slice", "");
        make(UNIT, "0-1\n");
        make(UNIT "/system", "");
        make(UNIT "/job_1", "0-3\n");
        make(UNIT "/job_1/step_0", "");
        make(UNIT "/job_1/step_0/slurm", "");
        make(UNIT "/job_1/step_0/user", "0-1\n");
        make(UNIT "/job_2", "0-3\n");
        make(UNIT "/job_2/step_0", "");
        make(UNIT "/job_2/step_1", "1-3\n");
        make(UNIT "/job_2/step_1/user", "0-3\n");
        configure("*slurmstepd.scope:job_*/step_*");
}

static void teardown(void)
{
        subtenant_forget();
        tree_remove(root);
}

static int find(const char *path)
{
        char *tenant = NULL;
        uint64_t id = 0;
        int r = subtenant_find("slurmstepd.scope", UNIT, path, &tenant, &id);

        if (r == 0) {
                ck_assert_str_eq(tenant, UNIT "/job_1");
                ck_assert_uint_ne(id, 0);
        }
        free(tenant);
        return r;
}

static int open_nodes(const char *path, const char *nodes)
{
        SubtenantUnit unit = { 0 };
        NodeSet set = list(nodes);
        char *message = NULL;
        int r = subtenant_open(path, 0, &set, &unit, &message);

        ck_assert(r < 0 || strcmp(unit.name, "slurmstepd.scope") == 0);
        ck_assert(r < 0 || nodeset_is_subset(&set, &unit.nodes));
        free(unit.name);
        free(message);
        return r;
}

static void close_nodes(const char *path, const char *left)
{
        SubtenantUnit unit = { 0 };
        NodeSet set = list(left);

        ck_assert_int_eq(subtenant_close(path, 0, &set, &unit), 0);
        free(unit.name);
}

static uint64_t id_of(const char *path)
{
        uint64_t id;
        int fd = cgroup_open(path, &id);

        ck_assert_int_ge(fd, 0);
        close(fd);
        return id;
}

START_TEST(what_is_in_a_tenant_is_the_tenants)
{
        ck_assert_int_eq(find(UNIT "/job_1"), 0);
        ck_assert_int_eq(find(UNIT "/job_1/step_0/user"), 0);
        ck_assert_int_eq(find(UNIT "/system"), -ENOENT);
        ck_assert_int_eq(find(UNIT), -ENOENT);
        ck_assert_int_eq(find("/system.slice/slurmstepd.scope2/job_1"), -ENOENT);
        ck_assert_int_eq(find(UNIT "/job_7"), -ESRCH);
        put(UNIT "/job_1", "cgroup.events", "populated 0\nfrozen 0\n");
        ck_assert_int_eq(find(UNIT "/job_1"), -ESRCH);
        ck_assert(subtenant_is_one(UNIT "/job_1"));
        ck_assert(!subtenant_is_one(UNIT "/job_1/step_0"));
        ck_assert(!subtenant_is_one(UNIT "/system"));
        ck_assert(!subtenant_is_one("/foreign/job_1"));
}
END_TEST

START_TEST(only_what_is_roots_is_a_tenant)
{
        static const struct {
                const char *cgroup, *file;
        } cases[] = { { UNIT "/job_1", "." },
                      { UNIT "/job_1", "cgroup.procs" },
                      { UNIT "/job_1", "cgroup.subtree_control" },
                      { UNIT, "." },
                      { UNIT, "cgroup.procs" },
                      { UNIT, "cgroup.subtree_control" } };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                change_mode(cases[i].cgroup, cases[i].file, 0777);
                ck_assert_msg(find(UNIT "/job_1/step_0") == -EACCES, "%s of %s", cases[i].file,
                              cases[i].cgroup);
                change_mode(cases[i].cgroup, cases[i].file, 0755);
                ck_assert_int_eq(find(UNIT "/job_1"), 0);
        }
}
END_TEST

START_TEST(what_is_marked_as_delegated_is_none)
{
        char *path;

        ck_assert_int_ge(asprintf(&path, "%s/" CG UNIT "/job_1", root), 0);
        if (setxattr(path, "user.delegate", "1", 1, 0) == 0)
                ck_assert_int_eq(find(UNIT "/job_1"), -EACCES);
        else
                fprintf(stderr, "this file system has no attributes\n");
        free(path);
}
END_TEST

START_TEST(all_are_fenced_before_the_unit_opens)
{
        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), 0);
        assert_mems(UNIT, "0-2");
        assert_mems(UNIT "/system", "0-1");
        assert_mems(UNIT "/job_2", "0-1");
        assert_mems(UNIT "/job_2/step_0", "0-1");
        assert_mems(UNIT "/job_2/step_1", "1"); /* of the ordinary nodes what it had */
        assert_mems(UNIT "/job_2/step_1/user", "0-3");
        assert_mems(UNIT "/job_1", "0-2");
        assert_mems(UNIT "/job_1/step_0", "0-2");
        assert_mems(UNIT "/job_1/step_0/slurm", "");
        assert_mems(UNIT "/job_1/step_0/user", "0-2"); /* what the manager narrowed */
        ck_assert(subtenant_is_split(UNIT));
}
END_TEST

START_TEST(a_close_leaves_what_others_have)
{
        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2-3"), 0);
        ck_assert_int_eq(open_nodes(UNIT "/job_2", "3"), 0);
        assert_mems(UNIT, "0-3");
        close_nodes(UNIT "/job_1", "2");
        assert_mems(UNIT "/job_1/step_0", "0-2");
        assert_mems(UNIT, "0-3");
        close_nodes(UNIT "/job_1", "");
        assert_mems(UNIT "/job_1/step_0", "0-1");
        assert_mems(UNIT "/job_2/step_0", "0-1,3");
        assert_mems(UNIT, "0-1,3");
        close_nodes(UNIT "/job_2", "");
        assert_mems(UNIT "/job_2/step_0", "0-1");
        assert_mems(UNIT, "0-1");
        ck_assert(!subtenant_is_split(UNIT));
}
END_TEST

START_TEST(a_pass_finds_what_is_new_and_what_ended)
{
        SubtenantFound found = { 0 };

        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), 0);
        make(UNIT "/job_2/step_2", "0-2\n");
        make(UNIT "/job_3", "0-2\n");
        make(UNIT "/job_1/step_1", "0-1\n");
        put(UNIT "/job_1", "cpuset.mems", "0-1\n");
        put(UNIT, "cpuset.mems", "0-1\n");
        ck_assert_int_eq(subtenant_fence(&found), 0);
        assert_mems(UNIT "/job_2/step_2", "0-1");
        assert_mems(UNIT "/job_3", "0-1");
        assert_mems(UNIT "/job_1/step_1", "0-2");
        assert_mems(UNIT "/job_1", "0-2");
        assert_mems(UNIT, "0-2");
        ck_assert_uint_eq(found.n_ended, 0);
        ck_assert_ptr_nonnull(found.cgroup);
        ck_assert(!found.is_open);
        subtenant_found_clear(&found);

        put(UNIT "/job_1", "cgroup.events", "populated 0\nfrozen 0\n");
        ck_assert_int_eq(subtenant_fence(&found), 0);
        ck_assert_uint_eq(found.n_ended, 1);
        ck_assert_str_eq(found.ended[0], UNIT "/job_1");
        subtenant_found_clear(&found);
}
END_TEST

/* A job that a manager starts anew has the path of the one that ended, and not its nodes. */
START_TEST(a_promise_is_of_one_inode)
{
        NodeSet node = list("2"), none = NODESET_EMPTY, nodes;
        SubtenantFound found = { 0 };
        SubtenantUnit unit = { 0 };
        uint64_t id = id_of(UNIT "/job_1");
        char *message = NULL;

        ck_assert_int_eq(subtenant_open(UNIT "/job_1", id, &node, &unit, &message), 0);
        assert_mems(UNIT "/job_1", "0-2");
        ck_assert_int_eq(subtenant_hold(UNIT "/job_2", id_of(UNIT "/job_2") + 1, &node), 0);
        ck_assert_int_eq(subtenant_fence(&found), 0);
        assert_mems(UNIT "/job_2", "0-1");
        assert_mems(UNIT "/job_2/step_0", "0-1");
        ck_assert_uint_eq(found.n_ended, 1);
        ck_assert_str_eq(found.ended[0], UNIT "/job_2");
        subtenant_found_clear(&found);

        /* The end of an earlier one of that path takes nothing away from the present one. */
        ck_assert_int_eq(subtenant_close(UNIT "/job_1", id + 1, &none, &unit), 0);
        assert_mems(UNIT "/job_1/step_0", "0-2");
        ck_assert(subtenant_promised(UNIT "/job_1/step_0", &nodes));
        ck_assert(nodeset_equal(&nodes, &node));
        ck_assert(subtenant_promised(UNIT "/job_3", &nodes));
        ck_assert(nodeset_is_empty(&nodes));
        ck_assert(!subtenant_promised("/system.slice/slurmstepd.scope", &nodes));
        ck_assert_int_eq(subtenant_close(UNIT "/job_1", id, &none, &unit), 0);
        assert_mems(UNIT "/job_1/step_0", "0-1");
        ck_assert_str_eq(unit.name, "slurmstepd.scope");
        free(unit.name);
}
END_TEST

static void assert_unit_is_told(const char *ended, const char *expected)
{
        SubtenantUnit unit = { 0 };
        NodeSet none = NODESET_EMPTY, set = list(expected);

        ck_assert_int_eq(subtenant_close(ended, 0, &none, &unit), 0);
        ck_assert_ptr_nonnull(unit.name);
        ck_assert_str_eq(unit.name, "slurmstepd.scope");
        unit.nodes = subtenant_unit_written(unit.name, &unit.nodes);
        ck_assert(nodeset_equal(&unit.nodes, &set));
        free(unit.name);
}

/* systemd keeps the set of a unit that ended, for the next start. */
START_TEST(a_unit_that_ended_is_closed_for_its_next_start)
{
        char *gone;

        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), 0);
        ck_assert_int_eq(open_nodes(UNIT "/job_2", "3"), 0);
        ck_assert_int_ge(asprintf(&gone, "%s/" CG UNIT, root), 0);
        ck_assert_int_eq(nftw(gone, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
        free(gone);
        assert_unit_is_told(UNIT "/job_1", "0-1,3");
        assert_unit_is_told(UNIT "/job_2", "0-1");
        ck_assert(!subtenant_is_split(UNIT));
}
END_TEST

/* The fence takes away what no tenant below the unit has, and nothing else. */
START_TEST(the_fence_leaves_the_nodes_of_tenants)
{
        NodeSet ordinary = list("0-1");

        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), 0);
        make(UNIT, "0-3\n");
        ck_assert_int_eq(subtenant_write_unit(UNIT, &ordinary), 0);
        assert_mems(UNIT, "0-2");
        close_nodes(UNIT "/job_1", "");
        ck_assert_int_eq(subtenant_write_unit(UNIT, &ordinary), 0);
        assert_mems(UNIT, "0-1");
}
END_TEST

START_TEST(who_is_no_longer_roots_loses_it)
{
        SubtenantFound found = { 0 };

        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), 0);
        change_mode(UNIT "/job_1", ".", 0777);
        ck_assert_int_eq(subtenant_fence(&found), 0);
        assert_mems(UNIT "/job_1", "0-1");
        assert_mems(UNIT "/job_1/step_0", "0-1");
        subtenant_found_clear(&found);
}
END_TEST

START_TEST(a_unit_that_cannot_be_fenced_is_not_opened)
{
        char *file;

        change_mode(UNIT "/system", "cpuset.mems", 0666);
        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), -EPERM);
        assert_mems(UNIT, "0-1");
        assert_mems(UNIT "/job_1/step_0", "0-1");
        ck_assert(!subtenant_is_split(UNIT));
        change_mode(UNIT "/system", "cpuset.mems", 0644);
        ck_assert_int_ge(asprintf(&file, "%s/" CG UNIT "/system/cpuset.mems", root), 0);
        ck_assert_int_eq(unlink(file), 0);
        free(file);
        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), -EOPNOTSUPP);
        assert_mems(UNIT, "0-1");
}
END_TEST

START_TEST(a_unit_with_too_many_is_not_opened)
{
        unsigned n_written = 0;
        char path[128];

        for (int i = 10; i < 10 + MANY; i++) {
                snprintf(path, sizeof(path), UNIT "/job_%d", i);
                make(path, "");
        }
        put(UNIT, "cpuset.mems.effective", "0-1\n");
        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), -E2BIG);
        assert_mems(UNIT, "0-1");
        for (int i = 10; i < 10 + MANY; i++) {
                snprintf(path, sizeof(path), "sys/fs/cgroup" UNIT "/job_%d/cpuset.mems", i);
                char *text = tree_read(root, path);
                n_written += text[0] != '\0';
                free(text);
        }
        ck_assert_uint_le(n_written, SUBTENANTS_MAX + 1);
}
END_TEST

/* Those that come while the unit is open must not be open as well, however many there are. */
START_TEST(an_open_unit_is_fenced_whole)
{
        SubtenantFound found = { 0 };
        char path[128];

        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), 0);
        for (int i = 10; i < 10 + MANY; i++) {
                snprintf(path, sizeof(path), UNIT "/job_%d", i);
                make(path, "");
        }
        ck_assert_int_eq(subtenant_fence(&found), 0);
        ck_assert_ptr_nonnull(strstr(found.message, "more than 1024 tenants"));
        subtenant_found_clear(&found);
        for (int i = 10; i < 10 + MANY; i++) {
                snprintf(path, sizeof(path), UNIT "/job_%d", i);
                assert_mems(path, "0-1");
        }
        assert_mems(UNIT "/job_1/step_0", "0-2");
        ck_assert_int_eq(open_nodes(UNIT "/job_2", "3"), -E2BIG);
        assert_mems(UNIT, "0-2");
}
END_TEST

START_TEST(a_unit_that_cannot_be_watched_is_not_opened)
{
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        subtenant_watch(null); /* no inotify instance */
        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), -EINVAL);
        assert_mems(UNIT, "0-1");
        subtenant_watch(-EBADF);
        close(null);
}
END_TEST

START_TEST(without_a_level_the_tenant_is_its_own)
{
        configure("slurmstepd.scope:job_*");
        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), 0);
        assert_mems(UNIT "/job_1", "0-2");
        assert_mems(UNIT "/job_1/step_0", "");
        assert_mems(UNIT "/job_1/step_0/user", "0-2");
        assert_mems(UNIT "/job_2", "0-1");
        assert_mems(UNIT "/job_2/step_1", "1-3");
}
END_TEST

/* The cgroup of memory.scope is _memory.scope, as the kernel has files memory.*. */
START_TEST(a_unit_is_known_by_its_name)
{
        NodeSet node = list("2"), nodes;
        SubtenantUnit unit = { 0 };
        char *message = NULL;

        configure("memory.scope:job_*");
        make("/system.slice/_memory.scope", "0-1\n");
        make("/system.slice/_memory.scope/job_1", "0-1\n");
        ck_assert(subtenant_is_one("/system.slice/_memory.scope/job_1"));
        ck_assert_int_eq(subtenant_open("/system.slice/_memory.scope/job_1", 0, &node, &unit, &message), 0);
        assert_mems("/system.slice/_memory.scope/job_1", "0-2");
        ck_assert_str_eq(unit.name, "memory.scope");
        nodes = subtenant_unit_nodes("memory.scope");
        ck_assert(nodeset_equal(&nodes, &node));
        free(unit.name);
}
END_TEST

START_TEST(without_a_fence_nothing_is_written)
{
        NodeSet ordinary = list("0-3"), none = list("");
        Subtree s;

        ck_assert_int_eq(subtree_parse("slurmstepd.scope:job_*", &s), 0);
        ck_assert_int_eq(subtenant_configure(&s, 1, &ordinary, &none), 0);
        subtree_clear(&s);
        close_nodes(UNIT "/job_1", "");
        assert_mems(UNIT "/job_1", "0-3");
        assert_mems(UNIT "/job_2/step_1", "1-3");
}
END_TEST

START_TEST(lifted_all_have_all)
{
        NodeSet all = list("0-3");

        /* A mark of systemd's would do as well, which not every file system can have. */
        change_mode(UNIT, ".", 0777);
        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), -EPERM);
        change_mode(UNIT, ".", 0755);
        ck_assert_int_eq(open_nodes(UNIT "/job_1", "2"), 0);
        change_mode(UNIT, ".", 0777);
        ck_assert_int_eq(subtenant_lift(&all), 0);
        assert_mems(UNIT "/job_1/step_0", "0-3");
        assert_mems(UNIT "/job_2/step_0", "0-3");
        assert_mems(UNIT "/job_2/step_1", "1");
        assert_mems(UNIT "/system", "0-3");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("subtenant");
        TCase *t = tcase_create("all");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, what_is_in_a_tenant_is_the_tenants);
        tcase_add_test(t, only_what_is_roots_is_a_tenant);
        tcase_add_test(t, what_is_marked_as_delegated_is_none);
        tcase_add_test(t, all_are_fenced_before_the_unit_opens);
        tcase_add_test(t, a_close_leaves_what_others_have);
        tcase_add_test(t, a_pass_finds_what_is_new_and_what_ended);
        tcase_add_test(t, a_promise_is_of_one_inode);
        tcase_add_test(t, a_unit_that_ended_is_closed_for_its_next_start);
        tcase_add_test(t, the_fence_leaves_the_nodes_of_tenants);
        tcase_add_test(t, who_is_no_longer_roots_loses_it);
        tcase_add_test(t, a_unit_that_cannot_be_fenced_is_not_opened);
        tcase_add_test(t, a_unit_with_too_many_is_not_opened);
        tcase_add_test(t, an_open_unit_is_fenced_whole);
        tcase_add_test(t, a_unit_that_cannot_be_watched_is_not_opened);
        tcase_add_test(t, without_a_level_the_tenant_is_its_own);
        tcase_add_test(t, a_unit_is_known_by_its_name);
        tcase_add_test(t, without_a_fence_nothing_is_written);
        tcase_add_test(t, lifted_all_have_all);
        suite_add_tcase(s, t);
        return check_main(s);
}
