/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/check-main.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "daemon/worker.h"

typedef struct Task {
        sem_t go; /* the job waits for it */
        Job *job;
        pthread_t thread;
        int returns;
        int result;
        unsigned n_done, n_progress;
        uint64_t last_progress;
        bool signals_blocked;
        struct Task *chained; /* submitted from done */
} Task;

static sd_event *event;
static Worker *worker;

static void setup(void)
{
        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(worker_new(event, 2, &worker), 0);
}

static void teardown(void)
{
        worker = worker_free(worker);
        event = sd_event_unref(event);
}

static void task_init(Task *t, int returns)
{
        *t = (Task){ .returns = returns, .result = 12345 };
        sem_init(&t->go, 0, 0);
}

static void wait_for(sem_t *s)
{
        while (sem_wait(s) < 0)
                ck_assert_int_eq(errno, EINTR);
}

static int run(Job *job, void *userdata)
{
        Task *t = userdata;
        sigset_t mask;

        wait_for(&t->go);
        t->thread = pthread_self();
        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        t->signals_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGCHLD);
        if (t->returns != 0)
                return t->returns;
        for (uint64_t i = 1; i <= 1000; i++)
                job_progress(job, i);
        return 0;
}

/* Ends only when it is cancelled. */
static int run_until_cancelled(Job *job, void *userdata)
{
        Task *t = userdata;

        sem_post(&t->go);
        while (!job_is_cancelled(job))
                sched_yield();
        return -ECANCELED;
}

static void on_done(int result, void *userdata)
{
        Task *t = userdata;

        ck_assert_ptr_ne((void *)t->thread, (void *)pthread_self());
        t->result = result;
        t->n_done++;
        if (t->chained)
                ck_assert_int_eq(worker_submit(worker, run, on_done, NULL, t->chained, &t->chained->job), 0);
}

static void on_progress(uint64_t value, void *userdata)
{
        Task *t = userdata;

        ck_assert_uint_gt(value, t->last_progress);
        ck_assert_uint_eq(t->n_done, 0);
        t->last_progress = value;
        t->n_progress++;
}

static void turn_until_done(Task *t)
{
        while (t->n_done == 0)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
}

START_TEST(job_runs_on_a_thread_and_done_on_the_loop)
{
        Task t;

        task_init(&t, -EIO);
        ck_assert_int_eq(worker_submit(worker, run, on_done, NULL, &t, NULL), 0);
        sem_post(&t.go);
        turn_until_done(&t);
        ck_assert_int_eq(t.result, -EIO);
        ck_assert_uint_eq(t.n_done, 1);
        ck_assert(t.signals_blocked);
}
END_TEST

START_TEST(progress_is_merged_and_the_last_value_arrives)
{
        Task t;

        task_init(&t, 0);
        sem_post(&t.go);
        ck_assert_int_eq(worker_submit(worker, run, on_done, on_progress, &t, NULL), 0);
        turn_until_done(&t);
        ck_assert_uint_eq(t.last_progress, 1000);
        ck_assert_uint_ge(t.n_progress, 1);
        ck_assert_int_eq(t.result, 0);
}
END_TEST

START_TEST(many_jobs_on_few_threads)
{
        enum { N = 200 };
        static Task t[N];

        for (int i = 0; i < N; i++) {
                task_init(&t[i], i % 2 ? -ENOENT : 0);
                sem_post(&t[i].go);
                ck_assert_int_eq(worker_submit(worker, run, on_done, on_progress, &t[i], NULL), 0);
        }
        for (int i = 0; i < N; i++) {
                turn_until_done(&t[i]);
                ck_assert_int_eq(t[i].result, i % 2 ? -ENOENT : 0);
        }
}
END_TEST

START_TEST(two_jobs_run_at_once_and_a_third_waits)
{
        Task a, b, c;

        task_init(&a, -1);
        task_init(&b, -2);
        task_init(&c, -3);
        ck_assert_int_eq(worker_submit(worker, run, on_done, NULL, &a, &a.job), 0);
        ck_assert_int_eq(worker_submit(worker, run, on_done, NULL, &b, &b.job), 0);
        ck_assert_int_eq(worker_submit(worker, run, on_done, NULL, &c, &c.job), 0);
        /* b can only end while a is still held up if there are two threads; c then needs one of them. */
        sem_post(&b.go);
        turn_until_done(&b);
        sem_post(&c.go);
        turn_until_done(&c);
        ck_assert_uint_eq(a.n_done, 0);
        sem_post(&a.go);
        turn_until_done(&a);
        ck_assert_int_eq(a.result, -1);
}
END_TEST

START_TEST(a_waiting_job_that_is_cancelled_never_runs)
{
        Task a, b, c;

        task_init(&a, -1);
        task_init(&b, -1);
        task_init(&c, -1);
        ck_assert_int_eq(worker_submit(worker, run, on_done, NULL, &a, &a.job), 0);
        ck_assert_int_eq(worker_submit(worker, run, on_done, NULL, &b, &b.job), 0);
        ck_assert_int_eq(worker_submit(worker, run, on_done, NULL, &c, &c.job), 0);
        job_cancel(c.job);
        ck_assert_uint_eq(c.n_done, 0); /* not from within the call */
        turn_until_done(&c);
        ck_assert_int_eq(c.result, -ECANCELED);
        sem_post(&a.go);
        sem_post(&b.go);
        turn_until_done(&a);
        turn_until_done(&b);
        ck_assert_uint_eq(c.n_done, 1);
}
END_TEST

START_TEST(a_running_job_is_told_to_stop)
{
        Task t;

        task_init(&t, 0);
        ck_assert_int_eq(worker_submit(worker, run_until_cancelled, on_done, NULL, &t, &t.job), 0);
        wait_for(&t.go);
        job_cancel(t.job);
        turn_until_done(&t);
        ck_assert_int_eq(t.result, -ECANCELED);
}
END_TEST

START_TEST(a_job_that_had_finished_keeps_its_result)
{
        Task t;

        task_init(&t, 0);
        sem_post(&t.go);
        ck_assert_int_eq(worker_submit(worker, run, on_done, NULL, &t, &t.job), 0);
        /* The eventfd is readable when it has finished; the loop is not asked yet. */
        while (sd_event_prepare(event) == 0 && sd_event_wait(event, UINT64_MAX) <= 0)
                ;
        job_cancel(t.job);
        ck_assert_int_ge(sd_event_dispatch(event), 0);
        turn_until_done(&t);
        ck_assert_int_eq(t.result, 0);
}
END_TEST

START_TEST(done_may_submit)
{
        Task a, b;

        task_init(&a, -1);
        task_init(&b, -2);
        a.chained = &b;
        sem_post(&a.go);
        sem_post(&b.go);
        ck_assert_int_eq(worker_submit(worker, run, on_done, NULL, &a, NULL), 0);
        turn_until_done(&b);
        ck_assert_int_eq(b.result, -2);
}
END_TEST

static int submit_refused;

static void on_done_submit(int result, void *userdata)
{
        Task *t = userdata;

        t->n_done++;
        t->result = result;
        submit_refused = worker_submit(worker, run, on_done, NULL, t, NULL);
}

START_TEST(free_ends_what_runs_and_what_waits)
{
        Task running, waiting[5];

        task_init(&running, 0);
        ck_assert_int_eq(worker_submit(worker, run_until_cancelled, on_done_submit, NULL, &running, NULL),
                         0);
        wait_for(&running.go);
        for (size_t i = 0; i < 5; i++) {
                task_init(&waiting[i], -7);
                sem_post(&waiting[i].go);
                ck_assert_int_eq(
                        worker_submit(worker, run_until_cancelled, on_done, NULL, &waiting[i], NULL), 0);
        }
        worker_free(worker);
        worker = NULL;
        ck_assert_uint_eq(running.n_done, 1);
        ck_assert_int_eq(running.result, -ECANCELED);
        ck_assert_int_eq(submit_refused, -ESHUTDOWN);
        for (size_t i = 0; i < 5; i++) {
                ck_assert_uint_eq(waiting[i].n_done, 1);
                ck_assert_int_eq(waiting[i].result, -ECANCELED);
        }
}
END_TEST

START_TEST(no_threads_is_refused)
{
        Worker *w = NULL;

        ck_assert_int_eq(worker_new(event, 0, &w), -EINVAL);
        ck_assert_ptr_null(w);
        ck_assert_ptr_null(worker_free(NULL));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("worker");
        TCase *c = tcase_create("worker");

        tcase_add_checked_fixture(c, setup, teardown);
        tcase_set_timeout(c, 0);
        tcase_add_test(c, job_runs_on_a_thread_and_done_on_the_loop);
        tcase_add_test(c, progress_is_merged_and_the_last_value_arrives);
        tcase_add_test(c, many_jobs_on_few_threads);
        tcase_add_test(c, two_jobs_run_at_once_and_a_third_waits);
        tcase_add_test(c, a_waiting_job_that_is_cancelled_never_runs);
        tcase_add_test(c, a_running_job_is_told_to_stop);
        tcase_add_test(c, a_job_that_had_finished_keeps_its_result);
        tcase_add_test(c, done_may_submit);
        tcase_add_test(c, free_ends_what_runs_and_what_waits);
        tcase_add_test(c, no_threads_is_refused);
        suite_add_tcase(s, c);
        return check_main(s);
}
