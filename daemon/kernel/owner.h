/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Determines the owner of a cgroup that has the name of a unit. The name alone is not enough: Nomad and
 * Slurm create cgroups with names such as job.scope by mkdir. PID 1 knows its own cgroups. When PID 1 does
 * not own a cgroup, the table keeps this answer for the uppermost cgroup that PID 1 does not own, by path
 * and inode. A cgroup without an answer counts as systemd's if it has the name of a unit.
 *
 * There is one table per process, as there is one cgroup tree. All functions are thread safe. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True if the cgroup named by the first n bytes of path is known not to belong to systemd. */
bool owner_is_foreign(const char *path, size_t n);

/* True if the open cgroup may not belong to systemd, so that PID 1 must be asked. systemd sets the extended
 * attribute user.invocation_id on the cgroup of a unit that it starts (seen with systemd 252 and 257). The owner
 * of a cgroup can set it, too, so it counts only where no other user than root may write. */
bool owner_is_doubtful(int fd);

/* Stores the answer of PID 1 for path: the nearest unit; NULL: none. id: the inode of path before the
 * question. Returns the length of the part of path that names the uppermost cgroup which systemd does not
 * own; 0: path belongs to a unit. -ENOENT: there is no such cgroup. -ESTALE: path is another cgroup by now,
 * so the answer does not apply. -ENOSPC: the table is full, and the cgroup counts as systemd's. */
int owner_learn(const char *path, uint64_t id, const char *unit);

/* Removes the entry of path. */
void owner_forget(const char *path);

/* Finds a cgroup in the table with the name of this unit: systemd may have taken it over. The path is owned
 * by the caller. NULL: none, or out of memory. */
char *owner_find(const char *unit);

size_t owner_count(void);

/* True if the first n bytes of `name` are the name of a unit with processes, or of a slice. */
bool owner_name_is_unit(const char *name, size_t n);
bool owner_name_is_slice(const char *name, size_t n);

/* Returns the length of the part of path that names the top foreign cgroup: the first component that is
 * neither a slice nor a unit. 0: path is a slice, a unit, or below a unit. */
size_t owner_top(const char *path);

/* Returns the length of the part of path that is the cgroup of a unit, judged by its name; 0: none. */
size_t owner_unit_length(const char *path);
