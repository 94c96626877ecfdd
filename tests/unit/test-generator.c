/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs the generator itself on made-up roots, as systemd does. */

#include <sys/wait.h>

#include "policy/cdm-names.h"
#include "tests/unit/check-main.h"
#include "tests/unit/tree.h"

#define WANTS "etc/systemd/system/multi-user.target.wants/cdmd.service"
#define UNIT  "/usr/lib/systemd/system/cdmd.service"
#define FENCE "out/service.d/10-cdmd-fence.conf"

static void copy_machine(const char *root, const char *name)
{
        char *command = NULL;

        ck_assert_int_ge(asprintf(&command, "cp -R '%s/machine/%s/.' '%s'", TEST_DATA_DIR, name, root), 0);
        ck_assert_int_eq(system(command), 0);
        free(command);
}

/* A root where cdmd.service is enabled, and the folder for the generator's output. */
static char *new_root(const char *machine)
{
        char *root = tree_new();

        copy_machine(root, machine);
        tree_write(root, "usr/lib/systemd/system/cdmd.service", "[Service]\nExecStart=/usr/sbin/cdmd\n");
        tree_symlink(root, WANTS, UNIT);
        free(tree_make_parents(root, "out/x"));
        return root;
}

/* What it says on stderr goes to the file "log"; it must succeed whatever happens. */
static void generate_env(const char *root, const char *environment)
{
        char *command = NULL;
        int status;

        ck_assert_int_ge(asprintf(&command,
                                  "env %s '%s' '--root=%s' '%s/out' '%s/early' '%s/late' 2>'%s/log'",
                                  environment, GENERATOR, root, root, root, root, root),
                         0);
        status = system(command);
        ck_assert_msg(status == 0, "status %d of: %s", status, command);
        free(command);
}

static void generate(const char *root)
{
        generate_env(root, "");
}

static void assert_fence(const char *root, const char *nodes)
{
        char *text = tree_read(root, FENCE), *end = NULL;

        ck_assert_msg(text != NULL, "no fence");
        ck_assert_int_ge(asprintf(&end, "\nAllowedMemoryNodes=%s\n", nodes), 0);
        ck_assert_msg(strstr(text, end) != NULL, "the fence is: %s", text);
        ck_assert(tree_exists(root, "out/scope.d/10-cdmd-fence.conf"));
        ck_assert(tree_exists(root, "out/cdmd.service.d/20-cdmd-exempt.conf"));
        free(end);
        free(text);
}

static void assert_log(const char *root, const char *part)
{
        char *text = tree_read(root, "log");

        ck_assert_msg(text && strstr(text, part), "the log is '%s'", text);
        free(text);
}

START_TEST(enabled_means_fenced)
{
        char *root = new_root("hbm4");

        generate(root);
        assert_fence(root, "0-1");
        assert_log(root, "");
        tree_remove(root);
}
END_TEST

START_TEST(not_enabled_means_nothing)
{
        static const struct {
                const char *path, *target; /* target NULL: the file is removed */
        } cases[] = {
                { WANTS, NULL },
                { WANTS, "/dev/null" },
                { "etc/systemd/system/cdmd.service", "/dev/null" },
                { "run/systemd/system/cdmd.service", "/dev/null" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char *root = new_root("hbm4"), *path = NULL;

                ck_assert_int_ge(asprintf(&path, "%s/%s", root, cases[i].path), 0);
                unlink(path);
                if (cases[i].target)
                        tree_symlink(root, cases[i].path, cases[i].target);
                generate(root);
                ck_assert_msg(!tree_exists(root, FENCE), "case %zu", i);
                free(path);
                tree_remove(root);
        }
}
END_TEST

START_TEST(other_ways_to_be_enabled)
{
        static const char *const links[] = {
                "run/systemd/system/multi-user.target.wants/cdmd.service",
                "usr/lib/systemd/system/sysinit.target.requires/cdmd.service",
        };

        for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
                char *root = new_root("hbm4"), *path = NULL;

                ck_assert_int_ge(asprintf(&path, "%s/%s", root, WANTS), 0);
                ck_assert_int_eq(unlink(path), 0);
                tree_symlink(root, links[i], UNIT);
                generate(root);
                assert_fence(root, "0-1");
                free(path);
                tree_remove(root);
        }
}
END_TEST

START_TEST(the_kernel_command_line_and_containers_keep_it_away)
{
        char *root = new_root("hbm4");

        tree_write(root, "proc/cmdline", "root=/dev/vda systemd.mask=cdmd.service quiet\n");
        generate(root);
        ck_assert(!tree_exists(root, FENCE));
        tree_write(root, "proc/cmdline", "root=/dev/vda xsystemd.mask=cdmd.service\n");
        generate_env(root, "SYSTEMD_VIRTUALIZATION=container:podman");
        ck_assert(!tree_exists(root, FENCE));
        generate_env(root, "SYSTEMD_IN_INITRD=1");
        ck_assert(!tree_exists(root, FENCE));
        generate_env(root, "SYSTEMD_VIRTUALIZATION=vm:kvm SYSTEMD_IN_INITRD=0");
        assert_fence(root, "0-1");
        tree_remove(root);
}
END_TEST

START_TEST(only_enforce_fences)
{
        char *root = new_root("hbm4");

        tree_write(root, "etc/cdm/cdmd.conf", "[Fence]\nMode=observe\n");
        generate(root);
        ck_assert(!tree_exists(root, FENCE));
        tree_write(root, "etc/cdm/cdmd.conf", "[Fence]\nMode=off\n");
        generate(root);
        ck_assert(!tree_exists(root, FENCE));
        tree_write(root, "etc/cdm/cdmd.conf",
                   "[Fence]\nMode=enforce\nExempt=gpu.service\nPin=db.service:1\n");
        generate(root);
        assert_fence(root, "0-1");
        ck_assert(tree_exists(root, "out/gpu.service.d/20-cdmd-exempt.conf"));
        ck_assert(tree_exists(root, "out/db.service.d/20-cdmd-pin.conf"));
        tree_remove(root);
}
END_TEST

START_TEST(machines_without_cdm_nodes_get_no_files)
{
        char *root = new_root("plain");

        generate(root);
        ck_assert(!tree_exists(root, FENCE) && !tree_exists(root, "out/cdmd.service.d"));
        tree_remove(root);
        root = new_root("sparse");
        generate(root);
        assert_fence(root, "1-2");
        tree_remove(root);
}
END_TEST

START_TEST(a_configuration_that_does_not_parse_fences_what_auto_finds)
{
        static const char *const bad[] = {
                "[Fence]\nMode=observe\nMode=off\n",
                "[Fence]\nMode=sometimes\n",
                "garbage\n",
                "[Fence]\nColour=blue\n",
        };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                char *root = new_root("hbm4");

                tree_write(root, "etc/cdm/cdmd.conf", bad[i]);
                generate(root);
                assert_fence(root, "0-1");
                assert_log(root, "/etc/cdm/cdmd.conf:");
                assert_log(root, "cdmctl reload");
                tree_remove(root);
        }
}
END_TEST

/* Of the other rules as well. */
START_TEST(a_bad_rule_makes_no_difference)
{
        char *root = new_root("hbm4");

        tree_write(root, "etc/cdm/cdmd.conf", "[Fence]\nMode=observe\n");
        tree_write(root, "etc/cdm/policy.d/10-bad.conf",
                   "[Match]\nUnit=bad.service\n[Grant]\nStatic=8G\nNonsense=yes\n");
        tree_write(root, "etc/cdm/policy.d/20-good.conf",
                   "[Match]\nUnit=good.service\n[Grant]\nStatic=1G\n");
        generate(root);
        ck_assert(!tree_exists(root, FENCE));
        tree_write(root, "etc/cdm/cdmd.conf", "[Fence]\nExempt=gpu.service\n");
        tree_write(root, "etc/cdm/pools.d/hbm.conf", "[Pool]\nNodes=3\n");
        generate(root);
        assert_fence(root, "0-2");
        assert_log(root, "10-bad.conf:5:");
        ck_assert(tree_exists(root, "out/gpu.service.d/20-cdmd-exempt.conf"));
        ck_assert(tree_exists(root, "out/good.service.d/" CDM_DROPIN_STATIC));
        ck_assert(!tree_exists(root, "out/bad.service.d/" CDM_DROPIN_STATIC));
        tree_remove(root);
}
END_TEST

/* Its nodes are not known, those of the others are; and what else was said counts. */
START_TEST(a_bad_pool_costs_no_more_than_it_must)
{
        char *root = new_root("hbm4");

        tree_write(root, "etc/cdm/pools.d/a.conf", "[Pool]\nNodes=three\n");
        tree_write(root, "etc/cdm/pools.d/b.conf", "[Pool]\nNodes=1\n");
        tree_write(root, "etc/cdm/cdmd.conf", "[Fence]\nExempt=gpu.service\n");
        generate(root);
        assert_fence(root, "0");
        assert_log(root, "a.conf:2:");
        ck_assert(tree_exists(root, "out/gpu.service.d/20-cdmd-exempt.conf"));
        tree_remove(root);

        root = new_root("hbm4");
        tree_write(root, "etc/cdm/pools.d/a.conf", "[Pool]\nNodes=three\n");
        tree_write(root, "etc/cdm/cdmd.conf", "[Fence]\nMode=observe\n");
        generate(root);
        ck_assert(!tree_exists(root, FENCE));
        tree_remove(root);
}
END_TEST

START_TEST(a_bad_drop_in_opens_nothing)
{
        char *root = new_root("hbm4");

        tree_write(root, "etc/cdm/cdmd.conf", "[Fence]\nMode=off\nExempt=gpu.service\n");
        tree_write(root, "etc/cdm/cdmd.conf.d/10-bad.conf", "[Fence]\nExempt=open.service\nMaxPerUser=1\n");
        tree_write(root, "etc/cdm/pools.d/b.conf", "[Pool]\nNodes=3\n");
        generate(root);
        assert_fence(root, "0-2");
        ck_assert(tree_exists(root, "out/gpu.service.d/20-cdmd-exempt.conf"));
        ck_assert(!tree_exists(root, "out/open.service.d"));
        tree_remove(root);
}
END_TEST

/* The kernel takes ten lines in five seconds, and the last ones count most. */
START_TEST(many_mistakes_are_told_in_few_lines)
{
        char *root = new_root("hbm4"), *text;
        size_t n = 0;

        for (int i = 0; i < 30; i++) {
                char path[64];

                snprintf(path, sizeof(path), "etc/cdm/policy.d/%d.conf", i);
                tree_write(root, path, "[Match]\nPool=*\n[Grant]\nLimit=much\n");
        }
        generate(root);
        assert_fence(root, "0-1");
        assert_log(root, "30 mistakes");
        text = tree_read(root, "log");
        for (const char *p = text; (p = strchr(p, '\n')); p++)
                n++;
        ck_assert_uint_le(n, 6);
        free(text);
        tree_remove(root);
}
END_TEST

START_TEST(pools_that_take_all_memory_fence_nothing_and_say_so)
{
        char *root = new_root("hbm4");

        tree_write(root, "etc/cdm/pools.d/all.conf", "[Pool]\nNodes=0-3\n");
        generate(root);
        ck_assert(!tree_exists(root, FENCE) && !tree_exists(root, "out/cdmd.service.d"));
        assert_log(root, "nothing is fenced");
        tree_remove(root);
}
END_TEST

START_TEST(pools_that_name_one_node_twice_fence_what_auto_finds)
{
        char *root = new_root("hbm4");

        tree_write(root, "etc/cdm/pools.d/a.conf", "[Pool]\nNodes=3\n");
        tree_write(root, "etc/cdm/pools.d/b.conf", "[Pool]\nNodes=3\n");
        generate(root);
        assert_fence(root, "0-1");
        assert_log(root, "b.conf");
        tree_remove(root);
}
END_TEST

/* cdmd has run, and left its drop-ins. */
static void decide(const char *root, const char *nodes)
{
        char *text = NULL;

        ck_assert_int_ge(
                asprintf(&text, "# by cdmd\n[Service]\nAllowedMemoryNodes=\nAllowedMemoryNodes=%s\n", nodes),
                0);
        tree_write(root, "run/cdmd/fence/service.d/10-cdmd-fence.conf", text);
        tree_write(root, "run/cdmd/fence/scope.d/10-cdmd-fence.conf", "[Scope]\n");
        tree_write(root, "run/cdmd/fence/cdmd.service.d/20-cdmd-exempt.conf", "[Service]\n");
        free(text);
}

/* These count, and not what the files say by then. */
START_TEST(what_cdmd_decided_is_repeated)
{
        char *root = new_root("hbm4");

        decide(root, "0-2");
        tree_write(root, "run/cdmd/fence/service.d/50-foreign.conf", "[Service]\n");
        tree_write(root, "etc/cdm/cdmd.conf", "not a configuration\n");
        generate(root);
        assert_fence(root, "0-2");
        ck_assert(!tree_exists(root, "out/service.d/50-foreign.conf"));
        ck_assert(!tree_exists(root, "out/mount.d"));
        tree_remove(root);
}
END_TEST

/* systemctl mask --now reloads, and then stops it. */
START_TEST(to_mask_a_running_cdmd_opens_nothing)
{
        char *root = new_root("hbm4");

        decide(root, "0-1");
        tree_write(root, "run/systemd/system/cdmd.service", "");
        generate(root);
        assert_fence(root, "0-1");
        tree_remove(root);
}
END_TEST

START_TEST(nothing_decided_by_cdmd_is_a_decision)
{
        char *root = new_root("hbm4");

        free(tree_make_parents(root, "run/cdmd/fence/x"));
        generate(root);
        ck_assert(!tree_exists(root, FENCE));
        tree_remove(root);
}
END_TEST

START_TEST(a_late_controller_is_noted_on_a_machine_that_is_up)
{
        char *root = new_root("hbm4");

        tree_write(root, "sys/fs/cgroup/system.slice/cgroup.subtree_control", "memory pids\n");
        generate(root); /* no bus: it boots */
        assert_fence(root, "0-1");
        ck_assert(!tree_exists(root, "run/cdmd/cpuset-enabled"));
        tree_write(root, "run/dbus/system_bus_socket", "");
        generate(root);
        ck_assert(tree_exists(root, "run/cdmd/cpuset-enabled"));
        tree_remove(root);

        root = new_root("hbm4");
        tree_write(root, "run/dbus/system_bus_socket", "");
        tree_write(root, "sys/fs/cgroup/system.slice/cgroup.subtree_control", "cpuset cpu memory\n");
        generate(root);
        assert_fence(root, "0-1");
        ck_assert(!tree_exists(root, "run/cdmd/cpuset-enabled"));
        tree_remove(root);
}
END_TEST

START_TEST(whatever_is_missing_it_succeeds)
{
        char *root = tree_new();

        generate(root); /* nothing there at all */
        tree_symlink(root, WANTS, UNIT);
        generate(root); /* no sysfs, no folder to write to */
        assert_log(root, "nothing is fenced");
        tree_remove(root);
        root = new_root("garbled");
        generate(root);
        tree_remove(root);
        root = new_root("hbm4");
        tree_write(root, "sys/devices/system/node/online", "nonsense\n");
        generate(root);
        ck_assert(!tree_exists(root, FENCE));
        assert_log(root, "nothing is fenced");
        tree_remove(root);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("generator");
        TCase *c = tcase_create("generator");

        tcase_set_timeout(c, 0);
        tcase_add_test(c, enabled_means_fenced);
        tcase_add_test(c, not_enabled_means_nothing);
        tcase_add_test(c, other_ways_to_be_enabled);
        tcase_add_test(c, the_kernel_command_line_and_containers_keep_it_away);
        tcase_add_test(c, only_enforce_fences);
        tcase_add_test(c, machines_without_cdm_nodes_get_no_files);
        tcase_add_test(c, a_configuration_that_does_not_parse_fences_what_auto_finds);
        tcase_add_test(c, a_bad_rule_makes_no_difference);
        tcase_add_test(c, a_bad_pool_costs_no_more_than_it_must);
        tcase_add_test(c, a_bad_drop_in_opens_nothing);
        tcase_add_test(c, many_mistakes_are_told_in_few_lines);
        tcase_add_test(c, pools_that_take_all_memory_fence_nothing_and_say_so);
        tcase_add_test(c, pools_that_name_one_node_twice_fence_what_auto_finds);
        tcase_add_test(c, what_cdmd_decided_is_repeated);
        tcase_add_test(c, to_mask_a_running_cdmd_opens_nothing);
        tcase_add_test(c, nothing_decided_by_cdmd_is_a_decision);
        tcase_add_test(c, a_late_controller_is_noted_on_a_machine_that_is_up);
        tcase_add_test(c, whatever_is_missing_it_succeeds);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        return check_main(suite());
}
