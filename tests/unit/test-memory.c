/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* On node 0, which every machine has. What becomes of pages that are dragged away is seen in a guest. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/hold.h"
#include "daemon/kernel/memory.h"
#include "tests/unit/check-main.h"

#define BYTES (UINT64_C(9) << 20)

static BufferLayout layout;
static Memory *m;

static void set_up(void)
{
        char *error = NULL;
        int node;

        signal(SIGIO, SIG_IGN);
        (void)cgroup_setup("", &error);
        free(error);
        layout = (BufferLayout){ .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE),
                                 .n_parts = 2,
                                 .parts = { { 0, BYTES / 3 }, { 0, BYTES / 3 * 2 } } };
        int r = memory_make(&layout, false, NULL, &m, &node);
        ck_assert_msg(r == 0, "%s", strerror(-r));
}

static void tear_down(void)
{
        m = memory_free(m);
}

static char *map(int fd)
{
        char *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        ck_assert_ptr_ne(p, MAP_FAILED);
        return p;
}

START_TEST(is_there_and_sealed)
{
        struct stat st;
        MemoryCheck c;
        int fd = memory_open(m);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_uint_eq((uint64_t)st.st_size, BYTES);
        ck_assert_uint_eq((uint64_t)st.st_blocks * 512, BYTES);
        ck_assert_int_lt(ftruncate(fd, BYTES + 4096), 0);
        ck_assert_int_lt(ftruncate(fd, 0), 0);
        ck_assert_int_lt(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
        for (int sample = 0; sample < 2; sample++) {
                ck_assert_int_eq(memory_check(m, sample, NULL, &c), 0);
                ck_assert_uint_eq(c.here_bytes, BYTES);
                ck_assert_uint_eq(c.moved_bytes, 0);
        }
        close(fd);
}
END_TEST

START_TEST(users_are_counted)
{
        ck_assert(memory_is_alone(m));
        int fd = memory_open(m), copy = dup(fd);
        ck_assert(!memory_is_alone(m));
        close(fd);
        ck_assert(!memory_is_alone(m));
        char *p = map(copy);
        close(copy);
        ck_assert(!memory_is_alone(m));
        ck_assert_int_eq(memory_destroy(m), -EBUSY);
        p[BYTES - 1] = 7;
        munmap(p, BYTES);
        ck_assert(memory_is_alone(m));

        /* A reader is a user. */
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", memory_fd(m));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert(!memory_is_alone(m));
        close(fd);
        ck_assert_int_eq(memory_destroy(m), 0);
}
END_TEST

START_TEST(another_process_counts)
{
        int ready[2], fd = memory_open(m);
        char c;

        ck_assert_int_eq(pipe(ready), 0);
        pid_t pid = fork();
        if (pid == 0) {
                (void)map(fd);
                close(fd);
                m = NULL;
                (void)!write(ready[1], "x", 1);
                for (;;)
                        pause();
        }
        close(fd);
        ck_assert_int_eq(read(ready[0], &c, 1), 1);
        ck_assert(!memory_is_alone(m));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        ck_assert(memory_is_alone(m));
}
END_TEST

START_TEST(a_path_keeps_nothing)
{
        struct stat st;
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", memory_fd(m));
        int fd = open(path, O_PATH | O_CLOEXEC);
        ck_assert(memory_is_alone(m));
        ck_assert_int_eq(memory_destroy(m), 0);
        m = memory_free(m);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_uint_eq((uint64_t)st.st_blocks, 0);
        close(fd);
}
END_TEST

START_TEST(holes_are_filled)
{
        MemoryCheck c;
        struct stat st;
        int fd = memory_open(m);

        ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096 * 16, 4096 * 100),
                         0);
        ck_assert_int_eq(memory_check(m, false, NULL, &c), 0);
        ck_assert_uint_eq(c.here_bytes, BYTES);
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_uint_eq((uint64_t)st.st_blocks * 512, BYTES);
        close(fd);
}
END_TEST

START_TEST(adopted)
{
        int fd = dup(memory_fd(m)), user = memory_open(m);
        Memory *again;
        MemoryCheck c;

        map(user)[5] = 9;
        m = memory_free(m);
        layout.parts[0].bytes += layout.page_bytes;
        ck_assert_int_eq(memory_adopt(fd, &layout, &again), -EBADMSG);
        layout.parts[0].bytes -= layout.page_bytes;
        ck_assert_int_eq(memory_adopt(fd, &layout, &m), 0);
        ck_assert_int_eq(memory_check(m, false, NULL, &c), 0);
        ck_assert_uint_eq(c.here_bytes, BYTES);
        ck_assert(!memory_is_alone(m));
        ck_assert_int_eq(map(user)[5], 9);

        int other = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        ck_assert_int_eq(ftruncate(other, BYTES), 0);
        ck_assert_int_eq(memory_adopt(other, &layout, &again), -EBADMSG);
        close(other);
}
END_TEST

START_TEST(mappings_are_known)
{
        char line[512];
        bool found = false;
        int fd = memory_open(m), fake = memfd_create("cdm-buffer", MFD_CLOEXEC);

        ck_assert_int_eq(ftruncate(fake, BYTES), 0);
        char *mine = map(fd), *faked = map(fake);
        FILE *f = fopen("/proc/self/maps", "re");
        ck_assert_ptr_nonnull(f);
        while (fgets(line, sizeof(line), f)) {
                char *start = (char *)strtoul(line, NULL, 16);

                if (start == mine) {
                        found = true;
                        ck_assert(memory_is_mapped_by(line));
                } else if (start == faked)
                        ck_assert(!memory_is_mapped_by(line));
        }
        fclose(f);
        ck_assert(found);
        close(fd);
        close(fake);
}
END_TEST

START_TEST(no_room)
{
        Memory *other;
        int node;

        layout.parts[1].bytes = UINT64_C(1) << 60;
        ck_assert_int_eq(memory_make(&layout, false, NULL, &other, &node), -ENOSPC);
        ck_assert_int_eq(node, 0);
        layout =
                (BufferLayout){ .page_bytes = layout.page_bytes, .n_parts = 1, .parts = { { 1000, 4096 } } };
        ck_assert_int_eq(memory_make(&layout, false, NULL, &other, &node), -ENOSPC);
        ck_assert_int_eq(node, 1000);
}
END_TEST

START_TEST(huge_page_sizes)
{
        uint64_t bytes = 0;

        ck_assert_int_eq(memory_huge_page(4097, &bytes), -EINVAL);
        ck_assert_int_eq(memory_huge_page(12345 * UINT64_C(1024), &bytes), -EINVAL);
        ck_assert_uint_eq(bytes, 0);
        if (memory_huge_page(0, &bytes) == 0)
                ck_assert_uint_ge(bytes, layout.page_bytes);
}
END_TEST

/* --- memory that is held ------------------------------------------------------------------------------ */

typedef struct Fill {
        Hold *hold;
        sem_t runs;
        int result;
} Fill;

/* The job is cancelled before it begins to work. A job that was not started yet would not run at all. */
static int run_fill(Job *job, void *userdata)
{
        Fill *fill = userdata;

        sem_post(&fill->runs);
        while (!job_is_cancelled(job))
                sched_yield();
        return hold_resize(fill->hold, BYTES, job);
}

static void on_fill_done(int result, void *userdata)
{
        ((Fill *)userdata)->result = result;
}

START_TEST(held_memory_is_adopted_in_steps)
{
        sd_event *event = NULL;
        Worker *worker = NULL;
        Fill fill = { .result = 1 };
        Job *job;

        sem_init(&fill.runs, 0, 0);
        int fd = memfd_create("held", MFD_CLOEXEC);
        ck_assert_int_eq(ftruncate(fd, (off_t)BYTES), 0);
        ck_assert_int_eq(fallocate(fd, 0, 0, (off_t)BYTES), 0);
        ck_assert_int_eq(hold_adopt(fd, 0, BYTES, &fill.hold), 0);
        ck_assert(!hold_is_populated(fill.hold));

        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(worker_new(event, 1, &worker), 0);
        ck_assert_int_eq(worker_submit(worker, run_fill, on_fill_done, NULL, &fill, &job), 0);
        ck_assert_int_eq(sem_wait(&fill.runs), 0);
        job_cancel(job);
        while (fill.result == 1)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        ck_assert_int_eq(fill.result, -ECANCELED);
        ck_assert(!hold_is_populated(fill.hold));

        /* Whoever waits for what is given back does not wait for the rest. */
        ck_assert_int_eq(hold_resize(fill.hold, BYTES / 3 * 2, NULL), 0);
        ck_assert(!hold_is_populated(fill.hold));
        ck_assert_int_eq(hold_resize(fill.hold, BYTES / 3 * 2, NULL), 0);
        ck_assert(hold_is_populated(fill.hold));
        ck_assert_uint_eq(hold_bytes(fill.hold), BYTES / 3 * 2);
        hold_free(fill.hold);
        worker_free(worker);
        sd_event_unref(event);
}
END_TEST

int main(void)
{
        struct rlimit limit;
        Suite *s = suite_create("memory");
        TCase *c = tcase_create("memory");

        getrlimit(RLIMIT_MEMLOCK, &limit);
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || (limit.rlim_cur < 2 * BYTES && getuid() != 0)) {
                puts("skipped: memory cannot be locked here");
                return 77;
        }
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, is_there_and_sealed);
        tcase_add_test(c, users_are_counted);
        tcase_add_test(c, another_process_counts);
        tcase_add_test(c, a_path_keeps_nothing);
        tcase_add_test(c, holes_are_filled);
        tcase_add_test(c, adopted);
        tcase_add_test(c, mappings_are_known);
        tcase_add_test(c, no_room);
        tcase_add_test(c, huge_page_sizes);
        tcase_add_test(c, held_memory_is_adopted_in_steps);
        suite_add_tcase(s, c);
        return check_main(s);
}
