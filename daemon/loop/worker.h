/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Threads for operations that may block: writes to cpuset.mems (seconds, for a process with many threads),
 * moving pages, reclaim, fsync to a disk. The event loop never does any of these. Jobs run in any order, so
 * callers serialize the jobs of a tenant. */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "daemon/loop/done.h"
#include "policy/macro.h"

typedef struct Worker Worker;
typedef struct Job Job;

/* Runs on a thread, and must not touch anything that the event loop owns. Returns 0, a negative errno, or
 * the result of job_pause(). */
typedef int (*job_run_t)(Job *job, void *userdata);
/* Runs on the event loop. If several values arrive in one turn of the loop, only the last is reported. */
typedef void (*job_progress_t)(uint64_t value, void *userdata);

/* Threads are started on demand, up to n_threads_max, and end when idle for a while: an idle cdmd has one
 * thread. */
int worker_new(sd_event *event, unsigned n_threads_max, Worker **ret);
/* Cancels running jobs and waits for them; drops waiting and paused jobs. */
Worker *worker_free(Worker *w);
DEFINE_CLEANUP(Worker, worker_free);

/* For jobs that may never end: drops waiting and paused jobs, and does not wait for running jobs. done of a
 * running job is not called, and its userdata and the Worker stay allocated. Returns true if there is a
 * running job. */
_Bool worker_leave(Worker *w);

/* done is called exactly once, also after job_cancel(); the job does not use userdata afterwards. progress
 * may be NULL. */
int worker_submit(Worker *w, job_run_t run, done_t done, job_progress_t progress, void *userdata, Job **ret);

/* Like worker_submit(), but ahead of all jobs of worker_submit(): for jobs that close nodes. */
int worker_submit_first(Worker *w, job_run_t run, done_t done, job_progress_t progress, void *userdata,
                        Job **ret);

/* For a running job that must wait, or has run for a long time while others wait: yields the thread. run
 * then returns JOB_PAUSED, and is called again, by any thread, not before until_usec (CLOCK_MONOTONIC; 0:
 * after the waiting jobs). A paused job keeps its state in userdata, which should not contain scarce
 * resources such as open files, because thousands of jobs may be paused. After a cancellation run is not
 * called again. */
#define JOB_PAUSED 1
int job_pause(Job *job, uint64_t until_usec);
/* True if other jobs wait for a thread. */
_Bool job_others_wait(Job *job);

/* For the running job: reports progress to the event loop, and checks for cancellation. */
void job_progress(Job *job, uint64_t value);
_Bool job_is_cancelled(const Job *job);
/* Called from the event loop: asks the job to stop soon. done is still called, with -ECANCELED if the job
 * was waiting or paused. */
void job_cancel(Job *job);
