/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Control groups as the kernel shows them: cpuset.mems, memory.numa_stat, processes. Reads go through
 * directory file descriptors. Writes of cpuset.mems go through libcgroup; no other module uses it. Paths are
 * below the cgroup root and start with '/'. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

/* Finds the cgroup v2 hierarchy and checks its controllers. Must be called once, before the other functions.
 * root: "" for the machine (writes go through libcgroup); otherwise, in tests, a directory whose
 * sys/fs/cgroup is a tree of plain files. -EOPNOTSUPP: cgroup v1 or hybrid; -ENOENT: the cpuset or memory
 * controller is missing. *ret_error is a message with the reason and advice, owned by the caller. (The name
 * cgroup_init() belongs to libcgroup.) */
int cgroup_setup(const char *root, char **ret_error);

/* True for "/" or "/a/b". A second spelling of the same path would be a second name for its reservation. */
bool cgroup_path_is_normal(const char *path);

/* Opens the directory of a cgroup (O_DIRECTORY|O_CLOEXEC). -EINVAL: the path is not absolute or has "." or
 * ".." components. -ENOENT: no such cgroup. *ret_id is the inode, which differs from that of a later cgroup
 * with the same name. */
int cgroup_open(const char *path, uint64_t *ret_id);

/* Reads an attribute of a cgroup into a string owned by the caller. -ENOENT: no such attribute, or the
 * cgroup is gone. */
int cgroup_read_file(int fd, const char *name, char **ret);
int cgroup_read_file_at(const char *path, const char *name, char **ret);

/* Finds a child cgroup whose name accept() accepts, preferably a populated one. The name is owned by the
 * caller. -ENOENT: none was accepted. */
int cgroup_find_child(int fd, bool (*accept)(const char *name, void *userdata), void *userdata, char **ret);

/* Calls fn with the name of each child cgroup. Stops at the first value other than 0 and returns it. */
typedef int (*cgroup_child_t)(const char *name, void *userdata);
int cgroup_foreach_child(int fd, cgroup_child_t fn, void *userdata);

/* True if the subtree belongs to another user or program: users other than root can write to it, or systemd
 * marked it as delegated. */
bool cgroup_is_delegated(int fd);
/* The owner of cpuset.mems; 0, too, if there is no such file. */
uid_t cgroup_mems_owner(int fd);
/* True if only root can create cgroups, move processes or enable controllers there, and (unless
 * may_be_marked) the cgroup is not marked as delegated. */
bool cgroup_is_roots(int fd, bool may_be_marked);
/* True if users other than root may write to the file. */
bool cgroup_stat_is_writable(const struct stat *st);

/* True if only root can have created the cgroup of this path: each ancestor belongs to root, and no other
 * user can write to it. */
bool cgroup_is_made_by_root(const char *path);

/* Read cpuset.mems (empty: inherited) and cpuset.mems.effective. -ENOENT: the cpuset controller is not
 * enabled there. */
int cgroup_read_mems(int fd, NodeSet *ret);
int cgroup_read_effective(int fd, NodeSet *ret);

/* Blocks while the kernel migrates pages: worker threads only. -ENOENT: no such cgroup, or no cpuset
 * controller there. -EINVAL: an empty set (it would mean the parent's set), the root, or a node that does
 * not exist. */
int cgroup_write_mems(const char *path, const NodeSet *nodes);

/* Clears cpuset.mems, so that the cgroup inherits. -ENOSPC: the kernel refuses this for a cgroup with
 * processes. */
int cgroup_clear_mems(const char *path);
/* True if the cpuset controller is enabled for the children of the cgroup. */
bool cgroup_enables_cpuset(int fd);
/* Enables the cpuset controller for the children. 0 also if it was enabled already. */
int cgroup_enable_cpuset(int fd);
/* Enables the cpuset controller in all ancestors of this cgroup. */
int cgroup_enable_cpuset_above(const char *path);

/* Bytes of one cgroup (with its descendants) on one node, from memory.numa_stat. */
typedef struct NumaBytes {
        int node;
        uint64_t anon;
        uint64_t file;  /* page cache, without shmem */
        uint64_t shmem; /* tmpfs, memfd, SysV */
        uint64_t other; /* kernel memory: stacks, page tables, slab */
        /* Huge pages of a pool, only included in numa_bytes_all(). Only the processes that map them can free
         * them. */
        uint64_t hugetlb;
        uint64_t thp; /* those bytes of anon, file and shmem that are in transparent huge pages */
} NumaBytes;

/* Everything in memory.numa_stat except huge pages. */
uint64_t numa_bytes_sum(const NumaBytes *b);
uint64_t numa_bytes_all(const NumaBytes *b);
/* Without `other`: the bytes of processes, which a drain must move. */
uint64_t numa_bytes_movable(const NumaBytes *b);

/* The sum of one of the functions above over all nodes of the set. */
int cgroup_sum_numa(int fd, const NodeSet *nodes, uint64_t (*bytes)(const NumaBytes *b), uint64_t *ret);

/* Returns entries for those nodes of the set on which the cgroup has bytes. *ret is owned by the caller. */
int cgroup_read_numa(int fd, const NodeSet *nodes, NumaBytes **ret, size_t *ret_n);
/* The same for a path, with fewer system calls. */
int cgroup_read_numa_at(const char *path, const NodeSet *nodes, NumaBytes **ret, size_t *ret_n);

/* The same, including huge pages if the hugetlb controller is enabled or the memory controller accounts for
 * them. */
int cgroup_read_numa_all(int fd, const NodeSet *nodes, NumaBytes **ret, size_t *ret_n);

/* Returns the PIDs in the cgroup and its descendants, from cgroup.procs. Each process is listed once. */
int cgroup_read_pids(int fd, pid_t **ret, size_t *ret_n);

/* *ret: whether the cgroup or a descendant has a process (cgroup.events). A negative errno if it cannot be
 * read. */
int cgroup_read_populated(int fd, bool *ret);
/* The same; false if it cannot be read. */
bool cgroup_is_populated(int fd);

/* Asks the kernel to reclaim from this cgroup (memory.reclaim), page cache first if the kernel supports
 * swappiness=0. -EAGAIN: less than requested was reclaimed. */
int cgroup_reclaim(int fd, uint64_t bytes);

/* Calls fn for every cgroup that confines processes: cgroups without children, and cgroups that are
 * delegated or have both processes and children, whose children are not visited. The root is excluded. Depth
 * first; fd is valid during the call. Stops at the first value other than 0 and returns it. A cgroup that
 * vanishes meanwhile is skipped. */
typedef int (*cgroup_leaf_t)(const char *path, int fd, void *userdata);
int cgroup_foreach_leaf(cgroup_leaf_t fn, void *userdata);

/* The same for slices, other inner cgroups and the root ("/"), to which page cache of ended units is
 * charged. own: bytes on the nodes, including huge pages, minus the bytes of the children. */
typedef int (*cgroup_inner_t)(const char *path, int fd, const NumaBytes *own, size_t n_own, void *userdata);
int cgroup_foreach_inner(const NodeSet *nodes, cgroup_inner_t fn, void *userdata);
