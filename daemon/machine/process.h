/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the kernel says about one process: by pidfd, and in procfs below a root directory. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The PID behind a pidfd. -EINVAL: it is no pidfd; -ESRCH: the process has exited or cannot be seen from
 * here. */
int process_of_pidfd(int pidfd, pid_t *ret);
/* A pidfd becomes readable when its process exits. */
bool process_is_alive(int pidfd);

/* Real, effective, saved and file-system UID are all this one. -ESRCH: no such process. */
int process_has_only_uid(const char *root, pid_t pid, uid_t uid);

/* When it started, in clock ticks since boot: with its number it names a process for as long as the machine
 * runs. -ESRCH: no such process. */
int process_start_time(const char *root, pid_t pid, uint64_t *ret);

/* Its cgroup (v2), owned by the caller. -ESRCH: no such process; -ENODATA: it is in no cgroup v2. */
int process_cgroup(const char *root, pid_t pid, char **ret);
