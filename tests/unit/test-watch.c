/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/check-main.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/xattr.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/cgroup-watch.h"
#include "tests/unit/tree.h"

/* Directories are watched like cgroups are; what only cgroupfs can tell is shown in the guest. */

#define TOP "sys/fs/cgroup/"

static char *root;
static sd_event *event;
static Watch *watch;
static char seen[65536]; /* "created /a;removed /b;" */

static void setup(void)
{
        char *error = NULL;

        root = tree_new();
        tree_write(root, TOP "cgroup.controllers", "cpuset memory");
        tree_write(root, TOP "system.slice/a.service/cpuset.mems", "0-1\n");
        tree_write(root, TOP "system.slice/b.service/deep/cpuset.mems", "\n");
        ck_assert_int_eq(cgroup_setup(root, &error), 0);
        ck_assert_int_ge(sd_event_new(&event), 0);
}

static void teardown(void)
{
        watch = watch_free(watch);
        event = sd_event_unref(event);
        tree_remove(root);
}

static void make(const char *path)
{
        char *full = NULL;

        ck_assert_int_ge(asprintf(&full, "%s/" TOP "%s", root, path), 0);
        ck_assert_int_eq(mkdir(full, 0755), 0);
        free(full);
}

static void unmake(const char *path)
{
        char *full = NULL;

        ck_assert_int_ge(asprintf(&full, "%s/" TOP "%s", root, path), 0);
        ck_assert_int_eq(rmdir(full), 0);
        free(full);
}

static void on_event(WatchEvent e, const char *path, void *userdata)
{
        size_t n = strlen(seen);

        ck_assert_ptr_eq(userdata, &seen);
        snprintf(seen + n, sizeof(seen) - n, "%s %s;", watch_event_to_string(e), path);
}

static void start(void)
{
        ck_assert_int_eq(watch_new(event, on_event, seen, &watch), 0);
        ck_assert_str_eq(seen, "");
}

/* Until nothing is left to be told. */
static const char *told(void)
{
        seen[0] = '\0';
        while (sd_event_run(event, 0) > 0)
                ;
        return seen;
}

START_TEST(what_is_there_is_not_told)
{
        start();
        ck_assert_uint_eq(watch_count(watch), 5);
        ck_assert_str_eq(told(), "");
        ck_assert(!watch_is_incomplete(watch));
}
END_TEST

START_TEST(what_comes_and_goes_is)
{
        start();
        make("foreign");
        ck_assert_str_eq(told(), "created /foreign;");
        make("foreign/one");
        ck_assert_str_eq(told(), "created /foreign/one;");
        tree_write(root, TOP "foreign/one/cpuset.mems", "0-3\n");
        ck_assert_str_eq(told(), "mems-written /foreign/one;");
        tree_write(root, TOP "foreign/cgroup.subtree_control", "cpuset\n");
        ck_assert_str_eq(told(), "controllers-written /foreign;");
        tree_write(root, TOP "foreign/one/cgroup.procs", "1\n");
        ck_assert_str_eq(told(), "");
        free(tree_read(root, TOP "foreign/one/cpuset.mems"));
        ck_assert_str_eq(told(), "");
        make("foreign/two");
        unmake("foreign/two");
        ck_assert_str_eq(told(), ""); /* it was gone before anybody could look */
        ck_assert_uint_eq(watch_count(watch), 7);
}
END_TEST

START_TEST(what_ends_is_forgotten)
{
        start();
        make("x");
        make("x/y");
        told();
        unmake("x/y");
        unmake("x");
        ck_assert_str_eq(told(), "removed /x/y;removed /x;");
        ck_assert_uint_eq(watch_count(watch), 5);
        make("x");
        ck_assert_str_eq(told(), "created /x;");
        unmake("x");
        make("x"); /* another one of the same name */
        ck_assert_str_eq(told(), "removed /x;created /x;");
        tree_write(root, TOP "x/cpuset.mems", "0\n");
        ck_assert_str_eq(told(), "mems-written /x;");
}
END_TEST

START_TEST(what_is_made_in_what_was_just_made_is_found)
{
        start();
        make("a");
        make("a/b");
        make("a/b/c");
        make("a/b/c/d");
        ck_assert_str_eq(told(), "created /a;created /a/b;created /a/b/c;created /a/b/c/d;");
        make("a/b/c/e");
        ck_assert_str_eq(told(), "created /a/b/c/e;");
}
END_TEST

START_TEST(below_what_is_delegated_nothing_is_watched)
{
        char *full = NULL;

        ck_assert_int_ge(asprintf(&full, "%s/" TOP "system.slice/b.service", root), 0);
        if (setxattr(full, "user.delegate", "1", 1, 0) < 0) {
                printf("# skipped: no user.* attributes in %s\n", root);
                free(full);
                return;
        }
        start();
        ck_assert_uint_eq(watch_count(watch), 4);
        make("system.slice/b.service/own");
        ck_assert_str_eq(told(), "");
        tree_write(root, TOP "system.slice/b.service/cpuset.mems", "0\n");
        ck_assert_str_eq(told(), "mems-written /system.slice/b.service;");
        free(full);

        make("late");
        make("late/child");
        ck_assert_str_eq(told(), "created /late;created /late/child;");
        ck_assert_int_ge(asprintf(&full, "%s/" TOP "late", root), 0);
        ck_assert_int_eq(setxattr(full, "user.delegate", "1", 1, 0), 0);
        make("late/second");
        ck_assert_str_eq(told(), "");
        ck_assert_uint_eq(watch_count(watch), 5);
        free(full);
}
END_TEST

/* Also where its owner removed systemd's mark. */
START_TEST(below_what_a_user_owns_nothing_is_watched)
{
        char *full = NULL;

        if (geteuid() != 0) {
                printf("# skipped: only root can give a directory away\n");
                return;
        }
        ck_assert_int_ge(asprintf(&full, "%s/" TOP "system.slice/b.service", root), 0);
        ck_assert_int_eq(chown(full, 1000, 1000), 0);
        free(full);
        start();
        ck_assert_uint_eq(watch_count(watch), 4);
        make("system.slice/b.service/own");
        ck_assert_str_eq(told(), "");
        ck_assert_uint_eq(watch_count(watch), 4);
}
END_TEST

/* Many cgroups, flat and deep: the event loop turns before all of them are looked at; what happened meanwhile
 * is not lost. */
START_TEST(a_large_tree_is_looked_at_in_portions)
{
        enum { N = 2000 };
        char path[64];

        for (int i = 0; i < N; i++) {
                snprintf(path, sizeof(path), "system.slice/%d", i);
                make(path);
                if (i % 2)
                        continue;
                snprintf(path, sizeof(path), "system.slice/%d/below", i);
                make(path);
        }
        start();
        ck_assert_uint_lt(watch_count(watch), N / 4);
        ck_assert_int_gt(sd_event_run(event, 0), 0);
        ck_assert_uint_lt(watch_count(watch), N / 2);
        make("new");
        unmake("system.slice/1");
        ck_assert_int_eq(strncmp(told(), "lost /;", 7), 0); /* /new may be told as well */
        ck_assert_uint_eq(watch_count(watch), 5 + N + N / 2);
        ck_assert(!watch_is_incomplete(watch));
        make("new/er");
        ck_assert_str_eq(told(), "created /new/er;");
}
END_TEST

static unsigned count_told(void)
{
        unsigned n = 0;

        for (const char *p = seen; (p = strchr(p, ';')); p++)
                n++;
        return n;
}

/* What else the event loop has to do: it is always ready. */
static unsigned n_others;

static int on_other(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        n_others++;
        return 0;
}

/* Until n events were told: no turn of the loop tells more than the 128 events that it may read, and
 * what else is ready has every second turn. */
static void assert_in_portions(unsigned n)
{
        sd_event_source *other = NULL;
        int fd = eventfd(1, EFD_CLOEXEC);
        unsigned sum = 0, n_turns = 0;

        MUST(fd >= 0);
        ck_assert_int_ge(sd_event_add_io(event, &other, fd, EPOLLIN, on_other, NULL), 0);
        for (n_others = 0; sum < n; n_turns++) {
                seen[0] = '\0';
                ck_assert_int_gt(sd_event_run(event, 0), 0);
                ck_assert_uint_le(count_told(), 128);
                sum += count_told();
        }
        sd_event_source_unref(other);
        close(fd);
        ck_assert_uint_eq(sum, n);
        ck_assert_uint_ge(n_others, n_turns / 4);
        ck_assert_str_eq(told(), "");
}

START_TEST(a_burst_leaves_the_event_loop_to_others)
{
        enum { N = 4000 };
        char path[64];

        start();
        for (int i = 0; i < N; i++) {
                snprintf(path, sizeof(path), "system.slice/%d", i);
                make(path);
        }
        assert_in_portions(N);
        ck_assert_uint_eq(watch_count(watch), 5 + N);
        for (int i = 0; i < N; i++) {
                snprintf(path, sizeof(path), "system.slice/%d", i);
                unmake(path);
        }
        assert_in_portions(N);
        ck_assert_uint_eq(watch_count(watch), 5);
}
END_TEST

START_TEST(too_much_at_once_is_no_loss)
{
        char *full = NULL;
        int limit = 16384, i;
        FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");

        if (f) {
                ck_assert_int_eq(fscanf(f, "%d", &limit), 1);
                fclose(f);
        }
        make("old");
        make("old/er");
        make("same");
        start();
        ck_assert_int_ge(asprintf(&full, "%s/" TOP "system.slice/a.service/cpuset.mems", root), 0);
        tree_write(root, TOP "system.slice/a.service/cgroup.subtree_control", "");
        for (i = 0; i <= limit; i++) { /* alternating, for events that are alike become one */
                int fd = open(full, O_WRONLY | O_CLOEXEC);

                MUST(fd >= 0);
                close(fd);
                full[strlen(full) - 12] = '\0';
                strcat(full, i % 2 ? "/cpuset.mems" : "/cpuset.cpus");
                fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
                MUST(fd >= 0);
                close(fd);
        }
        free(full);
        make("new");
        make("new/est");
        unmake("old/er");
        unmake("old");
        unmake("same");
        make("same");
        while (sd_event_run(event, 0) > 0)
                if (strlen(seen) > sizeof(seen) / 2 && !strstr(seen, "lost"))
                        seen[0] = '\0';
        ck_assert_ptr_nonnull(strstr(seen, "lost /;"));
        ck_assert_ptr_nonnull(strstr(seen, "created /new;"));
        ck_assert_ptr_nonnull(strstr(seen, "created /new/est;"));
        ck_assert_ptr_nonnull(strstr(seen, "removed /old/er;"));
        ck_assert_ptr_nonnull(strstr(seen, "removed /old;"));
        ck_assert_ptr_nonnull(strstr(seen, "removed /same;created /same;"));
        ck_assert_uint_eq(watch_count(watch), 8);
        make("later");
        ck_assert_str_eq(told(), "created /later;");
}
END_TEST

START_TEST(thousands_of_cgroups)
{
        char path[64];

        start();
        for (int i = 0; i < 30; i++) {
                snprintf(path, sizeof(path), "m%d", i);
                make(path);
                for (int k = 0; k < 100; k++) {
                        snprintf(path, sizeof(path), "m%d/%d", i, k);
                        make(path);
                }
        }
        while (sd_event_run(event, 0) > 0)
                seen[0] = '\0';
        if (watch_is_incomplete(watch))
                printf("# fs.inotify.max_user_watches allows only %zu\n", watch_count(watch));
        else
                ck_assert_uint_eq(watch_count(watch), 5 + 30 + 3000);
}
END_TEST

START_TEST(every_event_has_a_name)
{
        for (WatchEvent e = 0; e < _WATCH_EVENT_MAX; e++)
                ck_assert_ptr_nonnull(watch_event_to_string(e));
        ck_assert_ptr_null(watch_event_to_string(_WATCH_EVENT_MAX));
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("watch");
        TCase *c = tcase_create("watch");

        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_test(c, what_is_there_is_not_told);
        tcase_add_test(c, what_comes_and_goes_is);
        tcase_add_test(c, what_ends_is_forgotten);
        tcase_add_test(c, what_is_made_in_what_was_just_made_is_found);
        tcase_add_test(c, below_what_is_delegated_nothing_is_watched);
        tcase_add_test(c, below_what_a_user_owns_nothing_is_watched);
        tcase_add_test(c, a_large_tree_is_looked_at_in_portions);
        tcase_add_test(c, a_burst_leaves_the_event_loop_to_others);
        tcase_add_test(c, too_much_at_once_is_no_loss);
        tcase_add_test(c, thousands_of_cgroups);
        tcase_add_test(c, every_event_has_a_name);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        return check_main(suite());
}
