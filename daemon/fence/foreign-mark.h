/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What cpuset.mems of a foreign cgroup was before cdmd wrote to it, and what cdmd wrote.
 *
 * A mark makes root write cpuset.mems, so it is kept where only root can write: one file a cgroup in
 * /run/cdmd/foreign, which survives a restart of cdmd and ends with the boot. An attribute of the cgroup
 * would not do: the cgroup's owner can set it.
 *
 * A mark belongs to one cgroup, by inode and path. It is removed some time after its cgroup: whenever the
 * number of marks has doubled, those without a cgroup go. So a mark costs O(1) on average.
 *
 * Not thread safe. The functions read and write files. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct Marks Marks;

/* Reads what an earlier cdmd of this boot wrote. Files that cannot be read or whose cgroup is gone are
 * removed. */
int marks_new(const char *directory, Marks **ret);
Marks *marks_free(Marks *m);
DEFINE_CLEANUP(Marks, marks_free);

/* False: cdmd has not written to this cgroup, as far as is known. */
bool marks_get(const Marks *m, uint64_t id, const char *path, NodeSet *ret_was, NodeSet *ret_set);
int marks_put(Marks *m, uint64_t id, const char *path, const NodeSet *was, const NodeSet *set);
void marks_remove(Marks *m, uint64_t id);

size_t marks_count(const Marks *m);
