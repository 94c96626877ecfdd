/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The control groups of a step and of its job, as the step's slurmstepd sees them. */

#include <stdbool.h>
#include <stdint.h>

#include "slurm/words.h"

/* Where this process is. -ENODATA: in no step of a job below cgroup v2. */
int step_place_read(StepPlace *ret);

/* For when cdmd does not say what the step may use: it gets what PID 1 may use, which never has a reservation and is
 * fenced whenever anything is. Nothing is written where the step has no more than that. */
int step_keep_out(const StepPlace *place);

/* A descriptor that stands for the job: of a file in its control group that root alone may open. */
int step_job_open(const StepPlace *place, int *ret_fd);

/* The same, when no other step of the job holds the lock: what is asked for a job is asked once. It ends with the
 * descriptor. Of the directory a user could hold a lock, and keep everybody's steps waiting. */
int step_job_lock(const StepPlace *place, int *ret_fd);

/* Which reservation of a pool the job has been given: a mark on that file, which ends with it.
 * *ret_path: NULL: none. */
int step_mark_read(int job_fd, const char *pool, char **ret_path);
int step_mark_write(int job_fd, const char *pool, const char *path);

/* Has cdmd been told whose job it is, and its labels? A mark, likewise. */
bool step_is_said(int job_fd);
int step_say(int job_fd);
