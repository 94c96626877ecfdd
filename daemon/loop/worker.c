/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/loop/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* A job is in exactly one list: waiting -> running -> finished. The lock protects all lists. A thread moves
 * the job from `waiting` to `finished`. The event loop, woken through an eventfd, takes it from there, calls
 * done and frees it. So the pointer to a Job is valid until its done callback has been called.
 *
 * A job that pauses moves from `running` to `pausing`. The event loop creates a timer for it and moves it to
 * `paused`; when the timer expires, the job moves back to a waiting list. So a paused job needs a timer, but
 * no thread.
 *
 * A thread is started when a new job finds no idle thread, and ends after IDLE_SEC without work; the eventfd
 * then wakes the loop once more to join the thread. Nothing here wakes up periodically. */

#define IDLE_SEC            10
#define DISPATCH_MAX        64
#define PAUSE_ACCURACY_USEC 1000

typedef struct JobList {
        Job *first, *last;
        size_t n;
} JobList;

struct Job {
        Worker *worker;
        bool first;
        bool pausing; /* set by job_pause() while the job runs */
        uint64_t until_usec;
        sd_event_source *timer; /* used by the event loop only */
        JobList *list;
        Job *prev, *next;
        job_run_t run;
        done_t done;
        job_progress_t progress;
        void *userdata;
        atomic_bool cancelled;
        int result;
        uint64_t progress_value;
        bool progress_pending;
};

struct Worker {
        sd_event *event;
        pthread_mutex_t lock;
        pthread_cond_t work; /* a job is waiting, or the threads must end */
        JobList first, waiting, running, finished;
        JobList pausing, paused;
        unsigned n_threads, n_idle, n_threads_max;
        bool stopping;
        pthread_t *threads; /* n_threads_max slots; threads marked `gone` have ended and must be joined */
        bool *used, *gone;
        int event_fd;
        sd_event_source *source;
};

static void worker_list_append(JobList *list, Job *job)
{
        job->list = list;
        job->prev = list->last;
        job->next = NULL;
        if (list->last)
                list->last->next = job;
        else
                list->first = job;
        list->last = job;
        list->n++;
}

static void worker_list_remove(Job *job)
{
        JobList *list = job->list;

        if (job->prev)
                job->prev->next = job->next;
        else
                list->first = job->next;
        if (job->next)
                job->next->prev = job->prev;
        else
                list->last = job->prev;
        list->n--;
        job->list = NULL;
}

static void worker_wake_loop(Worker *w)
{
        uint64_t one = 1;

        /* Fails only if the counter is at its limit, and then the loop is awake anyway. */
        (void)!write(w->event_fd, &one, sizeof(one));
}

/* Called with the lock held. */
static void worker_finish(Job *job, int result)
{
        job->result = result;
        worker_list_remove(job);
        worker_list_append(&job->worker->finished, job);
        worker_wake_loop(job->worker);
}

/* Called with the lock held. */
static Job *worker_next_waiting(const Worker *w)
{
        return w->first.first ? w->first.first : w->waiting.first;
}

static void worker_wait_in_line(Job *job)
{
        worker_list_append(job->first ? &job->worker->first : &job->worker->waiting, job);
}

/* Called with the lock held. */
static void worker_pause_now(Job *job)
{
        Worker *w = job->worker;

        worker_list_remove(job);
        if (job->until_usec == 0) {
                worker_wait_in_line(job); /* this thread checks for work anyway */
                return;
        }
        worker_list_append(&w->pausing, job);
        worker_wake_loop(w);
}

/* Called with the lock held, which is released while the job runs. */
static void worker_run_one(Worker *w)
{
        Job *job = worker_next_waiting(w);
        int r;

        worker_list_remove(job);
        worker_list_append(&w->running, job);
        job->pausing = false;
        if (job->progress_pending)
                worker_wake_loop(w); /* progress is only dispatched for running jobs */
        pthread_mutex_unlock(&w->lock);
        r = job->run(job, job->userdata);
        pthread_mutex_lock(&w->lock);
        if (!job->pausing)
                worker_finish(job, r);
        else if (atomic_load(&job->cancelled))
                worker_finish(job, -ECANCELED);
        else
                worker_pause_now(job);
}

/* Called with the lock held. Returns false after IDLE_SEC without work. */
static bool worker_wait_for_work(Worker *w)
{
        struct timespec until;
        int r = 0;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += IDLE_SEC;
        w->n_idle++;
        while (!worker_next_waiting(w) && !w->stopping && r != ETIMEDOUT)
                r = pthread_cond_timedwait(&w->work, &w->lock, &until);
        w->n_idle--;
        return worker_next_waiting(w) || w->stopping;
}

static void *worker_thread_main(void *userdata)
{
        Worker *w = userdata;

        pthread_mutex_lock(&w->lock);
        for (;;) {
                if (worker_next_waiting(w))
                        worker_run_one(w);
                else if (w->stopping || !worker_wait_for_work(w))
                        break;
        }
        w->n_threads--;
        for (unsigned i = 0; i < w->n_threads_max; i++)
                if (w->used[i] && pthread_equal(w->threads[i], pthread_self()))
                        w->gone[i] = true;
        worker_wake_loop(w);
        pthread_mutex_unlock(&w->lock);
        return NULL;
}

/* Called with the lock held. A thread that is `gone` still has to release the lock, so the lock is dropped
 * while the thread is joined. */
static void worker_join_gone(Worker *w)
{
        for (unsigned i = 0; i < w->n_threads_max; i++) {
                pthread_t t = w->threads[i];

                if (!w->gone[i])
                        continue;
                w->gone[i] = false;
                pthread_mutex_unlock(&w->lock);
                pthread_join(t, NULL);
                pthread_mutex_lock(&w->lock);
                w->used[i] = false;
        }
}

/* Called with the lock held, which may be released meanwhile. -EAGAIN: all slots are in use. The thread
 * blocks all signals, because the event loop handles them (signalfd). */
static int worker_start_thread(Worker *w)
{
        sigset_t all, before;
        unsigned i = 0;
        int r;

        worker_join_gone(w); /* frees slots of threads that the loop has not joined yet */
        while (i < w->n_threads_max && w->used[i])
                i++;
        if (i == w->n_threads_max)
                return -EAGAIN;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&w->threads[i], NULL, worker_thread_main, w);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r)
                return -r;
        w->used[i] = true;
        w->n_threads++;
        return 0;
}

static void worker_call_done(Job *job)
{
        if (job->progress_pending && job->progress)
                job->progress(job->progress_value, job->userdata);
        sd_event_source_disable_unref(job->timer);
        job->done(job->result, job->userdata);
        free(job);
}

/* Calls done of finished jobs, for at most max jobs, so that the loop can serve other events. done may
 * submit and cancel jobs. */
static void worker_dispatch_finished(Worker *w, size_t max)
{
        for (size_t i = 0;; i++) {
                Job *job;

                pthread_mutex_lock(&w->lock);
                job = w->finished.first;
                if (job && i < max)
                        worker_list_remove(job);
                pthread_mutex_unlock(&w->lock);
                if (!job)
                        return;
                if (i >= max) {
                        worker_wake_loop(w);
                        return;
                }
                worker_call_done(job);
        }
}

/* Makes at most one call per running job in a turn of the loop. Only this thread frees jobs, so a job that
 * is picked under the lock stays valid without the lock. */
static void worker_dispatch_progress(Worker *w)
{
        for (unsigned i = 0; i < w->n_threads_max; i++) {
                uint64_t value = 0;
                Job *job;

                pthread_mutex_lock(&w->lock);
                for (job = w->running.first; job && !job->progress_pending;)
                        job = job->next;
                if (job) {
                        value = job->progress_value;
                        job->progress_pending = false;
                }
                pthread_mutex_unlock(&w->lock);
                if (!job)
                        return;
                job->progress(value, job->userdata);
        }
}

/* Called with the lock held. Idle threads may already have been signalled for jobs that still wait. Fails
 * only if there is no thread at all to run the waiting jobs. */
static int worker_call_thread(Worker *w)
{
        int r = 0;

        if (w->first.n + w->waiting.n > w->n_idle)
                r = worker_start_thread(w);
        pthread_cond_signal(&w->work);
        return w->n_threads > 0 ? 0 : r; /* a running thread will take the job */
}

static int worker_on_pause_over(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
        Job *job = userdata;
        Worker *w = job->worker;

        job->timer = sd_event_source_disable_unref(job->timer);
        pthread_mutex_lock(&w->lock);
        worker_list_remove(job);
        worker_wait_in_line(job);
        int r = worker_call_thread(w);
        if (r < 0)
                worker_finish(job, r);
        pthread_mutex_unlock(&w->lock);
        return 0;
}

/* Called with the lock held. Returns the job if it has progress to report. */
static Job *worker_set_timer(Job *job)
{
        Worker *w = job->worker;
        bool progress = job->progress_pending;

        worker_list_remove(job);
        worker_list_append(&w->paused, job);
        job->progress_pending = false;
        int r = sd_event_add_time(w->event, &job->timer, CLOCK_MONOTONIC, job->until_usec,
                                  PAUSE_ACCURACY_USEC, worker_on_pause_over, job);
        if (r < 0)
                worker_finish(job, r);
        return progress ? job : NULL;
}

static void worker_dispatch_pausing(Worker *w)
{
        bool more = true;

        while (more) {
                Job *job = NULL;

                pthread_mutex_lock(&w->lock);
                if (w->pausing.first)
                        job = worker_set_timer(w->pausing.first);
                more = w->pausing.first;
                pthread_mutex_unlock(&w->lock);
                if (job)
                        job->progress(job->progress_value, job->userdata);
        }
}

static int worker_on_event(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Worker *w = userdata;
        uint64_t count;

        (void)!read(fd, &count, sizeof(count));
        pthread_mutex_lock(&w->lock);
        worker_join_gone(w);
        pthread_mutex_unlock(&w->lock);
        worker_dispatch_pausing(w);
        worker_dispatch_progress(w);
        worker_dispatch_finished(w, DISPATCH_MAX);
        return 0;
}

static int worker_init_locks(Worker *w)
{
        pthread_condattr_t attr;
        int r;

        r = pthread_condattr_init(&attr);
        if (r)
                return -r;
        /* CLOCK_REALTIME may be set while a thread is idle. */
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        r = pthread_cond_init(&w->work, &attr);
        pthread_condattr_destroy(&attr);
        if (r)
                return -r;
        return -pthread_mutex_init(&w->lock, NULL);
}

int worker_new(sd_event *event, unsigned n_threads_max, Worker **ret)
{
        _cleanup_(worker_free_p) Worker *w = NULL;
        Worker *made;
        int r;

        if (n_threads_max == 0)
                return -EINVAL;
        made = calloc(1, sizeof(*made));
        if (!made)
                return -ENOMEM;
        made->event_fd = -EBADF;
        r = worker_init_locks(made);
        if (r < 0) {
                free(made);
                return r;
        }
        w = made;
        w->threads = calloc(n_threads_max, sizeof(*w->threads));
        w->used = calloc(n_threads_max, sizeof(*w->used));
        w->gone = calloc(n_threads_max, sizeof(*w->gone));
        if (!w->threads || !w->used || !w->gone)
                return -ENOMEM;
        w->n_threads_max = n_threads_max;
        w->event = sd_event_ref(event);
        w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (w->event_fd < 0)
                return -errno;
        r = sd_event_add_io(event, &w->source, w->event_fd, EPOLLIN, worker_on_event, w);
        if (r < 0)
                return r;
        (void)sd_event_source_set_description(w->source, "worker");
        *ret = TAKE_PTR(w);
        return 0;
}

/* Called with the lock held. */
static void worker_cancel_all(JobList *list)
{
        while (list->first)
                worker_finish(list->first, -ECANCELED);
}

/* Called with the lock held. Cancels the jobs that no thread runs. */
static void worker_cancel_idle(Worker *w)
{
        worker_cancel_all(&w->first);
        worker_cancel_all(&w->waiting);
        worker_cancel_all(&w->pausing);
        worker_cancel_all(&w->paused);
}

Worker *worker_free(Worker *w)
{
        if (!w)
                return NULL;
        pthread_mutex_lock(&w->lock);
        w->stopping = true;
        for (Job *job = w->running.first; job; job = job->next)
                atomic_store(&job->cancelled, true);
        worker_cancel_idle(w);
        pthread_cond_broadcast(&w->work);
        pthread_mutex_unlock(&w->lock);
        for (unsigned i = 0; i < w->n_threads_max; i++)
                if (w->used[i])
                        pthread_join(w->threads[i], NULL);

        sd_event_source_disable_unref(w->source);
        worker_dispatch_finished(w, SIZE_MAX);
        sd_event_unref(w->event);
        if (w->event_fd >= 0)
                close(w->event_fd);
        pthread_cond_destroy(&w->work);
        pthread_mutex_destroy(&w->lock);
        free(w->threads);
        free(w->used);
        free(w->gone);
        free(w);
        return NULL;
}

_Bool worker_leave(Worker *w)
{
        bool runs;

        if (!w)
                return false;
        pthread_mutex_lock(&w->lock);
        w->stopping = true;
        for (Job *job = w->running.first; job; job = job->next)
                atomic_store(&job->cancelled, true);
        worker_cancel_idle(w);
        runs = w->running.first;
        for (unsigned i = 0; runs && i < w->n_threads_max; i++)
                if (w->used[i])
                        pthread_detach(w->threads[i]);
        pthread_cond_broadcast(&w->work);
        pthread_mutex_unlock(&w->lock);
        if (!runs) {
                worker_free(w);
                return false;
        }
        w->source = sd_event_source_disable_unref(w->source);
        worker_dispatch_finished(w, SIZE_MAX);
        return true;
}

static int worker_enqueue(Worker *w, bool first, job_run_t run, done_t done, job_progress_t progress,
                          void *userdata, Job **ret)
{
        _cleanup_free_ Job *job = calloc(1, sizeof(*job));
        int r = 0;

        if (!job)
                return -ENOMEM;
        job->worker = w;
        job->first = first;
        job->run = run;
        job->done = done;
        job->progress = progress;
        job->userdata = userdata;
        atomic_init(&job->cancelled, false);

        pthread_mutex_lock(&w->lock);
        if (w->stopping) {
                r = -ESHUTDOWN;
        } else {
                worker_wait_in_line(job);
                r = worker_call_thread(w);
                if (r < 0)
                        worker_list_remove(job);
        }
        pthread_mutex_unlock(&w->lock);
        if (r < 0)
                return r;
        if (ret)
                *ret = job;
        TAKE_PTR(job);
        return 0;
}

int worker_submit(Worker *w, job_run_t run, done_t done, job_progress_t progress, void *userdata, Job **ret)
{
        return worker_enqueue(w, false, run, done, progress, userdata, ret);
}

int worker_submit_first(Worker *w, job_run_t run, done_t done, job_progress_t progress, void *userdata,
                        Job **ret)
{
        return worker_enqueue(w, true, run, done, progress, userdata, ret);
}

int job_pause(Job *job, uint64_t until_usec)
{
        job->until_usec = until_usec;
        job->pausing = true;
        return JOB_PAUSED;
}

_Bool job_others_wait(Job *job)
{
        Worker *w = job->worker;

        pthread_mutex_lock(&w->lock);
        bool wait = worker_next_waiting(w);
        pthread_mutex_unlock(&w->lock);
        return wait;
}

void job_progress(Job *job, uint64_t value)
{
        Worker *w;

        if (!job || !job->progress)
                return;
        w = job->worker;
        pthread_mutex_lock(&w->lock);
        job->progress_value = value;
        if (!job->progress_pending) {
                job->progress_pending = true;
                worker_wake_loop(w);
        }
        pthread_mutex_unlock(&w->lock);
}

_Bool job_is_cancelled(const Job *job)
{
        return job && atomic_load(&job->cancelled);
}

void job_cancel(Job *job)
{
        Worker *w = job->worker;

        atomic_store(&job->cancelled, true);
        job->timer = sd_event_source_disable_unref(job->timer);
        pthread_mutex_lock(&w->lock);
        if (job->list != &w->running && job->list != &w->finished)
                worker_finish(job, -ECANCELED);
        pthread_mutex_unlock(&w->lock);
}
