/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Threads for operations that may block: writes to cpuset.mems (seconds, on a process with many threads),
 * moving pages, reclaim, fsync. The event loop never does any of these itself. Jobs run in any order, so
 * callers serialise per tenant. */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "policy/macro.h"

typedef struct Worker Worker;
typedef struct Job Job;

/* Runs on a thread; must not touch anything the event loop owns. Returns 0 or a negative errno, or what
 * job_pause() returned. */
typedef int (*job_run_t)(Job *job, void *userdata);
/* Run on the event loop. done is called exactly once, also after job_cancel(), after which userdata is the
 * caller's again. progress may be NULL; values that come faster than the loop turns are merged into the
 * last. */
typedef void (*job_done_t)(int result, void *userdata);
typedef void (*job_progress_t)(uint64_t value, void *userdata);

/* Threads are started on demand, up to n_threads_max, and end when idle for a while: an idle cdmd has one
 * thread. */
int worker_new(sd_event *event, unsigned n_threads_max, Worker **ret);
/* Cancels running jobs and waits for them; drops waiting and paused jobs. */
Worker *worker_free(Worker *w);
DEFINE_CLEANUP(Worker, worker_free);

/* For jobs that may never end: drops waiting and paused jobs, and does not wait for running ones. done of a
 * job that runs is not called, and its userdata and the Worker stay allocated. Returns whether there is such
 * a job. */
_Bool worker_leave(Worker *w);

int worker_submit(Worker *w, job_run_t run, job_done_t done, job_progress_t progress, void *userdata,
                  Job **ret);

/* As worker_submit(), but ahead of all jobs of worker_submit(): for jobs that close nodes. */
int worker_submit_first(Worker *w, job_run_t run, job_done_t done, job_progress_t progress, void *userdata,
                        Job **ret);

/* For a running job that has to wait, or has run for long while others wait: gives the thread back. run then
 * returns JOB_PAUSED and is called again, by any thread, not before until_usec (CLOCK_MONOTONIC; 0: after
 * those that wait). A paused job keeps its state in userdata: it should not contain scarce resources such as
 * open files, since thousands of jobs may be paused. When it is cancelled, run is not called any more. */
#define JOB_PAUSED 1
int job_pause(Job *job, uint64_t until_usec);
/* True if other jobs wait for a thread. */
_Bool job_others_wait(Job *job);

/* For the running job: reports progress to the event loop; tells whether the job was cancelled. */
void job_progress(Job *job, uint64_t value);
_Bool job_is_cancelled(const Job *job);
/* From the loop: asks the job to stop soon; done is still called, with -ECANCELED if it had not finished. */
void job_cancel(Job *job);
