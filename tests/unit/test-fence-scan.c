/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/fence/fence-scan.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/pid1/fence-property.h"
#include "tests/unit/check-main.h"
#include "tests/unit/tree.h"

#define CG "sys/fs/cgroup/"

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

START_TEST(a_leaf_belongs_to_the_first_unit_on_its_path)
{
        static const struct {
                const char *path, *unit, *unit_path, *slice;
        } cases[] = {
                { "/init.scope", "init.scope", "/init.scope", "-.slice" },
                { "/system.slice/a.service", "a.service", "/system.slice/a.service", "system.slice" },
                { "/user.slice/user-1.slice/user@1.service/app.slice/x.scope", "user@1.service",
                  "/user.slice/user-1.slice/user@1.service", "user-1.slice" },
                { "/system.slice/u.service/udev", "u.service", "/system.slice/u.service", "system.slice" },
                { "/system.slice/_memory.service", "memory.service", "/system.slice/_memory.service",
                  "system.slice" },
                { "/_cpu.slice/__x.scope/inner", "_x.scope", "/_cpu.slice/__x.scope", "cpu.slice" },
                { "/_cpu.slice", "cpu.slice", "/_cpu.slice", "cpu.slice" },
                { "/dev-hugepages.mount", "dev-hugepages.mount", "/dev-hugepages.mount", "-.slice" },
                { "/docker/0123", NULL, NULL, NULL },
                { "/system.slice/docker/x.service", NULL, NULL, NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                FenceScan scan = { calloc(1, sizeof(FenceLeaf)), 1 };
                FenceLeaf *leaf = scan.leaves;

                leaf->path = strdup(cases[i].path);
                ck_assert_int_eq(fence_leaf_name(leaf), 0);
                ck_assert_pstr_eq(leaf->unit, cases[i].unit);
                ck_assert_pstr_eq(leaf->unit_path, cases[i].unit_path);
                ck_assert_pstr_eq(leaf->slice, cases[i].slice);
                fence_scan_clear(&scan);
        }
}
END_TEST

START_TEST(what_ended_is_no_leaf)
{
        static const char *const leaves[] = { "a.slice/runs.service/", "a.slice/ended.service/",
                                              "a.slice/old.service/", "a.slice/b.slice/", "made/" };
        char *root = tree_new(), *error = NULL, path[128];
        const NodeSet cdm = list("2-3");
        FenceScan scan = { 0 };

        tree_write(root, CG "cgroup.controllers", "cpuset cpu memory pids\n");
        for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
                snprintf(path, sizeof(path), CG "%scgroup.events", leaves[i]);
                tree_write(root, path, i == 0 ? "populated 1\n" : "populated 0\n");
                snprintf(path, sizeof(path), CG "%scgroup.procs", leaves[i]);
                tree_write(root, path, i == 0 ? "7\n" : "");
        }
        /* One that can be narrowed is, whoever is in it. */
        tree_write(root, CG "a.slice/old.service/cpuset.mems", "\n");
        tree_write(root, CG "a.slice/old.service/cpuset.mems.effective", "0-3\n");
        ck_assert_int_eq(cgroup_setup(root, &error), 0);
        ck_assert_int_eq(fence_scan_read(&cdm, false, &scan), 0);
        path[0] = '\0';
        for (size_t i = 0; i < scan.n_leaves; i++)
                snprintf(path + strlen(path), sizeof(path) - strlen(path), "%s ", scan.leaves[i].path);
        ck_assert_ptr_nonnull(strstr(path, "/a.slice/runs.service "));
        ck_assert_ptr_nonnull(strstr(path, "/a.slice/old.service "));
        ck_assert_ptr_nonnull(strstr(path, "/made "));
        ck_assert_uint_eq(scan.n_leaves, 3);
        fence_scan_clear(&scan);
        tree_remove(root);
}
END_TEST

/* PID 1 is asked whose an empty slice is: somebody else's is fenced before anything is in it. */
START_TEST(empty_slices_stay_until_their_owner_is_known)
{
        char *root = tree_new(), *error = NULL;
        const NodeSet cdm = list("2-3");
        FenceScan scan = { 0 };

        tree_write(root, CG "cgroup.controllers", "cpuset cpu memory pids\n");
        tree_write(root, CG "a.slice/b.slice/cgroup.events", "populated 0\n");
        tree_write(root, CG "a.slice/b.slice/cgroup.procs", "");
        ck_assert_int_eq(cgroup_setup(root, &error), 0);
        ck_assert_int_eq(fence_scan_read(&cdm, true, &scan), 0);
        ck_assert_uint_eq(scan.n_leaves, 1);
        ck_assert_str_eq(scan.leaves[0].path, "/a.slice/b.slice");
        ck_assert(fence_leaf_is_empty_slice(&scan.leaves[0]));
        fence_scan_clear(&scan);
        tree_remove(root);
}
END_TEST

START_TEST(who_does_not_enable_the_controller_is_named)
{
        static const struct {
                const char *root, *slice, *off;
        } cases[] = {
                { "memory", "memory", "/cgroup.subtree_control" },
                { "cpuset memory", "memory", "/a.slice/cgroup.subtree_control" },
                { "cpuset memory", "memory cpuset", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char *root = tree_new(), *error = NULL;
                const NodeSet cdm = list("2-3");
                FenceLeaf leaf = { 0 };

                tree_write(root, CG "cgroup.controllers", "cpuset cpu memory pids\n");
                tree_write(root, CG "cgroup.subtree_control", cases[i].root);
                tree_write(root, CG "a.slice/cgroup.subtree_control", cases[i].slice);
                tree_write(root, CG "a.slice/runs.service/cgroup.procs", "7\n");
                ck_assert_int_eq(cgroup_setup(root, &error), 0);
                ck_assert_int_eq(fence_leaf_read("/a.slice/runs.service", &cdm, &leaf), 0);
                ck_assert(!leaf.has_cpuset);
                ck_assert_pstr_eq(leaf.off, cases[i].off);
                fence_leaf_clear(&leaf);
                /* what a unit has inside is its own affair */
                tree_write(root, CG "a.slice/runs.service/x/cgroup.procs", "8\n");
                ck_assert_int_eq(fence_leaf_read("/a.slice/runs.service/x", &cdm, &leaf), 0);
                ck_assert_pstr_eq(leaf.off, cases[i].off);
                assert_list(leaf.effective, "2-3");
                fence_leaf_clear(&leaf);
                tree_remove(root);
        }
}
END_TEST

START_TEST(exempt_are_cdmd_and_whom_the_admin_names)
{
        char *exempt[] = { (char *)"gpu.service", (char *)"job@.service", NULL };

        ck_assert(fence_unit_is_exempt("cdmd.service", exempt));
        ck_assert(fence_unit_is_exempt("gpu.service", exempt));
        ck_assert(fence_unit_is_exempt("job@7.service", exempt));
        ck_assert(!fence_unit_is_exempt("job@7.scope", exempt));
        ck_assert(!fence_unit_is_exempt("jobs@7.service", exempt));
        ck_assert(!fence_unit_is_exempt("gpu.service.d", exempt));
        ck_assert(!fence_unit_is_exempt(NULL, exempt));
}
END_TEST

START_TEST(what_is_open_and_what_it_becomes)
{
        PoolSet pools = { .ordinary = list("0-1"), .cdm = list("2-3") };
        FenceLeaf leaf = { .path = (char *)"/system.slice/a.service", .unit = (char *)"a.service" };
        _cleanup_(ledger_free_p) Ledger *ledger = NULL;
        NodeSet none = NODESET_EMPTY, had, reserved = list("3");
        Config c = { 0 };

        ck_assert_int_eq(ledger_new(&ledger), 0);
        leaf.effective = list("0-3");
        assert_list(fence_leaf_open(&leaf, &c, &pools, ledger), "2-3");
        leaf.effective = list("1");
        assert_list(fence_leaf_open(&leaf, &c, &pools, ledger), "");
        leaf.effective = list("0-3");
        leaf.unit = (char *)"cdmd.service";
        assert_list(fence_leaf_open(&leaf, &c, &pools, ledger), "");

        had = list("1-2");
        assert_list(fence_target(&had, &none, &pools.ordinary), "1");
        assert_list(fence_target(&had, &reserved, &pools.ordinary), "1,3");
        had = list("2");
        assert_list(fence_target(&had, &none, &pools.ordinary),
                    "0-1"); /* never an empty set: that would be open */
        assert_list(fence_target(&none, &none, &pools.ordinary), "0-1");

        Pin pins[] = { { (char *)"db.service", list("1-2") }, { (char *)"odd.service", list("2") } };
        c.pins = pins;
        c.n_pins = ARRAY_SIZE(pins);
        assert_list(fence_unit_ordinary("db.service", &c, &pools), "1");
        assert_list(fence_unit_ordinary("odd.service", &c, &pools),
                    "0-1"); /* no ordinary node is left of it */
        assert_list(fence_unit_ordinary("a.service", &c, &pools), "0-1");
        assert_list(fence_unit_ordinary(NULL, &c, &pools), "0-1");
        assert_list(fence_unit_ordinary("db.service", NULL, &pools), "0-1");
}
END_TEST

static Reservation *reserve(Ledger *ledger, uint32_t id, int node)
{
        Reservation *r;

        ck_assert_int_eq(reservation_new(&r), 0);
        r->id = id;
        r->pool = strdup("cdm");
        r->target = calloc(1, sizeof(*r->target));
        ck_assert_ptr_nonnull(r->target);
        r->target->unit = strdup("a.service");
        r->target->cgroup = strdup("/system.slice/a.service");
        r->state = RESERVATION_ACTIVE;
        r->size_bytes = 4096;
        ck_assert_int_eq(reservation_set_shares(r, &(Share){ node, 4096 }, 1), 0);
        ck_assert_int_eq(ledger_add(ledger, r), 0);
        return r;
}

START_TEST(what_drains_is_promised_and_not_reserved)
{
        PoolSet pools = { .ordinary = list("0-1"), .cdm = list("2-4") };
        FenceLeaf leaf = { .path = (char *)"/system.slice/a.service", .unit = (char *)"a.service" };
        _cleanup_(ledger_free_p) Ledger *ledger = NULL;
        Config c = { 0 };

        ck_assert_int_eq(ledger_new(&ledger), 0);
        leaf.effective = list("0-4");
        reserve(ledger, 1, 2);
        Reservation *drains = reserve(ledger, 2, 3);
        assert_list(fence_leaf_open(&leaf, &c, &pools, ledger), "4");
        ck_assert_int_eq(ledger_set_state(ledger, drains, RESERVATION_DRAINING), 0);
        assert_list(fence_leaf_reserved(&leaf, ledger), "2");
        assert_list(fence_leaf_promised(&leaf, &pools.cdm, ledger), "2-3");
        assert_list(fence_tenant_promised("b.service", &pools.cdm, ledger), "");
        assert_list(fence_leaf_open(&leaf, &c, &pools, ledger), "4");
}
END_TEST

static int note_property(const char *unit, const NodeSet *nodes, void *userdata)
{
        char buf[NODESET_STR_MAX], *text = userdata;

        sprintf(text + strlen(text), "%s=%s ", unit, nodeset_format(nodes, buf));
        return 0;
}

START_TEST(properties_are_found_in_systemds_files)
{
        char *root = tree_new(), text[1024] = "";

        ck_assert_int_eq(fence_property_foreach(root, note_property, text), 0);
        tree_write(root, "run/systemd/system.control/a.service.d/50-AllowedMemoryNodes.conf",
                   "# by systemd\n[Service]\nAllowedMemoryNodes=\nAllowedMemoryNodes=0-1 3\n");
        ck_assert_int_eq(fence_property_foreach(root, note_property, text), 0);
        ck_assert_str_eq(text, "a.service=0-1,3 ");
        tree_write(root, "run/systemd/system.control/a.service.d/50-AllowedMemoryNodes.conf",
                   "[Service]\nAllowedMemoryNodes=2\nAllowedMemoryNodes=3\nAllowedMemoryNodes=x\n");
        tree_write(root, "run/systemd/system.control/b.service.d/50-CPUWeight.conf",
                   "[Service]\nCPUWeight=1\n");
        tree_write(root, "run/systemd/system.control/nonsense", "");
        text[0] = '\0';
        ck_assert_int_eq(fence_property_foreach(root, note_property, text), 0);
        ck_assert_str_eq(text, "a.service=2-3 ");
        tree_remove(root);
}
END_TEST

/* "FILE=NODES", the file without the root, or "none" */
static const char *last_word(const char *root, const char *unit)
{
        static char text[4200];
        char buf[NODESET_STR_MAX];
        NodeSet nodes;
        char *file;

        if (fence_property_last_word(root, unit, &file, &nodes) == -ENOENT)
                return "none";
        snprintf(text, sizeof(text), "%s=%s", file + strlen(root), nodeset_format(&nodes, buf));
        free(file);
        return text;
}

/* Each file is written in turn, and then has the last word, or not. */
static const struct {
        const char *file, *nodes, *last;
} words[] = {
        { "run/systemd/system/service.d/10-f.conf", "0-1", "/run/systemd/system/service.d/10-f.conf=0-1" },
        { "usr/lib/systemd/system/a-.service.d/20-x.conf", "1",
          "/usr/lib/systemd/system/a-.service.d/20-x.conf=1" },
        { "etc/systemd/system/a-b@.service.d/15-x.conf", "2",
          "/usr/lib/systemd/system/a-.service.d/20-x.conf=1" },
        { "etc/systemd/system/a-b@.service.d/90-x.conf", "",
          "/usr/lib/systemd/system/a-.service.d/20-x.conf=1" },
        { "run/systemd/system.control/a-b@1.service.d/50-AllowedMemoryNodes.conf", "2",
          "/run/systemd/system.control/a-b@1.service.d/50-AllowedMemoryNodes.conf=2" },
        { "etc/systemd/system.control/a-b@1.service.d/50-AllowedMemoryNodes.conf", "3",
          "/etc/systemd/system.control/a-b@1.service.d/50-AllowedMemoryNodes.conf=3" },
        { "etc/systemd/system/a-b@1.service.d/60-x", "0",
          "/etc/systemd/system.control/a-b@1.service.d/50-AllowedMemoryNodes.conf=3" },
        { "etc/systemd/system/a-b@2.service.d/60-x.conf", "0",
          "/etc/systemd/system.control/a-b@1.service.d/50-AllowedMemoryNodes.conf=3" },
        { "etc/systemd/system/a-b@.service.d/60-x.conf", "0",
          "/etc/systemd/system/a-b@.service.d/60-x.conf=0" },
};

START_TEST(the_last_word_is_found)
{
        char *root = tree_new(), text[128];

        ck_assert_str_eq(last_word(root, "a-b@1.service"), "none");
        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                snprintf(text, sizeof(text), "[Service]\nAllowedMemoryNodes=\nAllowedMemoryNodes=%s\n",
                         words[i].nodes);
                tree_write(root, words[i].file, text);
                ck_assert_str_eq(last_word(root, "a-b@1.service"), words[i].last);
        }
        ck_assert_str_eq(last_word(root, "c.service"), "/run/systemd/system/service.d/10-f.conf=0-1");
        ck_assert_str_eq(last_word(root, "c.scope"), "none");
        tree_remove(root);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("fence-scan");
        TCase *c = tcase_create("scan");

        tcase_add_test(c, a_leaf_belongs_to_the_first_unit_on_its_path);
        tcase_add_test(c, what_ended_is_no_leaf);
        tcase_add_test(c, empty_slices_stay_until_their_owner_is_known);
        tcase_add_test(c, who_does_not_enable_the_controller_is_named);
        tcase_add_test(c, exempt_are_cdmd_and_whom_the_admin_names);
        tcase_add_test(c, what_is_open_and_what_it_becomes);
        tcase_add_test(c, what_drains_is_promised_and_not_reserved);
        tcase_add_test(c, properties_are_found_in_systemds_files);
        tcase_add_test(c, the_last_word_is_found);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        return check_main(suite());
}
