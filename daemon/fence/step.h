/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Steps of a plan that involve a single cgroup. All of them block. *ret_message: what failed and why, for
 * the user, if the error alone does not tell; owned by the caller. */

#include <stdint.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

/* The result is owned by the caller; NULL when out of memory. */
char *step_message(const char *format, ...) _printf_(1, 2);

/* Opens the cgroup. -ENOENT: it is gone. -ESTALE: it was replaced by another one. wanted_id 0: any inode. */
int step_open(const char *cgroup, uint64_t wanted_id);
/* back: the set to write if another cgroup has replaced this one during the write; NULL: none. */
int step_write(const char *cgroup, uint64_t id, const NodeSet *nodes, const NodeSet *back,
               char **ret_message);
/* Checks that the effective set is not empty, is within `nodes`, and contains the needed nodes. */
int step_verify(int fd, const char *cgroup, const NodeSet *nodes, const NodeSet *needed, char **ret_message);
/* Checks that a process of the cgroup, if there is one, can allocate on the needed nodes. -EPERM: none
 * can. */
int step_verify_use(int fd, const char *cgroup, const NodeSet *needed, char **ret_message);
