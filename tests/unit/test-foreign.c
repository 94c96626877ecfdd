/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/check-main.h"

#include <dirent.h>
#include <sys/xattr.h>

#include "daemon/fence/foreign.h"
#include "daemon/fence/foreign-plan.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/owner.h"
#include "tests/unit/tree.h"

/* Ordinary nodes are 0-1, CDM nodes 2-3. */

static NodeSet list(const char *text)
{
        NodeSet set;

        ck_assert_int_eq(nodeset_parse(text, &set), 0);
        return set;
}

static void assert_list(NodeSet set, const char *expected)
{
        char buf[NODESET_STR_MAX];

        ck_assert_str_eq(nodeset_format(&set, buf), expected);
}

static ForeignGroup group(const char *path, ssize_t parent, const char *mems, const char *effective)
{
        return (ForeignGroup){
                .path = (char *)path,
                .parent = parent,
                .has_cpuset = true,
                .mems = list(mems),
                .effective = list(effective),
        };
}

static ForeignGroup marked(ForeignGroup g, const char *was, const char *set)
{
        g.marked = true;
        g.was = list(was);
        g.set = list(set);
        return g;
}

static ForeignHold hold(const char *path, const char *nodes)
{
        return (ForeignHold){ (char *)path, list(nodes) };
}

static void decide(ForeignGroup *g, size_t n, const ForeignHold *h, size_t n_h)
{
        NodeSet ordinary = list("0-1"), cdm = list("2-3");

        foreign_decide(g, n, h, n_h, &ordinary, &cdm);
}

START_TEST(the_first_name_that_is_no_slice_and_no_unit_is_the_top)
{
        static const struct {
                const char *path, *top;
        } cases[] = {
                { "/", "" },
                { "/docker", "/docker" },
                { "/docker/abc", "/docker" },
                { "/docker/a.service", "/docker" },
                { "/system.slice", "" },
                { "/system.slice/a.service", "" },
                { "/system.slice/a.service/sub", "" },
                { "/init.scope", "" },
                { "/machine.slice/x/y", "/machine.slice/x" },
                { "/a.slice/a-b.slice/x", "/a.slice/a-b.slice/x" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                size_t n = owner_top(cases[i].path);

                ck_assert_uint_eq(n, strlen(cases[i].top));
                ck_assert_int_eq(strncmp(cases[i].path, cases[i].top, n), 0);
        }
}
END_TEST

START_TEST(a_promise_is_for_those_above_and_below)
{
        ForeignHold h[] = { hold("/t/x", "2"), hold("/t/y/z", "3") };

        assert_list(foreign_promised("/t", h, 2), "2-3");
        assert_list(foreign_promised("/t/x", h, 2), "2");
        assert_list(foreign_promised("/t/x/deep", h, 2), "2");
        assert_list(foreign_promised("/t/xx", h, 2), "");
        assert_list(foreign_promised("/t/y", h, 2), "3");
        assert_list(foreign_promised("/t/y/w", h, 2), "");
}
END_TEST

START_TEST(the_top_carries_the_fence)
{
        ForeignGroup g[] = { group("/t", -1, "", "0-3"), group("/t/a", 0, "", "0-3"),
                             group("/t/b", 0, "0-3", "0-3") };

        decide(g, 3, NULL, 0);
        assert_list(g[0].open, "2-3");
        assert_list(g[0].target, "0-1");
        assert_list(g[0].before, "");
        assert_list(g[1].target, "");
        assert_list(g[2].target, "0-3"); /* as before: its parent's confines it */
}
END_TEST

START_TEST(a_set_of_its_own_stays_as_far_as_it_may)
{
        ForeignGroup g[] = { group("/a", -1, "1", "1"), group("/b", -1, "1-2", "1-2"),
                             group("/c", -1, "3", "3") };

        decide(g, 3, NULL, 0);
        assert_list(g[0].target, "1");
        assert_list(g[1].target, "1");
        assert_list(g[2].target, "0-1"); /* never an empty set */
}
END_TEST

START_TEST(a_grant_widens_those_above_and_fences_those_beside)
{
        ForeignHold h[] = { hold("/t/m/x", "2") };
        ForeignGroup g[] = {
                marked(group("/t", -1, "0-1", "0-1"), "", "0-1"),
                group("/t/beside", 0, "", "0-1"),
                group("/t/m", 0, "0-1", "0-1"), /* its own */
                group("/t/m/x", 2, "", "0-1"),
                group("/t/m/beside", 2, "0-3", "0-1"),
                group("/t/m/beside/below", 4, "", "0-1"),
        };

        decide(g, 6, h, 1);
        assert_list(g[0].target, "0-2");
        assert_list(g[0].before, "");
        assert_list(g[1].target, "0-1");
        assert_list(g[2].target, "0-2");
        assert_list(g[3].target, ""); /* the tenant's own set is not decided here */
        assert_list(g[4].target, "0-1");
        assert_list(g[4].before, "0-3");
        assert_list(g[5].target, "");
}
END_TEST

START_TEST(what_a_release_leaves_to_others)
{
        ForeignHold h[] = { hold("/t/y", "3") };
        ForeignGroup g[] = {
                marked(group("/t", -1, "0-3", "0-3"), "", "0-1"),
                marked(group("/t/x", 0, "0-1", "0-1"), "", "0-1"),
                marked(group("/t/y", 0, "0-1,3", "0-1,3"), "", "0-1"),
        };

        decide(g, 3, h, 1);
        assert_list(g[0].target, "0-1,3");
        assert_list(g[1].target, "0-1");
        assert_list(g[2].target, "0-1,3");
        decide(g, 3, NULL, 0);
        assert_list(g[0].target, "0-1");
}
END_TEST

START_TEST(those_below_a_tenant_have_what_it_has)
{
        ForeignHold h[] = { hold("/t", "2") };
        ForeignGroup g[] = {
                group("/t", -1, "0-2", "0-2"),
                group("/t/a", 0, "", "0-2"),
                marked(group("/t/b", 0, "0-1", "0-1"), "", "0-1"), /* for an earlier grant beside it */
                group("/t/c", 0, "0", "0"),
                marked(group("/t/d", 0, "0-1", "0-1"), "0-1", "0-1"),
        };

        decide(g, 5, h, 1);
        assert_list(g[1].target, "");
        assert_list(g[2].target, "0-2");
        assert_list(g[3].target, "0");
        assert_list(g[4].target, "0-1");
}
END_TEST

START_TEST(what_others_write_is_theirs)
{
        ForeignGroup g[] = {
                marked(group("/a", -1, "0", "0"), "", "0-1"),     /* somebody made it smaller */
                marked(group("/b", -1, "0,2", "0,2"), "", "0-1"), /* and somebody larger */
        };

        decide(g, 2, NULL, 0);
        assert_list(g[0].target, "0");
        assert_list(g[1].target, "0");
        assert_list(g[1].before, "0,2");
}
END_TEST

START_TEST(other_ordinary_nodes_are_followed)
{
        NodeSet ordinary = list("0-2"), cdm = list("3");
        ForeignGroup g[] = { marked(group("/a", -1, "0-1", "0-1"), "", "0-1"),
                             marked(group("/b", -1, "1", "1"), "1,3", "1") };

        foreign_decide(g, 2, NULL, 0, &ordinary, &cdm);
        assert_list(g[0].target, "0-2");
        assert_list(g[1].target, "1");
        ordinary = list("0"), cdm = list("1-3");
        foreign_decide(g, 1, NULL, 0, &ordinary, &cdm);
        assert_list(g[0].target, "0");
        assert_list(g[0].before, "");
}
END_TEST

START_TEST(without_the_controller_there_is_nothing_to_write)
{
        ForeignGroup g[] = { group("/t", -1, "", "0-3"),
                             { .path = (char *)"/t/a", .parent = 0 },
                             group("/t/a/b", 1, "", "0-3") };

        decide(g, 3, NULL, 0);
        assert_list(g[1].target, "");
        assert_list(g[2].target, "");
}
END_TEST

/* --- on files ----------------------------------------------------------------------------------------- */

#define TOP "sys/fs/cgroup/"

static char *root;
static Foreign *foreign;

static void put(const char *cgroup, const char *mems, const char *effective)
{
        char path[256];

        snprintf(path, sizeof(path), TOP "%s/cpuset.mems", cgroup);
        tree_write(root, path, mems);
        snprintf(path, sizeof(path), TOP "%s/cpuset.mems.effective", cgroup);
        tree_write(root, path, effective);
}

static void assert_mems(const char *cgroup, const char *expected)
{
        char path[256], *text;

        snprintf(path, sizeof(path), TOP "%s/cpuset.mems", cgroup);
        text = tree_read(root, path);
        ck_assert_ptr_nonnull(text);
        text[strcspn(text, "\n")] = '\0';
        ck_assert_str_eq(text, expected);
        free(text);
}

/* As cdmd starts. */
static void start(void)
{
        NodeSet ordinary = list("0-1"), cdm = list("2-3");
        char *marks = NULL;

        ck_assert_int_ge(asprintf(&marks, "%s/marks", root), 0);
        ck_assert_int_eq(foreign_new(marks, &foreign), 0);
        foreign_set_policy(foreign, &ordinary, &cdm);
        free(marks);
}

static void setup(void)
{
        char *error = NULL;

        root = tree_new();
        tree_write(root, TOP "cgroup.controllers", "cpuset memory");
        put("t", "\n", "0-3");
        put("t/x", "\n", "0-1");
        put("t/y", "\n", "0-1");
        put("own", "1\n", "1");
        put("m.slice/z", "0-3\n", "0-3");
        put("m.slice/a.service", "0-3\n", "0-3");
        put("m.slice/a.service/sub", "0-3\n", "0-3");
        ck_assert_int_eq(cgroup_setup(root, &error), 0);
        start();
}

static void teardown(void)
{
        foreign = foreign_free(foreign);
        tree_remove(root);
}

static void fence(const char *path, const char *open, bool is_open)
{
        ForeignSweep *sweep = NULL;
        ForeignFound found = { 0 };

        ck_assert_int_eq(foreign_fence(foreign, path, 0, NULL, &sweep, &found), 0);
        foreign_sweep_free(sweep);
        assert_list(found.nodes, open);
        ck_assert_int_eq(found.is_open, is_open);
        free(found.cgroup);
}

/* Each cgroup of a tree of three levels, whose names sort around '/', is promised something and gives it back,
 * in an order of its own. What is found of each is what a look at all finds. */
START_TEST(promises_are_found_among_many)
{
        static const char *const names[] = { "x", "x!", "x-", "x.1", "xx", "y" };
        ForeignHold all[512];
        unsigned n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                for (size_t k = 0; k <= ARRAY_SIZE(names); k++)
                        for (size_t l = 0; l <= (k ? ARRAY_SIZE(names) : 0); l++) {
                                char *path = NULL;

                                ck_assert_int_ge(asprintf(&path, "/%s%s%s%s%s", names[i], k ? "/" : "",
                                                          k ? names[k - 1] : "", l ? "/" : "",
                                                          l ? names[l - 1] : ""),
                                                 0);
                                all[n++] = (ForeignHold){ path, NODESET_EMPTY };
                        }
        for (unsigned step = 0; step < 2 * n; step++) {
                /* 197 and n have no common divisor, so that each has its turn once, then once more. */
                ForeignHold *h = &all[step * 197 % n];
                NodeSet nodes = nodeset_of((int)(step % 40));

                if (step % 3 == 0)
                        nodes = NODESET_EMPTY;
                ck_assert_int_eq(foreign_close(foreign, h->path, &nodes), 0);
                h->nodes = nodes;
                for (unsigned i = step % 7; i < n; i += 7) {
                        NodeSet found = foreign_nodes(foreign, all[i].path),
                                expected = foreign_promised(all[i].path, all, n);

                        MUST(nodeset_equal(&found, &expected));
                }
        }
        for (unsigned i = 0; i < n; i++)
                free(all[i].path);
}
END_TEST

START_TEST(all_are_fenced_and_get_back_what_they_had)
{
        NodeSet all = list("0-3");

        fence(NULL, "2-3", false);
        assert_mems("t", "0-1");
        assert_mems("t/x", "");
        assert_mems("own", "1");
        assert_mems("m.slice/z", "0-1");
        assert_mems("m.slice/a.service", "0-3"); /* systemd's */
        fence(NULL, "", false);
        ck_assert_int_eq(foreign_lift(foreign, &all), 0);
        assert_mems("t", "");
        assert_mems("own", "1");
        assert_mems("m.slice/z", "0-3");
}
END_TEST

/* The cgroup's owner can set attributes. What an older cdmd noted there is not used either. */
START_TEST(an_attribute_of_the_cgroup_is_not_believed)
{
        NodeSet all = list("0-3");
        char *path = NULL;

        ck_assert_int_ge(asprintf(&path, "%s/" TOP "own", root), 0);
        int r = setxattr(path, "user.cdmd.mems", "0-1;1", 5, 0);
        free(path);
        if (r < 0) {
                printf("# skipped: no user.* attributes in %s\n", root);
                return;
        }
        fence("/own", "", false);
        assert_mems("own", "1");
        ck_assert_int_eq(foreign_lift(foreign, &all), 0);
        assert_mems("own", "1");
}
END_TEST

START_TEST(what_was_there_is_known_after_a_restart)
{
        NodeSet all = list("0-3");

        fence(NULL, "2-3", false);
        foreign = foreign_free(foreign);
        tree_write(root, "marks/garbage", "1;");
        tree_write(root, "marks/0123456789abcdef", "1;");
        start();
        ck_assert(!tree_exists(root, "marks/garbage"));
        ck_assert(!tree_exists(root, "marks/0123456789abcdef"));
        ck_assert_int_eq(foreign_lift(foreign, &all), 0);
        assert_mems("t", "");
        assert_mems("m.slice/z", "0-3");
}
END_TEST

static void cgroup_name(char buf[static 16], unsigned i)
{
        snprintf(buf, 16, "c%u", i);
}

static unsigned count_marks(void)
{
        char *path = NULL;
        unsigned n = 0;

        ck_assert_int_ge(asprintf(&path, "%s/marks", root), 0);
        DIR *d = opendir(path);
        ck_assert_ptr_nonnull(d);
        for (struct dirent *e; (e = readdir(d));)
                n += e->d_name[0] != '.';
        closedir(d);
        free(path);
        return n;
}

/* Another cgroup of the same name has no mark, and the files do not become ever more. */
START_TEST(a_mark_ends_with_its_cgroup)
{
        NodeSet all = list("0-3");
        char name[16], path[64];

        for (unsigned i = 0; i < 150; i++) {
                cgroup_name(name, i);
                put(name, "0-3\n", "0-3");
                snprintf(path, sizeof(path), "/%s", name);
                fence(path, "2-3", false);
                char *gone = NULL;
                ck_assert_int_ge(asprintf(&gone, "%s/old%u", root, i), 0);
                char *full = NULL;
                ck_assert_int_ge(asprintf(&full, "%s/" TOP "%s", root, name), 0);
                ck_assert_int_eq(rename(full, gone), 0);
                free(full);
                free(gone);
        }
        ck_assert_uint_ge(count_marks(), 1);
        ck_assert_uint_le(count_marks(), 70);
        cgroup_name(name, 149);
        put(name, "0-1\n", "0-1");
        ck_assert_int_eq(foreign_lift(foreign, &all), 0);
        assert_mems(name, "0-1");
}
END_TEST

/* Without any mark of systemd's: what a user owns is confined by its top one, which is all that is written
 * to. */
START_TEST(below_what_a_user_owns_nothing_is_written)
{
        char *path = NULL, *tenant = NULL;
        uint64_t id;

        if (geteuid() != 0) {
                printf("# skipped: only root can give a directory away\n");
                return;
        }
        put("t/x/deep", "0-3\n", "0-1");
        ck_assert_int_ge(asprintf(&path, "%s/" TOP "t", root), 0);
        ck_assert_int_eq(chown(path, 1000, 1000), 0);
        free(path);
        ck_assert_int_eq(foreign_tenant("/t/x", &tenant, &id), 0);
        ck_assert_str_eq(tenant, "/t");
        free(tenant);
        put("t/x", "0-3\n", "0-3");
        fence("/t", "2-3", false);
        assert_mems("t", "0-1");
        assert_mems("t/x", "0-3"); /* of which it has what the one above it has */
}
END_TEST

START_TEST(a_grant_and_its_end)
{
        NodeSet two = list("2"), none = NODESET_EMPTY;

        fence("/t", "2-3", false);
        ck_assert_int_eq(foreign_open(foreign, "/t/x", &two), 0);
        assert_mems("t", "0-2");
        assert_mems("t/x", ""); /* the caller's to write */
        assert_mems("t/y", "0-1");
        assert_list(foreign_nodes(foreign, "/t"), "2");
        put("t/x", "0-2\n", "0-2");
        fence(NULL, "2-3", false); /* m.slice/z only */
        assert_mems("t", "0-2");
        assert_mems("t/x", "0-2");
        put("t/x", "0-1\n", "0-1");
        ck_assert_int_eq(foreign_close(foreign, "/t/x", &none), 0);
        assert_mems("t", "0-1");
        assert_list(foreign_nodes(foreign, "/t"), "");
}
END_TEST

START_TEST(one_that_is_gone_leaves_those_above)
{
        NodeSet two = list("2"), none = NODESET_EMPTY;

        fence("/t", "2-3", false);
        ck_assert_int_eq(foreign_open(foreign, "/t/gone", &two), -ENOENT);
        assert_list(foreign_nodes(foreign, "/t"), "");
        tree_write(root, TOP "t/without/cgroup.procs", "");
        ck_assert_int_eq(foreign_open(foreign, "/t/without", &two), -EOPNOTSUPP);
        assert_list(foreign_nodes(foreign, "/t"), "");
        ck_assert_int_eq(foreign_open(foreign, "/t/x", &two), 0);
        ck_assert_int_eq(foreign_close(foreign, "/t/x", &none), 0);
        ck_assert_int_eq(foreign_close(foreign, "/t/gone", &none), 0);
        assert_mems("t", "0-1");
}
END_TEST

START_TEST(without_a_fence_nothing_is_written)
{
        NodeSet ordinary = list("0-1"), two = list("2");

        foreign_set_policy(foreign, &ordinary, &NODESET_EMPTY);
        fence(NULL, "", false);
        ck_assert_int_eq(foreign_open(foreign, "/t/x", &two), 0);
        assert_mems("t", "");
        assert_list(foreign_nodes(foreign, "/t/x/y"), "2");
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("foreign");
        TCase *c = tcase_create("plan"), *f = tcase_create("files");

        tcase_add_test(c, the_first_name_that_is_no_slice_and_no_unit_is_the_top);
        tcase_add_test(c, a_promise_is_for_those_above_and_below);
        tcase_add_test(c, the_top_carries_the_fence);
        tcase_add_test(c, a_set_of_its_own_stays_as_far_as_it_may);
        tcase_add_test(c, a_grant_widens_those_above_and_fences_those_beside);
        tcase_add_test(c, what_a_release_leaves_to_others);
        tcase_add_test(c, those_below_a_tenant_have_what_it_has);
        tcase_add_test(c, what_others_write_is_theirs);
        tcase_add_test(c, other_ordinary_nodes_are_followed);
        tcase_add_test(c, without_the_controller_there_is_nothing_to_write);
        suite_add_tcase(s, c);
        tcase_add_checked_fixture(f, setup, teardown);
        tcase_set_timeout(f, 0); /* files are slow on some disks */
        tcase_add_test(f, promises_are_found_among_many);
        tcase_add_test(f, all_are_fenced_and_get_back_what_they_had);
        tcase_add_test(f, a_mark_ends_with_its_cgroup);
        tcase_add_test(f, below_what_a_user_owns_nothing_is_written);
        tcase_add_test(f, what_was_there_is_known_after_a_restart);
        tcase_add_test(f, an_attribute_of_the_cgroup_is_not_believed);
        tcase_add_test(f, a_grant_and_its_end);
        tcase_add_test(f, one_that_is_gone_leaves_those_above);
        tcase_add_test(f, without_a_fence_nothing_is_written);
        suite_add_tcase(s, f);
        return s;
}

int main(void)
{
        return check_main(suite());
}
