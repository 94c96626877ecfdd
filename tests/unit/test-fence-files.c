/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/pid1/fence-files.h"
#include "tests/unit/check-main.h"
#include "tests/unit/tree.h"

#define FENCE  "10-cdmd-fence.conf"
#define EXEMPT "20-cdmd-exempt.conf"
#define PIN    "20-cdmd-pin.conf"
#define STATIC "30-cdmd-static.conf"

static NodeSet list(const char *text)
{
        NodeSet set;

        ck_assert_int_eq(nodeset_parse(text, &set), 0);
        return set;
}

static PoolSet pools(const char *ordinary, const char *cdm)
{
        return (PoolSet){ .ordinary = list(ordinary), .cdm = list(cdm) };
}

static bool write_files(const char *dir, const Config *config, const PoolSet *p)
{
        bool changed;

        ck_assert_int_eq(fence_files_write(dir, config, p, &changed), 0);
        return changed;
}

static void assert_ends_with(const char *dir, const char *path, const char *end)
{
        char *text = tree_read(dir, path);

        ck_assert_msg(text != NULL, "%s is missing", path);
        ck_assert_msg(strlen(text) > strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0,
                      "%s is '%s'", path, text);
        ck_assert_int_eq(text[0], '#'); /* who wrote it and how to lift it */
        free(text);
}

START_TEST(every_type_of_leaf_is_fenced_and_cdmd_is_not)
{
        char *dir = tree_new();
        PoolSet p = pools("0-1,8", "2-3");
        Config c = { 0 };

        ck_assert(!fence_files_present(dir, &c, &p));
        ck_assert(write_files(dir, &c, &p));
        assert_ends_with(
                dir, "service.d/" FENCE,
                "\n[Service]\nStartupAllowedMemoryNodes=\nAllowedMemoryNodes=\nAllowedMemoryNodes=0-1,8\n");
        assert_ends_with(
                dir, "scope.d/" FENCE,
                "\n[Scope]\nStartupAllowedMemoryNodes=\nAllowedMemoryNodes=\nAllowedMemoryNodes=0-1,8\n");
        assert_ends_with(
                dir, "mount.d/" FENCE,
                "\n[Mount]\nStartupAllowedMemoryNodes=\nAllowedMemoryNodes=\nAllowedMemoryNodes=0-1,8\n");
        assert_ends_with(
                dir, "socket.d/" FENCE,
                "\n[Socket]\nStartupAllowedMemoryNodes=\nAllowedMemoryNodes=\nAllowedMemoryNodes=0-1,8\n");
        assert_ends_with(
                dir, "swap.d/" FENCE,
                "\n[Swap]\nStartupAllowedMemoryNodes=\nAllowedMemoryNodes=\nAllowedMemoryNodes=0-1,8\n");
        assert_ends_with(dir, "cdmd.service.d/" EXEMPT, "\n[Service]\nAllowedMemoryNodes=\n");
        /* of slices only what would count while cdmd is not there */
        assert_ends_with(dir, "slice.d/" FENCE, "\n[Slice]\nStartupAllowedMemoryNodes=\n");
        ck_assert(fence_files_present(dir, &c, &p));
        ck_assert(!write_files(dir, &c, &p)); /* the same again changes nothing */
        tree_remove(dir);
}
END_TEST

START_TEST(exempt_and_pinned_units)
{
        char *dir = tree_new();
        char *exempt[] = { (char *)"gpu.service", (char *)"job.scope", (char *)"gpu.service",
                           (char *)"t@1.service", NULL };
        Pin pins[] = { { (char *)"db.service", list("1-2") }, { (char *)"far.service", list("2") } };
        Config c = { .exempt = exempt, .pins = pins, .n_pins = 2 };
        PoolSet p = pools("0-1", "2-3");

        ck_assert(write_files(dir, &c, &p));
        assert_ends_with(dir, "gpu.service.d/" EXEMPT, "\n[Service]\nAllowedMemoryNodes=\n");
        assert_ends_with(dir, "job.scope.d/" EXEMPT, "\n[Scope]\nAllowedMemoryNodes=\n");
        assert_ends_with(dir, "t@1.service.d/" EXEMPT, "\n[Service]\nAllowedMemoryNodes=\n");
        assert_ends_with(
                dir, "db.service.d/" PIN,
                "\n[Service]\nStartupAllowedMemoryNodes=\nAllowedMemoryNodes=\nAllowedMemoryNodes=1\n");
        /* a pin to nothing but CDM nodes leaves the unit in the fence, it does not open it */
        ck_assert(!tree_exists(dir, "far.service.d"));
        ck_assert(fence_files_present(dir, &c, &p));
        tree_remove(dir);
}
END_TEST

START_TEST(static_rules_reserve_before_the_unit_starts)
{
        static const char wants[] = "\n[Unit]\nWants=cdmd-static@%n.service\nAfter=cdmd-static@%n.service\n";
        char *dir = tree_new();
        char *names[] = { (char *)"job.service", (char *)"t@.service", (char *)"train-*.service", NULL };
        char *again[] = { (char *)"job.service", (char *)"strict.service",
                          (char *)"machine-qemu\\x2d*\\x2dm[12].scope", NULL };
        char *scopes[] = { (char *)"vm.scope", (char *)"libpod-a-b?.scope", (char *)"machine-*.scope",
                           NULL };
        Rule plain = { .file = (char *)"/etc/cdm/policy.d/a.conf", .units = names, .has_static = true };
        Rule strict = { .file = (char *)"/etc/cdm/policy.d/b.conf",
                        .units = again,
                        .has_static = true,
                        .static_required = true };
        Rule other = { .file = (char *)"/etc/cdm/policy.d/c.conf", .units = names };
        Rule machines = { .file = (char *)"/etc/cdm/policy.d/d.conf", .units = scopes, .has_static = true };
        Rule *rules[] = { &plain, &strict, &other, &machines };
        Config c = { .rules = rules, .n_rules = 4 };
        PoolSet p = pools("0-1", "2-3");
        char *text;

        ck_assert(write_files(dir, &c, &p));
        assert_ends_with(dir, "t@.service.d/" STATIC, wants);
        assert_ends_with(dir, "train-.service.d/" STATIC, wants);
        assert_ends_with(dir, "strict.service.d/" STATIC,
                         "\n[Unit]\nRequires=cdmd-static-required@%n.service\n"
                         "After=cdmd-static-required@%n.service\n");
        /* the first rule that names it decides, as everywhere */
        assert_ends_with(dir, "job.service.d/" STATIC, wants);
        text = tree_read(dir, "job.service.d/" STATIC);
        ck_assert_ptr_nonnull(strstr(text, "/etc/cdm/policy.d/a.conf"));
        free(text);
        assert_ends_with(dir, "vm.scope.d/" STATIC, wants);
        assert_ends_with(dir, "libpod-a-.scope.d/" STATIC, wants);
        assert_ends_with(dir, "machine-.scope.d/" STATIC,
                         "\n[Unit]\nRequires=cdmd-static-required@%n.service\n"
                         "After=cdmd-static-required@%n.service\n");
        ck_assert(fence_files_present(dir, &c, &p));
        c.n_rules = 0;
        ck_assert(!fence_files_present(dir, &c, &p));
        ck_assert(write_files(dir, &c, &p));
        ck_assert(!tree_exists(dir, "train-.service.d") && !tree_exists(dir, "job.service.d"));
        tree_remove(dir);
}
END_TEST

START_TEST(names_that_are_no_units_write_nothing)
{
        char *dir = tree_new(), *long_name = calloc(1, 400);
        char *exempt[] = { (char *)"../evil.service",
                           (char *)"a/b.service",
                           (char *)".service",
                           (char *)"noext",
                           (char *)"x.slice",
                           (char *)"x.timer",
                           (char *)"",
                           (char *)"a b.service",
                           long_name,
                           NULL };
        Config c = { .exempt = exempt };
        PoolSet p = pools("0", "1");

        memset(long_name, 'a', 300);
        strcat(long_name, ".service");
        ck_assert(write_files(dir, &c, &p));
        for (char **name = exempt; *name; name++) {
                char path[512];

                snprintf(path, sizeof(path), "%s.d", *name);
                ck_assert_msg(!tree_exists(dir, path), "'%s' was written", *name);
        }
        free(long_name);
        tree_remove(dir);
}
END_TEST

START_TEST(another_configuration_replaces_the_files)
{
        char *dir = tree_new();
        char *first[] = { (char *)"gpu.service", (char *)"mine.service", NULL };
        Config a = { .exempt = first }, b = { 0 };
        PoolSet p = pools("0-1", "2-3"), q = pools("0-2", "3");

        tree_write(dir, "mine.service.d/20-mine.conf", "[Service]\nNice=5\n");
        tree_write(dir, "service.d/50-other.conf", "[Service]\nNice=5\n");
        ck_assert(write_files(dir, &a, &p));
        ck_assert(!fence_files_present(dir, &b, &p)); /* one file too many */
        ck_assert(!fence_files_present(dir, &a, &q));
        ck_assert(write_files(dir, &b, &q));
        ck_assert(!tree_exists(dir, "gpu.service.d"));
        ck_assert(!tree_exists(dir, "mine.service.d/" EXEMPT));
        ck_assert(tree_exists(dir, "mine.service.d/20-mine.conf"));
        ck_assert(tree_exists(dir, "service.d/50-other.conf"));
        assert_ends_with(dir, "service.d/" FENCE, "\nAllowedMemoryNodes=0-2\n");
        tree_remove(dir);
}
END_TEST

START_TEST(lifting_removes_what_was_written_and_nothing_else)
{
        char *dir = tree_new();
        PoolSet p = pools("0-1", "2-3"), none = pools("0-3", "");
        Config c = { 0 };
        bool changed;

        tree_write(dir, "service.d/50-other.conf", "[Service]\nNice=5\n");
        write_files(dir, &c, &p);
        ck_assert_int_eq(fence_files_remove(dir, &changed), 0);
        ck_assert(changed);
        ck_assert(!tree_exists(dir, "scope.d") && !tree_exists(dir, "cdmd.service.d"));
        ck_assert(!tree_exists(dir, "service.d/" FENCE));
        ck_assert(tree_exists(dir, "service.d/50-other.conf"));
        ck_assert_int_eq(fence_files_remove(dir, &changed), 0);
        ck_assert(!changed);
        ck_assert_int_eq(fence_files_remove("/nonexistent/folder", &changed), 0);

        /* no CDM nodes (any more): likewise */
        write_files(dir, &c, &p);
        ck_assert(write_files(dir, &c, &none));
        ck_assert(!tree_exists(dir, "scope.d"));
        ck_assert(fence_files_present(dir, &c, &none));
        tree_remove(dir);
}
END_TEST

START_TEST(without_ordinary_memory_nothing_is_written)
{
        char *dir = tree_new();
        PoolSet none_left = pools("", "0-1"), both = pools("0-1", "1");
        Config c = { 0 };
        bool changed = false;

        ck_assert_int_eq(fence_files_write(dir, &c, &none_left, &changed), -ENOSPC);
        ck_assert_int_eq(fence_files_write(dir, &c, &both, &changed), -ENOSPC);
        ck_assert(!changed);
        ck_assert(!tree_exists(dir, "service.d") && !tree_exists(dir, "cdmd.service.d"));
        tree_remove(dir);
}
END_TEST

START_TEST(what_others_put_in_the_way)
{
        char *dir = tree_new();
        PoolSet p = pools("0", "1");
        Config c = { 0 };
        bool changed;

        /* a link is replaced, not written through; a leftover of a writer that was killed is no obstacle */
        tree_write(dir, "victim", "precious\n");
        tree_symlink(dir, "service.d/" FENCE, "../victim");
        tree_write(dir, "scope.d/.#" FENCE ".tmp", "half");
        ck_assert(write_files(dir, &c, &p));
        assert_ends_with(dir, "service.d/" FENCE, "\nAllowedMemoryNodes=0\n");
        {
                char *text = tree_read(dir, "victim");

                ck_assert_str_eq(text, "precious\n");
                free(text);
        }
        ck_assert(!tree_exists(dir, "scope.d/.#" FENCE ".tmp"));
        /* a file in the place of a folder is an error, not a crash */
        tree_write(dir, "x/mount.d", "");
        {
                char *below = NULL;

                ck_assert_int_ge(asprintf(&below, "%s/x", dir), 0);
                ck_assert_int_eq(fence_files_write(below, &c, &p, &changed), -ENOTDIR);
                free(below);
        }
        tree_remove(dir);
}
END_TEST

START_TEST(a_decision_comes_whole_and_can_be_nothing)
{
        char *root = tree_new(), *dir = tree_make_parents(root, "run/cdmd/x"), *decided = NULL;
        PoolSet p = pools("0-1", "2-3"), q = pools("0-2", "3");
        Config c = { 0 };
        NodeSet nodes;

        ck_assert_int_ge(asprintf(&decided, "%s/run/cdmd/fence", root), 0);
        ck_assert_int_eq(fence_files_copy_decided(root, root), -ENOENT);
        ck_assert_int_eq(fence_files_ordinary(decided, &nodes), -ENOENT);
        ck_assert_int_eq(fence_files_decide(root, &c, &p), 0);
        ck_assert(fence_files_present(decided, &c, &p));
        ck_assert(!tree_exists(root, "run/cdmd/.fence.new"));
        ck_assert_int_eq(fence_files_ordinary(decided, &nodes), 0);
        ck_assert(nodeset_equal(&nodes, &p.ordinary));
        ck_assert_int_eq(fence_files_decide(root, &c, &q), 0);
        ck_assert(fence_files_present(decided, &c, &q));
        ck_assert_int_eq(fence_files_copy_decided(root, root), 0);
        ck_assert(fence_files_present(root, &c, &q));
        ck_assert_int_eq(fence_files_decide(root, NULL, NULL), 0);
        ck_assert_int_eq(fence_files_ordinary(decided, &nodes), -ENOENT);
        ck_assert(tree_exists(root, "run/cdmd/fence"));
        free(dir);
        free(decided);
        tree_remove(root);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("fence-files");
        TCase *c = tcase_create("files");

        tcase_add_test(c, every_type_of_leaf_is_fenced_and_cdmd_is_not);
        tcase_add_test(c, exempt_and_pinned_units);
        tcase_add_test(c, static_rules_reserve_before_the_unit_starts);
        tcase_add_test(c, names_that_are_no_units_write_nothing);
        tcase_add_test(c, another_configuration_replaces_the_files);
        tcase_add_test(c, lifting_removes_what_was_written_and_nothing_else);
        tcase_add_test(c, without_ordinary_memory_nothing_is_written);
        tcase_add_test(c, what_others_put_in_the_way);
        tcase_add_test(c, a_decision_comes_whole_and_can_be_nothing);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        return check_main(suite());
}
