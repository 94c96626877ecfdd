/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The control groups of a step and of its job, from the view of the step's slurmstepd. */

#include <stdbool.h>
#include <stdint.h>

#include "slurm/words.h"

/* Finds the step of this process. -ENODATA: in no step of a job in cgroup v2. */
int step_place_read(StepPlace *ret);

/* Fences the step when cdmd has not answered. The step gets the nodes of PID 1's init.scope, which never has
 * a reservation and is fenced like every unit. Nothing is written if the step has no other nodes. */
int step_keep_out(const StepPlace *place);

/* Opens a file in the job's control group that only root may open. The descriptor stands for the job. */
int step_job_open(const StepPlace *place, int *ret_fd);

/* Likewise, and locks the file, so that a job requests its memory once. Closing the descriptor ends the
 * lock. The directory is not used as the lock, because a user could hold it and block all steps. */
int step_job_lock(const StepPlace *place, int *ret_fd);

/* The mark for the job's reservation in a pool: an extended attribute of that file, which ends with the job.
 * *ret_path NULL: none. */
int step_mark_read(int job_fd, const char *pool, char **ret_path);
int step_mark_write(int job_fd, const char *pool, const char *path);

/* The mark that cdmd has the user and the labels of the job. */
bool step_is_said(int job_fd);
int step_say(int job_fd);
