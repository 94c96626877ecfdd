/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Steps of a plan that look at one cgroup alone; all block. *ret_message: what failed and why, for the user,
 * where there is more to say than the error; owned by the caller. */

#include <stdint.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

/* Owned by the caller; NULL when out of memory. */
char *step_message(const char *format, ...) _printf_(1, 2);

/* The cgroup, or -ENOENT, or -ESTALE when it is another one by now. wanted_id 0: any. */
int step_open(const char *cgroup, uint64_t wanted_id);
/* back: what another cgroup gets that has taken its place meanwhile; NULL: nothing. */
int step_write(const char *cgroup, uint64_t id, const NodeSet *nodes, const NodeSet *back,
               char **ret_message);
/* Has it at most these nodes, an ordinary one, and those needed? */
int step_verify(int fd, const char *cgroup, const NodeSet *nodes, const NodeSet *needed, char **ret_message);
/* Can a process there allocate on those needed, if there is one? -EPERM: none can. */
int step_verify_use(int fd, const char *cgroup, const NodeSet *needed, char **ret_message);
