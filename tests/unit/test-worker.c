/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/check-main.h"

#include <errno.h>
#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/loop/worker.h"

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

static uint64_t now_usec(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
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

#define FOREVER_USEC (UINT64_C(3600) * 1000 * 1000)

typedef struct Pauser {
        unsigned n_pauses; /* so often */
        uint64_t for_usec; /* so long; 0: after the others */
        Task *until;       /* or until that one is done */
        atomic_uint n_runs;
        sem_t *ran; /* posted by each run */
        Job *job;
        int result;
        unsigned n_done;
} Pauser;

static atomic_uint n_pausers_done;

static int run_and_pause(Job *job, void *userdata)
{
        Pauser *p = userdata;
        bool again = p->until ? atomic_load(&n_pausers_done) == 0 : p->n_runs < p->n_pauses;

        atomic_fetch_add(&p->n_runs, 1);
        if (p->ran)
                sem_post(p->ran);
        return again ? job_pause(job, p->for_usec ? now_usec() + p->for_usec : 0) : 0;
}

static void on_pauser_done(int result, void *userdata)
{
        Pauser *p = userdata;

        p->result = result;
        p->n_done++;
        atomic_fetch_add(&n_pausers_done, 1);
}

static void submit_pauser(Pauser *p)
{
        MUST(worker_submit(worker, run_and_pause, on_pauser_done, NULL, p, &p->job) == 0);
}

START_TEST(a_paused_job_keeps_no_thread)
{
        enum { N = 20 };
        static Pauser p[N];
        sem_t ran;
        Task t;

        sem_init(&ran, 0, 0);
        for (int i = 0; i < N; i++) {
                p[i] = (Pauser){ .n_pauses = 1, .for_usec = FOREVER_USEC, .ran = &ran };
                submit_pauser(&p[i]);
        }
        /* The two threads may come to the jobs in any order, also to the Task before the last of these. */
        for (int i = 0; i < N; i++)
                wait_for(&ran);
        task_init(&t, 0);
        sem_post(&t.go);
        ck_assert_int_eq(worker_submit(worker, run, on_done, NULL, &t, &t.job), 0);
        turn_until_done(&t); /* on one of the two threads */
        for (int i = 0; i < N; i++) {
                ck_assert_uint_eq(p[i].n_done, 0);
                ck_assert_uint_eq(p[i].n_runs, 1);
                job_cancel(p[i].job);
        }
        while (n_pausers_done < N)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        for (int i = 0; i < N; i++) {
                ck_assert_int_eq(p[i].result, -ECANCELED);
                ck_assert_uint_eq(p[i].n_runs, 1);
        }
}
END_TEST

/* Of this process: a thread is there when worker_submit() returns. */
static unsigned count_threads(void)
{
        DIR *d = opendir("/proc/self/task");
        unsigned n = 0;

        MUST(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n - 2; /* . and .. */
}

/* The loop has not heard yet that they ended. */
START_TEST(threads_that_ended_leave_room_for_others)
{
        static Pauser p[3];
        unsigned before = count_threads();

        for (int i = 0; i < 2; i++)
                submit_pauser(&p[i]);
        MUST(count_threads() > before);
        while (count_threads() > before)
                usleep(50000);
        submit_pauser(&p[2]);
        while (n_pausers_done < 3)
                MUST(sd_event_run(event, UINT64_MAX) >= 0);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(p[i].result, 0);
}
END_TEST

START_TEST(thousands_pause_on_few_threads)
{
        enum { N = 10000, THREADS = 2 };
        unsigned before = count_threads();
        static Pauser p[N];

        for (int i = 0; i < N; i++) {
                p[i] = (Pauser){ .n_pauses = 3, .for_usec = 1000 };
                submit_pauser(&p[i]);
                MUST(count_threads() <= before + THREADS);
        }
        while (n_pausers_done < N) {
                MUST(sd_event_run(event, UINT64_MAX) >= 0);
                MUST(count_threads() <= before + THREADS);
        }
        for (int i = 0; i < N; i++) {
                MUST(p[i].n_done == 1 && p[i].result == 0);
                MUST(p[i].n_runs == 4);
        }
}
END_TEST

/* One that never ends by itself lets the others pass, also on the only thread. */
START_TEST(who_gives_way_is_behind_those_that_wait)
{
        enum { N = 5 };
        static Pauser all[N + 1];
        Task any;

        worker_free(worker);
        ck_assert_int_eq(worker_new(event, 1, &worker), 0);
        all[0].until = &any;
        for (int i = 0; i <= N; i++)
                submit_pauser(&all[i]);
        while (n_pausers_done < N + 1)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        ck_assert_uint_ge(all[0].n_runs, 2);
}
END_TEST

static char order[8];

static int run_in_order(Job *job, void *userdata)
{
        strncat(order, userdata, 1); /* on the only thread */
        return 0;
}

static unsigned n_ordered;

static void on_ordered(int result, void *userdata)
{
        ck_assert_int_eq(result, 0);
        n_ordered++;
}

START_TEST(what_closes_goes_first)
{
        Task t;

        worker_free(worker);
        ck_assert_int_eq(worker_new(event, 1, &worker), 0);
        task_init(&t, 0);
        ck_assert_int_eq(worker_submit(worker, run, on_done, NULL, &t, &t.job), 0);
        for (int i = 0; i < 2; i++) {
                const char *normal = i ? "b" : "a", *first = i ? "2" : "1";

                ck_assert_int_eq(worker_submit(worker, run_in_order, on_ordered, NULL, (void *)normal, NULL),
                                 0);
                ck_assert_int_eq(
                        worker_submit_first(worker, run_in_order, on_ordered, NULL, (void *)first, NULL), 0);
        }
        sem_post(&t.go);
        while (n_ordered < 4)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        /* t may have waited as well, behind those. */
        ck_assert_str_eq(order, "12ab");
}
END_TEST

START_TEST(free_ends_what_is_paused)
{
        static Pauser p[4];

        for (int i = 0; i < 4; i++) {
                p[i] = (Pauser){ .n_pauses = 1, .for_usec = FOREVER_USEC };
                submit_pauser(&p[i]);
        }
        /* Some have a timer by then, and some perhaps not yet. */
        ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        worker = worker_free(worker);
        for (int i = 0; i < 4; i++) {
                ck_assert_uint_eq(p[i].n_done, 1);
                ck_assert_int_eq(p[i].result, -ECANCELED);
        }
}
END_TEST

static sem_t hung_begun, hung_go, hung_gone;

static int run_hung(Job *job, void *userdata)
{
        sem_post(&hung_begun);
        wait_for(&hung_go);
        sem_post(&hung_gone);
        return 0;
}

static void submit_hung(Task *t)
{
        task_init(t, 0);
        ck_assert_int_eq(worker_submit(worker, run_hung, on_done, NULL, t, &t->job), 0);
        wait_for(&hung_begun);
}

/* What hangs is left alone; all others are told, and none of them begins any more. */
START_TEST(leave_ends_all_but_what_runs)
{
        Pauser paused = { .n_pauses = 1, .for_usec = FOREVER_USEC }, pausing = paused;
        Task hung[2], waiting, first;

        sem_init(&hung_begun, 0, 0);
        sem_init(&hung_go, 0, 0);
        sem_init(&hung_gone, 0, 0);
        leaks_allowed(true);
        worker = worker_free(worker);
        event = sd_event_unref(event);
        setup();
        submit_hung(&hung[0]);
        submit_pauser(&paused);
        ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0); /* it has a timer then */
        submit_pauser(&pausing);
        submit_hung(&hung[1]); /* on the thread that has let go of it */
        task_init(&waiting, 0);
        task_init(&first, 0);
        ck_assert_int_eq(worker_submit(worker, run_hung, on_done, NULL, &waiting, NULL), 0);
        ck_assert_int_eq(worker_submit_first(worker, run_hung, on_done, NULL, &first, NULL), 0);

        ck_assert(worker_leave(worker));
        worker = NULL;
        ck_assert_uint_eq(paused.n_done, 1);
        ck_assert_int_eq(paused.result, -ECANCELED);
        ck_assert_uint_eq(pausing.n_done, 1);
        ck_assert_int_eq(pausing.result, -ECANCELED);
        ck_assert_int_eq(waiting.result, -ECANCELED);
        ck_assert_int_eq(first.result, -ECANCELED);
        ck_assert_uint_eq(hung[0].n_done + hung[1].n_done, 0);
        leaks_allowed(false);
        for (int i = 0; i < 2; i++) {
                sem_post(&hung_go);
                wait_for(&hung_gone);
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
        tcase_add_test(c, a_paused_job_keeps_no_thread);
        tcase_add_test(c, threads_that_ended_leave_room_for_others);
        tcase_add_test(c, thousands_pause_on_few_threads);
        tcase_add_test(c, who_gives_way_is_behind_those_that_wait);
        tcase_add_test(c, what_closes_goes_first);
        tcase_add_test(c, free_ends_what_is_paused);
        tcase_add_test(c, leave_ends_all_but_what_runs);
        tcase_add_test(c, no_threads_is_refused);
        suite_add_tcase(s, c);
        return check_main(s);
}
