/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What cpuset.mems of a foreign cgroup was before cdmd wrote to it, and what cdmd wrote.
 *
 * Root writes cpuset.mems from a mark, so marks are stored where only root can write: one file per cgroup in
 * /run/cdmd/foreign, which survives a restart of cdmd but not a reboot. An extended attribute of the cgroup
 * is not safe: the owner of the cgroup can set it.
 *
 * A mark belongs to one cgroup, identified by inode and path. Marks of removed cgroups are removed whenever
 * the number of marks has doubled. So a mark costs O(1) on average.
 *
 * Not thread safe. The functions read and write files. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct Marks Marks;

/* Reads the marks that an earlier cdmd wrote since boot. Files that cannot be read or whose cgroup is gone
 * are removed. */
int marks_new(const char *directory, Marks **ret);
Marks *marks_free(Marks *m);
DEFINE_CLEANUP(Marks, marks_free);

/* Returns false if cdmd is not known to have written to this cgroup. */
bool marks_get(const Marks *m, uint64_t id, const char *path, NodeSet *ret_was, NodeSet *ret_set);
int marks_put(Marks *m, uint64_t id, const char *path, const NodeSet *was, const NodeSet *set);
void marks_remove(Marks *m, uint64_t id);
