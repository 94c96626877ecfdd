/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Information from the kernel about one process: by pidfd, and from procfs below a root directory. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Returns the PID of a pidfd. -EINVAL: not a pidfd. -ESRCH: the process has exited, or is not visible in
 * this PID namespace. */
int process_of_pidfd(int pidfd, pid_t *ret);
/* Uses the fact that a pidfd becomes readable when its process exits. */
bool process_is_alive(int pidfd);

/* Returns 1 if the real, effective, saved and file-system UID all equal uid, otherwise 0. -ESRCH: no such
 * process. */
int process_has_only_uid(const char *root, pid_t pid, uid_t uid);

/* Returns the start time in clock ticks since boot. PID and start time together identify a process until the
 * next boot. -ESRCH: no such process. */
int process_start_time(const char *root, pid_t pid, uint64_t *ret);

/* Returns the cgroup (v2) of the process, owned by the caller. -ESRCH: no such process. -ENODATA: it is in
 * no cgroup of v2. */
int process_cgroup(const char *root, pid_t pid, char **ret);
