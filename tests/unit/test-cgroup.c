/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/check-main.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/drain.h"
#include "daemon/kernel/evict.h"
#include "daemon/kernel/observe.h"
#include "tests/unit/tree.h"

/* A made-up hierarchy of plain files: a slice with two services, one of them delegated, and a slice below.
 */

#define CG  "sys/fs/cgroup/"
#define SYS CG "system.slice/"

static char *root;

static void make_leaf(const char *path, const char *procs, const char *numa_stat)
{
        char file[256];

        snprintf(file, sizeof(file), "%s/cpuset.mems", path);
        tree_write(root, file, "0-1\n");
        snprintf(file, sizeof(file), "%s/cpuset.mems.effective", path);
        tree_write(root, file, "0-1\n");
        snprintf(file, sizeof(file), "%s/cgroup.procs", path);
        tree_write(root, file, procs);
        if (!numa_stat)
                return;
        snprintf(file, sizeof(file), "%s/memory.numa_stat", path);
        tree_write(root, file, numa_stat);
}

static void setup(void)
{
        char *error = NULL;

        root = tree_new();
        tree_write(root, CG "cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
        tree_write(root, CG "memory.numa_stat", "anon N0=900000 N2=100000\nfile N2=50000\n");
        tree_write(root, SYS "cgroup.procs", "");
        tree_write(root, SYS "memory.numa_stat",
                   "anon N0=0 N2=90000\nfile N0=5 N2=40000\nshmem N0=0 N2=10000\n");
        make_leaf(SYS "a.service", "30\n10\n20\n10\n",
                  "slab_reclaimable N0=1 N2=7\nshmem N0=0 N2=4096\nfile N0=8192 N2=12288\nanon N0=4096 "
                  "N2=8192\n"
                  "kernel_stack N0=0 N2=3\ninactive_anon N0=99 N2=99\n");
        make_leaf(SYS "b.service", "", "anon N0=1 N2=0\nfile N0=1 N2=0\n");
        make_leaf(SYS "sub.slice/c.service", "0\n77\n", "anon N2=1000\n");
        make_leaf(SYS "sub.slice/c.service/payload/deep", "78\n77\n", NULL);
        tree_write(root, SYS "sub.slice/memory.numa_stat", "anon N2=1000\nfile N2=500\n");
        if (cgroup_setup(root, &error) != 0)
                ck_abort_msg("%s", error);
}

static void teardown(void)
{
        tree_remove(root);
}

static int open_ok(const char *path)
{
        int fd = cgroup_open(path, NULL);

        ck_assert_msg(fd >= 0, "%s: %d", path, fd);
        return fd;
}

static NodeSet nodes_of(const char *list)
{
        NodeSet set;

        ck_assert_int_eq(nodeset_parse(list, &set), 0);
        return set;
}

START_TEST(setup_refuses_what_cannot_fence)
{
        char *other = tree_new(), *error = NULL;

        ck_assert_int_eq(cgroup_setup(other, &error), -EOPNOTSUPP);
        ck_assert_ptr_nonnull(strstr(error, "no cgroup hierarchy"));
        free(error);
        error = NULL;

        tree_write(other, CG "cgroup.procs", ""); /* v1 has no cgroup.controllers */
        ck_assert_int_eq(cgroup_setup(other, &error), -EOPNOTSUPP);
        ck_assert_ptr_nonnull(strstr(error, "unified_cgroup_hierarchy"));
        free(error);
        error = NULL;

        tree_write(other, CG "cgroup.controllers", "cpuset cpu memoryless pids\n");
        ck_assert_int_eq(cgroup_setup(other, &error), -ENOENT);
        ck_assert_ptr_nonnull(strstr(error, "memory controller"));
        free(error);
        error = NULL;

        tree_write(other, CG "cgroup.controllers", "cpu memory");
        ck_assert_int_eq(cgroup_setup(other, &error), -ENOENT);
        ck_assert_ptr_nonnull(strstr(error, "cpuset controller"));
        free(error);

        /* What was set up before stays in force. */
        close(open_ok("/system.slice/a.service"));
        tree_remove(other);
}
END_TEST

START_TEST(paths_are_checked)
{
        static const char *const bad[] = {
                "",   "system.slice",     "/system.slice/..", "/..",   "/system.slice/../system.slice",
                "/.", "/system.slice/./", "//system.slice",   "/a//b", "/system.slice/",
                "//",
        };
        uint64_t a = 0, b = 0;
        int fd;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                ck_assert_msg(cgroup_open(bad[i], NULL) == -EINVAL, "'%s'", bad[i]);
        ck_assert_int_eq(cgroup_open("/nosuch", NULL), -ENOENT);
        ck_assert_int_eq(cgroup_open("/system.slice/cgroup.procs", NULL), -ENOENT);
        ck_assert_int_eq(cgroup_open("/system.slice/cgroup.procs/x", NULL), -ENOENT);
        tree_symlink(root, CG "link", "/etc");
        ck_assert_int_eq(cgroup_open("/link", NULL), -ENOENT);
        close(open_ok("/"));
        tree_write(root, CG "..x...service/cgroup.procs", "");
        close(open_ok("/..x...service"));

        fd = cgroup_open("/system.slice/a.service", &a);
        ck_assert_int_ge(fd, 0);
        close(fd);
        fd = cgroup_open("/system.slice/b.service", &b);
        ck_assert_int_ge(fd, 0);
        close(fd);
        ck_assert_uint_ne(a, 0);
        ck_assert_uint_ne(a, b);
}
END_TEST

START_TEST(mems_are_read_and_written)
{
        NodeSet got, wanted = nodes_of("0-2"), empty = NODESET_EMPTY;
        int fd = open_ok("/system.slice/a.service");

        ck_assert_int_eq(cgroup_read_mems(fd, &got), 0);
        ck_assert(nodeset_equal(&got, &(NodeSet){ { 3 } }));
        ck_assert_int_eq(cgroup_write_mems("/system.slice/a.service", &wanted), 0);
        ck_assert_int_eq(cgroup_read_effective(fd, &got), 0);
        ck_assert(nodeset_equal(&got, &wanted));

        ck_assert_int_eq(cgroup_write_mems("/system.slice/a.service", &empty), -EINVAL);
        ck_assert_int_eq(cgroup_write_mems("/", &wanted), -EINVAL);
        ck_assert_int_eq(cgroup_write_mems("/system.slice/../system.slice/a.service", &wanted), -EINVAL);
        ck_assert_int_eq(cgroup_write_mems("/nosuch", &wanted), -ENOENT);
        ck_assert_int_eq(cgroup_write_mems("/system.slice", &wanted), -ENOENT); /* no cpuset there */

        tree_write(root, SYS "a.service/cpuset.mems", "\n");
        ck_assert_int_eq(cgroup_read_mems(fd, &got), 0);
        ck_assert(nodeset_is_empty(&got));
        tree_write(root, SYS "a.service/cpuset.mems", "0-x\n");
        got = wanted;
        ck_assert_int_lt(cgroup_read_mems(fd, &got), 0);
        ck_assert(nodeset_equal(&got, &wanted));
        close(fd);

        fd = open_ok("/system.slice");
        ck_assert_int_eq(cgroup_read_mems(fd, &got), -ENOENT);
        close(fd);
}
END_TEST

START_TEST(numa_keys_come_in_any_order)
{
        NodeSet both = nodes_of("0,2-3"), two = nodes_of("2");
        int fd = open_ok("/system.slice/a.service");
        NumaBytes *b = NULL;
        size_t n = 0;

        ck_assert_int_eq(cgroup_read_numa(fd, &both, &b, &n), 0);
        ck_assert_uint_eq(n, 2);
        ck_assert_int_eq(b[0].node, 0);
        ck_assert_uint_eq(b[0].file, 8192);
        ck_assert_uint_eq(b[0].other, 1);
        ck_assert_int_eq(b[1].node, 2);
        ck_assert_uint_eq(b[1].anon, 8192);
        ck_assert_uint_eq(b[1].file, 8192); /* 12288 with its shmem */
        ck_assert_uint_eq(b[1].shmem, 4096);
        ck_assert_uint_eq(b[1].other, 10);
        ck_assert_uint_eq(numa_bytes_sum(&b[1]), 8192 + 8192 + 4096 + 10);
        free(b);

        ck_assert_int_eq(cgroup_read_numa(fd, &two, &b, &n), 0);
        ck_assert_uint_eq(n, 1);
        ck_assert_int_eq(b[0].node, 2);
        free(b);
        close(fd);
}
END_TEST

START_TEST(garbled_numa_stat_is_read_as_far_as_it_goes)
{
        NodeSet two = nodes_of("2");
        int fd = open_ok("/system.slice/a.service");
        NumaBytes *b = NULL;
        size_t n = 0;

        tree_write(root, SYS "a.service/memory.numa_stat",
                   "anon N2=x N=4 N2= N-2=4 M2=5 N99999=5 N4294967298=5 N2 9 N2=8x N2=100\nfile\n\n"
                   "anonymous N2=77\nano N2=77\nshmem N2=5\nfile N2=3\nfoo");
        ck_assert_int_eq(cgroup_read_numa(fd, &two, &b, &n), 0);
        ck_assert_uint_eq(n, 1);
        ck_assert_uint_eq(b[0].anon, 100);
        ck_assert_uint_eq(b[0].shmem, 5);
        ck_assert_uint_eq(b[0].file, 0); /* never below 0 */
        free(b);
        tree_write(root, SYS "a.service/memory.numa_stat", "");
        ck_assert_int_eq(cgroup_read_numa(fd, &two, &b, &n), 0);
        ck_assert_uint_eq(n, 0);
        free(b);
        close(fd);

        fd = open_ok("/system.slice/sub.slice/c.service/payload");
        ck_assert_int_eq(cgroup_read_numa(fd, &two, &b, &n), -ENOENT);
        close(fd);
}
END_TEST

START_TEST(pids_are_collected_below_and_once)
{
        int fd = open_ok("/system.slice/sub.slice/c.service");
        pid_t *pids = NULL;
        size_t n = 0;

        ck_assert_int_eq(cgroup_read_pids(fd, &pids, &n), 0);
        ck_assert_uint_eq(n, 2); /* 0 is a process of another namespace */
        ck_assert_int_eq(pids[0], 77);
        ck_assert_int_eq(pids[1], 78);
        free(pids);
        close(fd);

        fd = open_ok("/system.slice/a.service");
        ck_assert_int_eq(cgroup_read_pids(fd, &pids, &n), 0);
        ck_assert_uint_eq(n, 3);
        ck_assert_int_eq(pids[0], 10);
        ck_assert_int_eq(pids[2], 30);
        free(pids);
        close(fd);

        fd = open_ok("/system.slice/b.service");
        ck_assert_int_eq(cgroup_read_pids(fd, &pids, &n), 0);
        ck_assert_uint_eq(n, 0);
        free(pids);
        close(fd);
}
END_TEST

START_TEST(populated_is_read_from_events)
{
        int fd = open_ok("/system.slice/a.service");

        ck_assert(!cgroup_is_populated(fd));
        tree_write(root, SYS "a.service/cgroup.events", "populated 1\nfrozen 0\n");
        ck_assert(cgroup_is_populated(fd));
        tree_write(root, SYS "a.service/cgroup.events", "frozen 0\npopulated 1\n");
        ck_assert(cgroup_is_populated(fd));
        tree_write(root, SYS "a.service/cgroup.events", "populated 0\nfrozen 1\n");
        ck_assert(!cgroup_is_populated(fd));
        close(fd);
}
END_TEST

static bool is_service(const char *name, void *userdata _unused_)
{
        return strstr(name, ".service") != NULL;
}

static bool is_nothing(const char *name _unused_, void *userdata _unused_)
{
        return false;
}

START_TEST(a_child_is_found_with_processes_if_there_is_one)
{
        int fd = open_ok("/system.slice");
        char *name = NULL;

        ck_assert_int_eq(cgroup_find_child(fd, is_nothing, NULL, &name), -ENOENT);
        tree_write(root, SYS "sub.slice/cgroup.events", "populated 1\n");
        ck_assert_int_eq(cgroup_find_child(fd, is_service, NULL, &name), 0);
        ck_assert(strcmp(name, "a.service") == 0 || strcmp(name, "b.service") == 0);
        free(name);
        tree_write(root, SYS "a.service/cgroup.events", "populated 0\n");
        tree_write(root, SYS "b.service/cgroup.events", "populated 1\n");
        ck_assert_int_eq(cgroup_find_child(fd, is_service, NULL, &name), 0);
        ck_assert_str_eq(name, "b.service");
        free(name);

        tree_write(root, SYS "a.service/cgroup.events", "populated 1\n");
        tree_write(root, SYS "b.service/cgroup.events", "populated 0\n");
        ck_assert_int_eq(cgroup_find_child(fd, is_service, NULL, &name), 0);
        ck_assert_str_eq(name, "a.service");
        free(name);
        close(fd);
}
END_TEST

static void set_mode(const char *directory, mode_t mode)
{
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/%s", root, directory);
        ck_assert_int_eq(chmod(path, mode), 0);
}

/* Whoever may write to a directory can make a cgroup of any name there, so no name below it proves anything.
 */
START_TEST(what_others_can_have_made_is_not_roots)
{
        static const char *const above[] = { CG, SYS, SYS "sub.slice" };
        const char *cgroup = "/system.slice/sub.slice/c.service";
        char path[PATH_MAX];

        if (geteuid() != 0) {
                fprintf(stderr, "only root can give a directory away: not tested\n");
                return;
        }
        ck_assert(cgroup_is_made_by_root(cgroup));
        ck_assert(cgroup_is_made_by_root("/system.slice"));
        for (size_t i = 0; i < ARRAY_SIZE(above); i++) {
                set_mode(above[i], 0777);
                ck_assert(!cgroup_is_made_by_root(cgroup));
                set_mode(above[i], 0775);
                ck_assert(!cgroup_is_made_by_root(cgroup));
                set_mode(above[i], 0755);
                snprintf(path, sizeof(path), "%s/%s", root, above[i]);
                ck_assert_int_eq(chown(path, 1000, 0), 0);
                ck_assert(!cgroup_is_made_by_root(cgroup));
                ck_assert_int_eq(chown(path, 0, 0), 0);
        }
        /* Whose it is itself does not matter: root gave it away. */
        set_mode(SYS "sub.slice/c.service", 0777);
        ck_assert(cgroup_is_made_by_root(cgroup));
        ck_assert(!cgroup_is_made_by_root("/system.slice/sub.slice/gone/below"));
}
END_TEST

typedef struct Seen {
        char paths[1024];
        unsigned n;
        const char *stop_at;
} Seen;

static int see_leaf(const char *path, int fd, void *userdata)
{
        Seen *s = userdata;

        ck_assert_int_ge(fd, 0);
        s->n++;
        strcat(strcat(s->paths, path), "\n");
        return s->stop_at && strcmp(path, s->stop_at) == 0 ? 42 : 0;
}

START_TEST(leaves_are_found)
{
        Seen s = { .n = 0 };

        /* c.service has processes beside its child, so what is below is confined by it. */
        ck_assert_int_eq(cgroup_foreach_leaf(see_leaf, &s), 0);
        ck_assert_uint_eq(s.n, 3);
        ck_assert_ptr_nonnull(strstr(s.paths, "/system.slice/a.service\n"));
        ck_assert_ptr_nonnull(strstr(s.paths, "/system.slice/b.service\n"));
        ck_assert_ptr_nonnull(strstr(s.paths, "/system.slice/sub.slice/c.service\n"));

        tree_write(root, SYS "sub.slice/c.service/cgroup.procs", "");
        s = (Seen){ .n = 0 };
        ck_assert_int_eq(cgroup_foreach_leaf(see_leaf, &s), 0);
        ck_assert_uint_eq(s.n, 3);
        ck_assert_ptr_nonnull(strstr(s.paths, "/system.slice/sub.slice/c.service/payload/deep\n"));

        s = (Seen){ .stop_at = "/system.slice/b.service" };
        ck_assert_int_eq(cgroup_foreach_leaf(see_leaf, &s), 42);
}
END_TEST

START_TEST(delegated_cgroups_are_not_entered)
{
        char path[4096];
        Seen s = { .n = 0 };

        tree_write(root, SYS "sub.slice/c.service/cgroup.procs", "");
        snprintf(path, sizeof(path), "%s/" SYS "sub.slice/c.service", root);
        if (setxattr(path, "user.delegate", "1", 1, 0) < 0) {
                fprintf(stderr, "skipped: no extended attributes in the directory for tests\n");
                return;
        }
        ck_assert_int_eq(cgroup_foreach_leaf(see_leaf, &s), 0);
        ck_assert_ptr_nonnull(strstr(s.paths, "/system.slice/sub.slice/c.service\n"));
        ck_assert_uint_eq(s.n, 3);
        ck_assert_int_eq(setxattr(path, "user.delegate", "0", 1, 0), 0);
        s = (Seen){ .n = 0 };
        ck_assert_int_eq(cgroup_foreach_leaf(see_leaf, &s), 0);
        ck_assert_ptr_null(strstr(s.paths, "/system.slice/sub.slice/c.service\n"));
}
END_TEST

/* The owner can remove systemd's mark, and it may own cgroup.procs alone. */
START_TEST(what_others_may_write_to_is_delegated)
{
        static const char *const given[] = { SYS "sub.slice/c.service",
                                             SYS "sub.slice/c.service/cgroup.procs" };
        char path[4096];

        if (geteuid() != 0) {
                fprintf(stderr, "only root can give a directory away: not tested\n");
                return;
        }
        tree_write(root, SYS "sub.slice/c.service/cgroup.procs", "");
        for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
                int fd = cgroup_open("/system.slice/sub.slice/c.service", NULL);

                ck_assert_int_ge(fd, 0);
                ck_assert(!cgroup_is_delegated(fd));
                set_mode(given[i], 0777);
                ck_assert(cgroup_is_delegated(fd));
                set_mode(given[i], 0755);
                snprintf(path, sizeof(path), "%s/%s", root, given[i]);
                ck_assert_int_eq(chown(path, 1000, 1000), 0);
                ck_assert(cgroup_is_delegated(fd));
                ck_assert_int_eq(chown(path, 0, 0), 0);
                ck_assert(!cgroup_is_delegated(fd));
                close(fd);
        }
}
END_TEST

static int see_inner(const char *path, int fd, const NumaBytes *own, size_t n_own, void *userdata)
{
        Seen *s = userdata;
        char line[256];

        ck_assert_uint_eq(n_own, 1);
        ck_assert_int_eq(own[0].node, 2);
        snprintf(line, sizeof(line), "%s %llu\n", path, (unsigned long long)numa_bytes_sum(own));
        strcat(s->paths, line);
        s->n++;
        return 0;
}

START_TEST(inner_cgroups_hold_what_their_children_do_not)
{
        NodeSet two = nodes_of("2");
        Seen s = { .n = 0 };

        ck_assert_int_eq(cgroup_foreach_inner(&two, see_inner, &s), 0);
        ck_assert_uint_eq(s.n, 3);
        ck_assert_ptr_nonnull(strstr(s.paths, "/system.slice/sub.slice 500\n"));
        /* anon 90000-8192-1000, file 30000-8192-500, shmem 10000-4096, other 0 */
        ck_assert_ptr_nonnull(strstr(s.paths, "/system.slice 108020\n"));
        /* anon 10000, file 50000-30000, shmem 0 */
        ck_assert_ptr_nonnull(strstr(s.paths, "/ 30000\n"));
}
END_TEST

START_TEST(observation_leaves_no_byte_out)
{
        NodeSet two = nodes_of("2");
        Observation *o = NULL;
        uint64_t sum = 0, kernel = 0;
        Unattributed u;

        tree_write(root, "sys/devices/system/node/online", "0,2\n");
        tree_write(root, "sys/devices/system/node/node2/meminfo",
                   "Node 2 MemTotal:         8192 kB\nNode 2 MemFree:           500 kB\n"
                   "Node 2 KernelStack:       100 kB\nNode 2 PageTables:         20 kB\n"
                   "Node 2 SecPageTables:      30 kB\nNode 2 Slab:              150 kB\n");
        tree_write(root, "sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages", "3\n");
        tree_write(root, "sys/devices/system/node/node2/hugepages/hugepages-64kB/nr_hugepages", "x\n");
        tree_write(root, "sys/devices/system/node/node2/hugepages/hugepages-2048kB/free_hugepages", "2\n");
        tree_write(root, "proc/zoneinfo",
                   "Node 1, zone   Normal\n  pages free     247454\n  pagesets\n    cpu: 0\n              "
                   "count:    99\n"
                   "Node 2, zone   Normal\n  pagesets\n    cpu: 0\n              count:    3\n"
                   "    cpu: 1\n              count:    1\n              high:     4546\n"
                   "Node 2, zone  Movable\n  pagesets\n    cpu: 0\n              count:    1\n"
                   "Node 22, zone  Normal\n  pagesets\n    cpu: 0\n              count:    98\n");
        ck_assert_int_eq(observe_all(root, &two, NULL, &o), 0);
        ck_assert_uint_eq(o->n_nodes, 1);
        ck_assert_uint_eq(o->nodes[0].size_bytes, 8 << 20);
        ck_assert_uint_eq(o->nodes[0].free_bytes, 500 << 10);
        ck_assert_uint_eq(o->nodes[0].hugetlb_bytes, 3 << 21);
        ck_assert_uint_eq(o->nodes[0].hugetlb_free_bytes, 2 << 21);
        /* the root, a.service, c.service, the two slices; b.service has nothing there */
        ck_assert_uint_eq(o->n_holders, 5);
        ck_assert_str_eq(o->holders[0].cgroup, "/");
        ck_assert_uint_eq(numa_bytes_all(&o->holders[0].bytes), 30000);
        ck_assert(!o->holders[0].inner);
        ck_assert_str_eq(o->holders[1].cgroup, "/system.slice");
        ck_assert(o->holders[1].inner);
        ck_assert_str_eq(o->holders[2].cgroup, "/system.slice/a.service");
        ck_assert(!o->holders[2].inner);
        for (size_t i = 0; i < o->n_holders; i++) {
                sum += numa_bytes_all(&o->holders[i].bytes);
                kernel += o->holders[i].bytes.other;
        }
        uint64_t total = observation_unattributed(o, 2, &u);
        ck_assert_uint_eq(sum + total, (8 << 20) - (500 << 10)); /* all that is used */
        ck_assert_uint_eq(u.hugetlb_bytes, 3 << 21);
        ck_assert_uint_eq(u.kernel_bytes, (300 << 10) - kernel);
        ck_assert_uint_eq(u.cpu_list_bytes, 5 * (uint64_t)sysconf(_SC_PAGESIZE));
        ck_assert_uint_gt(u.other_bytes, 0);
        ck_assert_uint_eq(u.hugetlb_bytes + u.kernel_bytes + u.cpu_list_bytes + u.other_bytes, total);
        ck_assert_uint_eq(observation_unattributed(o, 3, &u), 0);
        ck_assert(u.hugetlb_bytes == 0 && u.kernel_bytes == 0 && u.other_bytes == 0);
        observation_free(o);

        /* Huge pages in use belong to who has them, by the hugetlb controller; the rest of the pool to
         * nobody. */
        tree_write(root, "sys/fs/cgroup/system.slice/a.service/cgroup.controllers",
                   "cpuset memory hugetlb\n");
        tree_write(root, "sys/fs/cgroup/system.slice/a.service/hugetlb.2MB.numa_stat",
                   "total=6291456 N0=4194304 N2=2097152\n");
        tree_write(root, "sys/fs/cgroup/system.slice/cgroup.controllers", "cpuset memory hugetlb\n");
        tree_write(root, "sys/fs/cgroup/system.slice/hugetlb.2MB.numa_stat",
                   "total=2097152 N0=0 N2=2097152\n");
        ck_assert_int_eq(observe_all(root, &two, NULL, &o), 0);
        ck_assert_uint_eq(o->holders[1].bytes.hugetlb, 0); /* its child's */
        ck_assert_uint_eq(o->holders[2].bytes.hugetlb, 2 << 20);
        ck_assert_uint_eq(observation_unattributed(o, 2, &u), total - (2 << 20));
        ck_assert_uint_eq(u.hugetlb_bytes, 2 << 21);
        observation_free(o);

        /* More attributed than used, as counters that lag behind may say. */
        tree_write(root, "sys/devices/system/node/node2/meminfo",
                   "Node 2 MemTotal:         1000 kB\nNode 2 MemFree:           999 kB\n");
        ck_assert_int_eq(observe_all(root, &two, NULL, &o), 0);
        ck_assert_uint_eq(observation_unattributed(o, 2, &u), 0);
        observation_free(o);
}
END_TEST

static int move(int fd, const NodeSet *from, const NodeSet *to, MoveResult *ret)
{
        _cleanup_(drain_move_free_p) DrainMove *m = NULL;
        int r = drain_move_new(from, to, UINT64_MAX, false, 0, &m);

        if (r >= 0)
                r = drain_move_run(m, fd, NULL);
        if (r >= 0)
                *ret = drain_move_result(m);
        return r;
}

START_TEST(drain_refuses_nonsense_and_skips_the_dead)
{
        NodeSet two = nodes_of("2"), zero = nodes_of("0"), both = nodes_of("0,2"), empty = NODESET_EMPTY;
        int fd = open_ok("/system.slice/a.service");
        MoveResult result = { 1, 1 };
        Evict evict = { 0 };
        char *text;

        ck_assert_int_eq(move(fd, &two, &empty, &result), -EINVAL);
        ck_assert_int_eq(move(fd, &empty, &zero, &result), -EINVAL);
        ck_assert_int_eq(move(fd, &two, &both, &result), -EINVAL);
        ck_assert_uint_eq(result.moved_bytes, 1);
        tree_write(root, SYS "a.service/cgroup.procs", "4194303\n4194304\n");
        ck_assert_int_eq(move(fd, &two, &zero, &result), 0);
        ck_assert_uint_eq(result.moved_bytes, 0);
        ck_assert_uint_eq(result.failed_bytes, 0);

        /* Nothing ever leaves a plain file: two useless chunks, no larger than what is there. */
        tree_write(root, SYS "a.service/memory.reclaim", "");
        ck_assert_int_eq(evict_run(fd, &two, UINT64_MAX, NULL, &evict), 0);
        ck_assert_uint_eq(evict.evicted_bytes, 0);
        text = tree_read(root, SYS "a.service/memory.reclaim");
        ck_assert_int_eq(strncmp(text, "8192 swappiness=0", 17), 0);
        free(text);

        /* nor than the limit */
        evict = (Evict){ 0 };
        tree_write(root, SYS "a.service/memory.reclaim", "");
        ck_assert_int_eq(evict_run(fd, &two, 4096, NULL, &evict), 0);
        text = tree_read(root, SYS "a.service/memory.reclaim");
        ck_assert_int_eq(strncmp(text, "4096 swappiness=0", 17), 0);
        free(text);
        close(fd);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("cgroup");
        TCase *c = tcase_create("cgroup");

        tcase_add_checked_fixture(c, setup, teardown);
        tcase_set_timeout(c, 0);
        tcase_add_test(c, setup_refuses_what_cannot_fence);
        tcase_add_test(c, paths_are_checked);
        tcase_add_test(c, mems_are_read_and_written);
        tcase_add_test(c, numa_keys_come_in_any_order);
        tcase_add_test(c, garbled_numa_stat_is_read_as_far_as_it_goes);
        tcase_add_test(c, pids_are_collected_below_and_once);
        tcase_add_test(c, populated_is_read_from_events);
        tcase_add_test(c, a_child_is_found_with_processes_if_there_is_one);
        tcase_add_test(c, what_others_can_have_made_is_not_roots);
        tcase_add_test(c, leaves_are_found);
        tcase_add_test(c, delegated_cgroups_are_not_entered);
        tcase_add_test(c, what_others_may_write_to_is_delegated);
        tcase_add_test(c, inner_cgroups_hold_what_their_children_do_not);
        tcase_add_test(c, observation_leaves_no_byte_out);
        tcase_add_test(c, drain_refuses_nonsense_and_skips_the_dead);
        suite_add_tcase(s, c);
        return check_main(s);
}
