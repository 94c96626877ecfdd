/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whose a cgroup with the name of a unit is. The name does not tell: Nomad and Slurm make cgroups with names
 * such as job.scope by mkdir. PID 1 knows its own cgroups. Its answers of the kind "not mine" are kept here,
 * for the uppermost cgroup that is not PID 1's, by path and inode. A cgroup without an answer counts as
 * systemd's if its name says so.
 *
 * There is one table for the process, as there is one cgroup tree. All functions are thread safe. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is the cgroup that the first n bytes of path name known not to be systemd's? */
bool owner_is_foreign(const char *path, size_t n);

/* May the open cgroup be somebody else's? systemd gives the cgroups of the units that it starts an attribute
 * that root alone can set. Those without need a question to PID 1. */
bool owner_is_doubtful(int fd);

/* PID 1 was asked for path, which had this inode before, and named this unit as the nearest one; NULL: none.
 * Returns the length of the part of path that names the uppermost cgroup which is not systemd's; 0: path is a
 * unit's or below one. -ENOENT: there is no such cgroup. -ESTALE: path is another cgroup by now, of which the
 * answer says nothing. -ENOSPC: the table is full, and the cgroup counts as systemd's. */
int owner_learn(const char *path, uint64_t id, const char *unit);

/* Nothing is known of path any more. */
void owner_forget(const char *path);

/* The path of a cgroup in the table with the name of this unit, which systemd may have taken over; owned by
 * the caller. NULL: there is none, or out of memory. */
char *owner_find(const char *unit);

size_t owner_count(void);

/* Do the first n bytes of a cgroup's name say that systemd made it for a unit with processes, or for a
 * slice? */
bool owner_name_is_unit(const char *name, size_t n);
bool owner_name_is_slice(const char *name, size_t n);

/* The length of the part of path that names the top one: its first component that is neither a slice nor a
 * unit. 0: path is a slice's or unit's, or below a unit's. */
size_t owner_top(const char *path);

/* The length of the part of path that is the cgroup of a unit, as its name says; 0: none is. */
size_t owner_unit_length(const char *path);
