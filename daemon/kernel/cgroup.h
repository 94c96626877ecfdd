/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Control groups as the kernel shows them: cpuset.mems, memory.numa_stat, processes. Reads go through
 * directory file descriptors; the write of cpuset.mems goes through libcgroup (its only user). Paths are
 * below the cgroup root and start with '/'. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

/* Call it once, before the other functions: finds the cgroup v2 hierarchy and checks its controllers. root:
 * "" for the machine (writes go through libcgroup), else a directory whose sys/fs/cgroup is a tree of plain
 * files (tests: everything else behaves the same). -EOPNOTSUPP: cgroup v1 or hybrid; -ENOENT: the cpuset or
 * memory controller is missing. *ret_error says which, and what to do; owned by the caller. (Not
 * cgroup_init(): that is libcgroup's.) */
int cgroup_setup(const char *root, char **ret_error);

/* "/" or "/a/b": a second way to write the same cgroup would be a second name for its reservation. */
bool cgroup_path_is_normal(const char *path);

/* Opens the directory of a cgroup (O_DIRECTORY|O_CLOEXEC). Refuses paths that are not absolute or have "."
 * or ".." components with -EINVAL. -ENOENT: no such cgroup. *ret_id is its inode, by which it is told from a
 * later one of the same name. */
int cgroup_open(const char *path, uint64_t *ret_id);

/* A whole attribute of a cgroup, as a string owned by the caller. -ENOENT: no such attribute, or the cgroup
 * is gone. */
int cgroup_read_file(int fd, const char *name, char **ret);

/* The name of a child cgroup that accept() likes, of one that has a process in it or below if there is one;
 * owned by the caller. -ENOENT: it likes none. */
int cgroup_find_child(int fd, bool (*accept)(const char *name), char **ret);

/* Calls fn with the name of each child cgroup until it returns something other than 0, and returns that. */
typedef int (*cgroup_child_t)(const char *name, void *userdata);
int cgroup_foreach_child(int fd, cgroup_child_t fn, void *userdata);

/* True if the subtree belongs to another user or program: users other than root can write to it, or systemd
 * marked it as delegated. */
bool cgroup_is_delegated(int fd);
/* True if only root can make cgroups or move processes there, or enable controllers, and (unless may_be_marked)
 * nothing says that it is delegated. */
bool cgroup_is_roots(int fd, bool may_be_marked);
/* May users other than root write to it? */
bool cgroup_stat_is_writable(const struct stat *st);

/* True if only root can have made the cgroup of this path: each ancestor belongs to root, and no other user
 * can write to it. */
bool cgroup_is_made_by_root(const char *path);

/* cpuset.mems (empty: inherits) and cpuset.mems.effective. -ENOENT: the cpuset controller is not enabled
 * there. */
int cgroup_read_mems(int fd, NodeSet *ret);
int cgroup_read_effective(int fd, NodeSet *ret);

/* May block for as long as the kernel migrates: worker threads only. -ENOENT: no such cgroup or no cpuset
 * there. -EINVAL: an empty set (it would mean the parent's), the root, or a node that is not there. */
int cgroup_write_mems(const char *path, const NodeSet *nodes);

/* Clears cpuset.mems, so that the cgroup inherits. -ENOSPC: the kernel refuses this for a cgroup with
 * processes. */
int cgroup_clear_mems(const char *path);
/* Is the cpuset controller enabled for its children? */
bool cgroup_enables_cpuset(int fd);
/* Enables it. 0: it is, now or already. */
int cgroup_enable_cpuset(int fd);
/* Enables it in all cgroups above this one. 0: it is. */
int cgroup_enable_cpuset_above(const char *path);

/* Bytes of one cgroup (with its descendants) on one node, from memory.numa_stat. */
typedef struct NumaBytes {
        int node;
        uint64_t anon;
        uint64_t file;  /* page cache, without shmem */
        uint64_t shmem; /* tmpfs, memfd, SysV */
        uint64_t other; /* kernel memory charged to it: stacks, page tables, slab */
        /* Huge pages of a pool: no sum but numa_bytes_all() has them. They are freed only by the processes
         * that map them. */
        uint64_t hugetlb;
} NumaBytes;

/* What memory.numa_stat says, huge pages aside. */
uint64_t numa_bytes_sum(const NumaBytes *b);
uint64_t numa_bytes_all(const NumaBytes *b);
/* Without `other`: the bytes of processes, which a drain must move. */
uint64_t numa_bytes_movable(const NumaBytes *b);

/* One of the functions above, over all nodes of the set. */
int cgroup_sum_numa(int fd, const NodeSet *nodes, uint64_t (*bytes)(const NumaBytes *b), uint64_t *ret);

/* Only nodes of the set, and only those with any bytes; *ret is owned by the caller. */
int cgroup_read_numa(int fd, const NodeSet *nodes, NumaBytes **ret, size_t *ret_n);

/* The same with huge pages, where the hugetlb controller is enabled or the memory controller accounts for
 * them. */
int cgroup_read_numa_all(int fd, const NodeSet *nodes, NumaBytes **ret, size_t *ret_n);

/* Its processes, those of descendants included (cgroup.procs, walked). Threads of one process once. */
int cgroup_read_pids(int fd, pid_t **ret, size_t *ret_n);

/* True if the cgroup or a descendant has a process (cgroup.events). */
bool cgroup_is_populated(int fd);

/* Asks the kernel to reclaim from this cgroup (memory.reclaim), page cache first where it understands
 * swappiness=0. -EAGAIN: got less than asked. */
int cgroup_reclaim(int fd, uint64_t bytes);

/* Calls fn for every cgroup that confines processes by itself: those without child cgroups, and those that
 * systemd delegated or that have processes beside their children, which are not entered. Not for the root.
 * Depth first; fd is valid during the call. Stops at the first value other than 0 and returns it. A cgroup
 * that vanishes meanwhile is passed over. */
typedef int (*cgroup_leaf_t)(const char *path, int fd, void *userdata);
int cgroup_foreach_leaf(cgroup_leaf_t fn, void *userdata);

/* Likewise for slices, other inner cgroups and the root ("/"): page cache of a unit that ended is charged to
 * them. `own` bytes on nodes, huge pages as well = theirs minus what their children hold. */
typedef int (*cgroup_inner_t)(const char *path, int fd, const NumaBytes *own, size_t n_own, void *userdata);
int cgroup_foreach_inner(const NodeSet *nodes, cgroup_inner_t fn, void *userdata);
