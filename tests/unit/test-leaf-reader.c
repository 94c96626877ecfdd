/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/check-main.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "daemon/fence/leaf-reader.h"
#include "daemon/kernel/cgroup.h"
#include "tests/unit/tree.h"

#define CG "sys/fs/cgroup/"

static char *root;
static sd_event *event;
static Worker *worker;
static LeafReader *reader;
static char seen[4096];
static unsigned n_seen;

static void on_read(LeafReading *reading, void *userdata _unused_)
{
        char mems[NODESET_STR_MAX];
        size_t n = strlen(seen);

        snprintf(seen + n, sizeof(seen) - n, "%s %s%s;", reading->leaf.path,
                 reading->error < 0 ? strerror(-reading->error) : nodeset_format(&reading->leaf.mems, mems),
                 reading->check ? " check" : "");
        n_seen++;
}

static void set_mems(const char *path, const char *mems)
{
        char name[256];

        snprintf(name, sizeof(name), CG "%s/cpuset.mems", path);
        tree_write(root, name, mems);
        snprintf(name, sizeof(name), CG "%s/cpuset.mems.effective", path);
        tree_write(root, name, mems);
}

static void setup(void)
{
        char *error = NULL;

        root = tree_new();
        tree_write(root, CG "cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
        set_mems("system.slice/a.service", "0-1\n");
        set_mems("system.slice/b.service", "0,2\n");
        ck_assert_int_eq(cgroup_setup(root, &error), 0);
        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(worker_new(event, 2, &worker), 0);
        ck_assert_int_eq(leaf_reader_new(worker, on_read, NULL, &reader), 0);
        seen[0] = '\0';
        n_seen = 0;
}

static void teardown(void)
{
        reader = leaf_reader_free(reader);
        worker = worker_free(worker);
        event = sd_event_unref(event);
        tree_remove(root);
}

static void wait_for(unsigned n)
{
        while (n_seen < n)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
}

/* From now on a read of that cgroup's nodes waits until release() has been called. */
static char *block(const char *path)
{
        char *name;

        ck_assert_int_ge(asprintf(&name, "%s/" CG "%s/cpuset.mems", root, path), 0);
        ck_assert_int_eq(unlink(name), 0);
        ck_assert_int_eq(mkfifo(name, 0600), 0);
        return name;
}

/* Waits for the read. */
static int await_read(const char *fifo)
{
        int fd = open(fifo, O_WRONLY | O_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        return fd;
}

/* Lets it read that. */
static void release(int fd, char *fifo, const char *mems)
{
        ck_assert_int_eq(write(fd, mems, strlen(mems)), (ssize_t)strlen(mems));
        close(fd);
        ck_assert_int_eq(unlink(fifo), 0);
        free(fifo);
}

START_TEST(the_nodes_of_the_unit_are_read)
{
        ck_assert_int_eq(leaf_reader_add(reader, "/system.slice/a.service", false), 0);
        ck_assert_int_eq(leaf_reader_add(reader, "/system.slice/b.service/inner", true), 0);
        ck_assert_int_eq(leaf_reader_add(reader, "/system.slice/c.service", true), 0);
        ck_assert_uint_eq(n_seen, 0);
        wait_for(3);
        ck_assert_str_eq(seen, "/system.slice/a.service 0-1;/system.slice/b.service/inner 0,2 check;"
                               "/system.slice/c.service No such file or directory check;");
}
END_TEST

START_TEST(a_read_that_does_not_end_holds_nobody_but_those_behind)
{
        char *fifo = block("system.slice/a.service");

        ck_assert_int_eq(leaf_reader_add(reader, "/system.slice/a.service", false), 0);
        ck_assert_int_eq(leaf_reader_add(reader, "/system.slice/b.service", false), 0);
        /* The event loop turns. */
        ck_assert_int_ge(sd_event_run(event, 0), 0);
        ck_assert_uint_eq(n_seen, 0);
        release(await_read(fifo), fifo, "0\n");
        wait_for(2);
        ck_assert_str_eq(seen, "/system.slice/a.service 0;/system.slice/b.service 0,2;");
}
END_TEST

START_TEST(what_waits_is_read_once_and_what_is_being_read_once_more)
{
        char *fifo = block("system.slice/a.service");

        ck_assert_int_eq(leaf_reader_add(reader, "/system.slice/a.service", false), 0);
        for (unsigned i = 0; i < 3; i++) {
                ck_assert_int_eq(leaf_reader_add(reader, "/system.slice/a.service", i == 1), 0);
                ck_assert_int_eq(leaf_reader_add(reader, "/system.slice/b.service", false), 0);
        }
        release(await_read(fifo), fifo, "0\n");
        set_mems("system.slice/a.service", "0-1\n");
        wait_for(3);
        ck_assert_str_eq(seen, "/system.slice/a.service 0;/system.slice/a.service 0-1 check;"
                               "/system.slice/b.service 0,2;");
}
END_TEST

START_TEST(so_many_wait_and_no_more)
{
        char *fifo = block("system.slice/a.service"), path[64];
        unsigned n = 0;
        int r;

        ck_assert_int_eq(leaf_reader_add(reader, "/system.slice/a.service", false), 0);
        do {
                snprintf(path, sizeof(path), "/system.slice/many-%u.service", n++);
                r = leaf_reader_add(reader, path, false);
        } while (r == 0 && n < 1000000);
        ck_assert_int_eq(r, -ENOBUFS);
        /* One that waits already is no further one. */
        ck_assert_int_eq(leaf_reader_add(reader, "/system.slice/many-0.service", true), 0);
        release(await_read(fifo), fifo, "0\n");
        wait_for(n);
        ck_assert_uint_eq(n_seen, n);
        ck_assert_int_eq(leaf_reader_add(reader, path, false), 0);
        wait_for(n + 1);
}
END_TEST

START_TEST(nothing_is_told_after_the_end)
{
        char *fifo = block("system.slice/a.service");

        ck_assert_int_eq(leaf_reader_add(reader, "/system.slice/a.service", false), 0);
        ck_assert_int_eq(leaf_reader_add(reader, "/system.slice/b.service", false), 0);
        int fd = await_read(fifo);
        reader = leaf_reader_free(reader);
        release(fd, fifo, "0\n");
        worker = worker_free(worker);
        ck_assert_uint_eq(n_seen, 0);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("leaf-reader");
        TCase *t = tcase_create("leaf-reader");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_set_timeout(t, 120);
        tcase_add_test(t, the_nodes_of_the_unit_are_read);
        tcase_add_test(t, a_read_that_does_not_end_holds_nobody_but_those_behind);
        tcase_add_test(t, what_waits_is_read_once_and_what_is_being_read_once_more);
        tcase_add_test(t, so_many_wait_and_no_more);
        tcase_add_test(t, nothing_is_told_after_the_end);
        suite_add_tcase(s, t);
        return check_main(s);
}
