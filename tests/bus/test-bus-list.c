/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lists of reservations, and that nothing a caller asks for makes cdmd read files or walk everything while
 * others wait. A file that blocks its reader stands for one that is slow. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

#define MANY    1500u
#define UNITS   7u
#define DB_NUMA "/sys/fs/cgroup/system.slice/db.service/memory.numa_stat"

/* No answer for so long is no slow one: the test is to fail, not to hang. */
#define SILENT_MAX 60 /* seconds */

static World w;

static void start(void)
{
        world_start(&w);
}

/* More reservations than one page has. */
static void start_many(void)
{
        world_start(&w);
        world_kill_cdmd(&w, SIGTERM);
        world_put_reservations(&w, 1, MANY, UNITS);
        world_start_cdmd(&w);
}

static void stop(void)
{
        world_stop(&w);
}

/* --- asking ------------------------------------------------------------------------------------------- */

typedef struct Page {
        uint32_t ids[CDM_PAGE_MAX];
        char keys[512]; /* of the last row */
        uint64_t used;  /* likewise */
        size_t n;
        uint32_t next;
} Page;

static void read_row(sd_bus_message *m, Page *p)
{
        const char *key;
        uint32_t id;

        MUST(p->n < CDM_PAGE_MAX);
        MUST(sd_bus_message_read(m, "u", &p->ids[p->n++]) > 0);
        p->keys[0] = '\0';
        MUST(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                MUST(sd_bus_message_read(m, "s", &key) > 0);
                size_t n = strlen(p->keys);
                snprintf(p->keys + n, sizeof(p->keys) - n, "%s ", key);
                if (strcmp(key, "Id") == 0) {
                        MUST(sd_bus_message_read(m, "v", "u", &id) > 0);
                        MUST(id == p->ids[p->n - 1]);
                } else if (strcmp(key, "Used") == 0)
                        MUST(sd_bus_message_read(m, "v", "t", &p->used) > 0);
                else
                        MUST(sd_bus_message_skip(m, "v") > 0);
                MUST(sd_bus_message_exit_container(m) > 0);
        }
        MUST(sd_bus_message_exit_container(m) > 0);
}

static void read_page(sd_bus_message *m, Page *ret)
{
        ret->n = 0;
        MUST(sd_bus_message_enter_container(m, 'a', "(ua{sv})") > 0);
        while (sd_bus_message_enter_container(m, 'r', "ua{sv}") > 0) {
                read_row(m, ret);
                MUST(sd_bus_message_exit_container(m) > 0);
        }
        MUST(sd_bus_message_exit_container(m) > 0);
        MUST(sd_bus_message_read(m, "u", &ret->next) > 0);
}

/* With one filter; key "": with none. */
static int ask(uint32_t after, uint32_t max, Page *ret, const char *key, const char *type, ...)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        va_list ap;

        ck_assert_int_ge(sd_bus_message_new_method_call(w.client, &m, CDM_BUS_NAME, CDM_PATH,
                                                        CDM_INTERFACE_MANAGER, "ListReservations"),
                         0);
        ck_assert_int_ge(sd_bus_message_append(m, "uu", after, max), 0);
        ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
        if (*key) {
                ck_assert_int_ge(sd_bus_message_open_container(m, 'e', "sv"), 0);
                ck_assert_int_ge(sd_bus_message_append(m, "s", key), 0);
                ck_assert_int_ge(sd_bus_message_open_container(m, 'v', type), 0);
                va_start(ap, type);
                ck_assert_int_ge(sd_bus_message_appendv(m, type, ap), 0);
                va_end(ap);
                ck_assert_int_ge(sd_bus_message_close_container(m), 0);
                ck_assert_int_ge(sd_bus_message_close_container(m), 0);
        }
        ck_assert_int_ge(sd_bus_message_close_container(m), 0);
        int r = sd_bus_call(w.client, m, 0, &error, &reply);
        snprintf(world_error, sizeof(world_error), "%s", error.name ? error.name : "");
        snprintf(world_message, sizeof(world_message), "%s", error.message ? error.message : "");
        if (r >= 0)
                read_page(reply, ret);
        return r;
}

static int get_managed_objects(sd_bus_message **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, "org.freedesktop.DBus.ObjectManager",
                                   "GetManagedObjects", &error, ret, NULL);
        snprintf(world_error, sizeof(world_error), "%s", error.name ? error.name : "");
        snprintf(world_message, sizeof(world_message), "%s", error.message ? error.message : "");
        return r;
}

static void ping(void)
{
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, "org.freedesktop.DBus.Peer",
                                            "Ping", NULL, NULL, NULL),
                         0);
}

/* --- pages -------------------------------------------------------------------------------------------- */

START_TEST(pages_are_complete_and_in_order)
{
        static const uint32_t sizes[] = { 1000, 100, 7 };

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                uint32_t next = 0, id = 0;
                do {
                        Page p;
                        ck_assert_int_ge(ask(next, sizes[i], &p, "", ""), 0);
                        ck_assert_uint_le(p.n, sizes[i]);
                        for (size_t k = 0; k < p.n; k++)
                                MUST(p.ids[k] == ++id);
                        next = p.next;
                        if (next)
                                ck_assert_uint_eq(next, id);
                } while (next);
                ck_assert_uint_eq(id, MANY);
        }
}
END_TEST

/* All, page by page: nothing is missing, and nothing is there twice. Returns how many are on the first page. */
static size_t read_all(void)
{
        uint32_t next = 0, id = 0;
        size_t n_first = 0;
        Page p;

        do {
                ck_assert_int_ge(ask(next, CDM_PAGE_MAX, &p, "", ""), 0);
                if (n_first == 0)
                        n_first = p.n;
                ck_assert_uint_gt(p.n, 0);
                for (size_t k = 0; k < p.n; k++)
                        MUST(p.ids[k] == ++id);
                next = p.next;
                ck_assert(next == 0 || next == id);
        } while (next);
        ck_assert_uint_eq(id, MANY);
        return n_first;
}

/* Each has been granted by a rule whose file has such a name. */
static void name_rules(const char *file)
{
        for (uint32_t id = 1; id <= MANY; id++) {
                char path[64], full[128], old[1024], text[2048];

                snprintf(path, sizeof(path), "/run/cdmd/reservation-%u", id);
                snprintf(full, sizeof(full), "%s%s", w.root, path);
                FILE *f = fopen(full, "r");
                MUST(f);
                old[fread(old, 1, sizeof(old) - 1, f)] = '\0';
                fclose(f);
                char *rule = strstr(old, "Rule=");
                MUST(rule);
                snprintf(text, sizeof(text), "%.*sRule=%s:4%s", (int)(rule - old), old, file,
                         strchr(rule, '\n'));
                world_put(&w, path, text);
        }
}

START_TEST(a_page_ends_by_its_bytes)
{
        char name[200];
        size_t n_short = read_all(), n_long;

        ck_assert_uint_lt(n_short, 200);
        world_kill_cdmd(&w, SIGTERM);
        memset(name, 'a', sizeof(name));
        memcpy(name + sizeof(name) - 6, ".conf", 6);
        name_rules(name);
        world_start_cdmd(&w);
        n_long = read_all();
        ck_assert_uint_lt(n_long, n_short);
        ck_assert_uint_gt(n_long, n_short / 2);
}
END_TEST

START_TEST(the_last_page_may_be_full)
{
        Page p;

        ck_assert_int_ge(ask(MANY - 10, 10, &p, "", ""), 0);
        ck_assert_uint_eq(p.n, 10);
        ck_assert_uint_eq(p.next, 0);
        ck_assert_int_ge(ask(MANY, 10, &p, "", ""), 0);
        ck_assert_uint_eq(p.n, 0);
        ck_assert_uint_eq(p.next, 0);
        ck_assert_int_ge(ask(UINT32_MAX, 10, &p, "", ""), 0);
        ck_assert_uint_eq(p.n, 0);
}
END_TEST

START_TEST(what_ends_meanwhile_is_left_out)
{
        Page p;

        ck_assert_int_ge(ask(0, 10, &p, "", ""), 0);
        ck_assert_uint_eq(p.next, 10);
        /* The one that the next page goes on behind, one in the middle of it, and one behind it. */
        static const uint32_t gone[] = { 10, 15, 21 };
        for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
                ck_assert_int_eq(world_release(w.client, gone[i]), 0);
                world_wait_event(&w, "released", gone[i]);
        }
        ck_assert_int_ge(ask(p.next, 10, &p, "", ""), 0);
        ck_assert_uint_eq(p.n, 10);
        ck_assert_uint_eq(p.ids[0], 11);
        ck_assert_uint_eq(p.ids[3], 14);
        ck_assert_uint_eq(p.ids[4], 16);
        ck_assert_uint_eq(p.ids[9], 22);
        ck_assert_uint_eq(p.next, 22);
}
END_TEST

START_TEST(filters)
{
        Page p;

        for (uint32_t next = 0, id = 3; id <= MANY; next = p.next) {
                ck_assert_int_ge(ask(next, 1000, &p, CDM_FILTER_UNIT, "s", "bulk-3.service"), 0);
                for (size_t k = 0; k < p.n; k++, id += UNITS)
                        ck_assert_uint_eq(p.ids[k], id);
                ck_assert(p.next != 0 || id > MANY);
        }
        ck_assert_int_ge(ask(0, 1000, &p, CDM_FILTER_UNIT, "s", "other.service"), 0);
        ck_assert_uint_eq(p.n, 0);
        ck_assert_int_ge(ask(0, 5, &p, CDM_FILTER_POOL, "s", "cdm"), 0);
        ck_assert_uint_eq(p.n, 5);
        ck_assert_int_ge(ask(0, 5, &p, CDM_FILTER_POOL, "s", "other"), 0);
        ck_assert_uint_eq(p.n, 0);
        ck_assert_int_ge(ask(0, 5, &p, CDM_FILTER_UID, "u", 0), 0);
        ck_assert_uint_eq(p.n, 5);
        ck_assert_int_ge(ask(0, 5, &p, CDM_FILTER_UID, "u", 1), 0);
        ck_assert_uint_eq(p.n, 0);
        ck_assert_int_ge(ask(0, 5, &p, CDM_FILTER_STATE, "s", "active"), 0);
        ck_assert_uint_eq(p.n, 5);
        ck_assert_int_ge(ask(0, 5, &p, CDM_FILTER_STATE, "s", "draining"), 0);
        ck_assert_uint_eq(p.n, 0);
        ck_assert_uint_eq(p.next, 0);
}
END_TEST

static void refused(uint32_t max, const char *words, const char *key, const char *type, const void *value)
{
        Page p;
        int r = *type == 's' ? ask(0, max, &p, key, type, (const char *)value)
                             : ask(0, max, &p, key, type, value ? *(const int *)value : 0);

        ck_assert_int_lt(r, 0);
        ck_assert_str_eq(world_error, CDM_ERROR_INVALID);
        ck_assert_msg(strstr(world_message, words), "'%s' does not say '%s'", world_message, words);
}

START_TEST(nonsense_is_refused)
{
        static const int one = 1;

        refused(0, "1 to 1000", "", "", NULL);
        refused(1001, "1 to 1000", "", "", NULL);
        refused(10, "colour", "colour", "s", "red");
        refused(10, "'uid'", CDM_FILTER_UID, "s", "0");
        refused(10, "'unit'", CDM_FILTER_UNIT, "u", &one);
        refused(10, "'used'", CDM_FILTER_USED, "s", "yes");
        refused(10, "'asleep'", CDM_FILTER_STATE, "s", "asleep");
}
END_TEST

START_TEST(a_filter_is_given_once)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        ck_assert_int_lt(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "ListReservations", &error, NULL, "uua{sv}", 0, 10, 3,
                                            CDM_FILTER_UID, "u", 0, CDM_FILTER_USED, "b", 0, CDM_FILTER_UID,
                                            "u", 0),
                         0);
        ck_assert_str_eq(error.name, CDM_ERROR_INVALID);
        ck_assert_str_eq(error.message, "the filter 'uid' is given twice");
}
END_TEST

START_TEST(a_filter_that_matches_nothing_costs_no_more_than_a_page)
{
        uint32_t next = 0, n_calls = 0;
        Page p;

        world_kill_cdmd(&w, SIGTERM);
        world_put_reservations(&w, 1, 9000, UNITS);
        world_start_cdmd(&w);
        do {
                ck_assert_int_ge(ask(next, 1000, &p, CDM_FILTER_STATE, "s", "draining"), 0);
                ck_assert_uint_eq(p.n, 0);
                ck_assert(p.next == 0 || p.next > next);
                next = p.next;
                n_calls++;
        } while (next);
        ck_assert_uint_eq(n_calls, 3);
}
END_TEST

START_TEST(rows_have_the_properties_of_the_object)
{
        Page p;

        ck_assert_int_ge(ask(0, 1, &p, "", ""), 0);
        ck_assert_str_eq(p.keys,
                         "Id Pool Size State Strength Unit ControlGroup Uid Requester Priority Nodes Policy "
                         "Expires Labels ");
        world_put(&w, "/sys/fs/cgroup/system.slice/bulk-1.service/memory.numa_stat",
                  "anon N0=4096 N2=8192\n");
        ck_assert_int_ge(ask(0, 1, &p, CDM_FILTER_USED, "b", 1), 0);
        ck_assert_ptr_nonnull(strstr(p.keys, "Used "));
        ck_assert_uint_eq(p.used, 8192);
        ck_assert_int_ge(ask(0, 1, &p, CDM_FILTER_USED, "b", 0), 0);
        ck_assert_ptr_null(strstr(p.keys, "Used "));
}
END_TEST

/* --- ObjectManager ------------------------------------------------------------------------------------ */

START_TEST(too_many_objects_for_one_message)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        ck_assert_int_lt(get_managed_objects(&m), 0);
        ck_assert_str_eq(world_error, SD_BUS_ERROR_LIMITS_EXCEEDED);
        ck_assert_ptr_nonnull(strstr(world_message, "ListReservations"));
        ck_assert_str_eq(world_reservation(&w, 7, "State"), "active");
}
END_TEST

static int introspect(const char *path)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = sd_bus_call_method(w.client, CDM_BUS_NAME, path, "org.freedesktop.DBus.Introspectable",
                                   "Introspect", &error, NULL, NULL);
        snprintf(world_error, sizeof(world_error), "%s", error.name ? error.name : "");
        return r;
}

START_TEST(one_object_of_many_is_introspected)
{
        ck_assert_int_lt(introspect(CDM_PATH_RESERVATION), 0);
        ck_assert_str_eq(world_error, SD_BUS_ERROR_LIMITS_EXCEEDED);
        ck_assert_msg(introspect(CDM_PATH_RESERVATION "/7") >= 0, "%s", world_error);
}
END_TEST

/* Runs cdmctl; true if it succeeds and its output has so many lines. */
static bool cdmctl_prints(const char *arguments, unsigned lines)
{
        char command[256];
        unsigned n = 0;

        snprintf(command, sizeof(command), "%s/cdmctl %s", BUILD_DIR, arguments);
        FILE *f = popen(command, "r");
        ck_assert_ptr_nonnull(f);
        for (int c; (c = fgetc(f)) != EOF;)
                n += c == '\n';
        int status = pclose(f);
        if (status != 0 || n != lines)
                printf("%s: status %d, %u lines\n", command, status, n);
        return status == 0 && n == lines;
}

START_TEST(cdmctl_shows_all)
{
        ck_assert(cdmctl_prints("list --no-legend", MANY));
        ck_assert(cdmctl_prints("list --json=short | grep -o '\"used\":'", MANY));
        ck_assert(cdmctl_prints("status | grep bulk-", MANY));
        ck_assert(cdmctl_prints("show 1500 --json=short | grep '\"used\":0'", 1));
        ck_assert(cdmctl_prints("pools --no-legend", 1));
        ck_assert(cdmctl_prints("nodes --no-legend", 4));
}
END_TEST

/* --- files that are slow ------------------------------------------------------------------------------ */

static uint32_t grant_db(void)
{
        uint32_t id = 0;

        ck_assert_int_eq(world_request(w.client, "cdm", GIB / 2, &id, 1, CDM_OPTION_UNIT, "s", "db.service"),
                         0);
        return id;
}

/* Readers of the file wait until it is fed. */
static void make_slow(void)
{
        char path[256];

        snprintf(path, sizeof(path), "%s%s", w.root, DB_NUMA);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(mkfifo(path, 0644), 0);
}

/* Waits until somebody reads it. */
static int wait_reader(void)
{
        char path[256];

        snprintf(path, sizeof(path), "%s%s", w.root, DB_NUMA);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        return fd;
}

/* What is read after this is an ordinary file again. */
static void stop_feeding(const char *text)
{
        char path[256];

        snprintf(path, sizeof(path), "%s%s", w.root, DB_NUMA);
        ck_assert_int_eq(unlink(path), 0);
        world_put(&w, DB_NUMA, text);
}

static void feed(const char *text)
{
        int fd = wait_reader();

        ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

/* cdmd may have read by itself what was meant for another reader, which waits on. fed: what the file was fed; NULL:
 * nothing yet. */
static void wait_event(const char *fed, unsigned *n_silent)
{
        char path[256];

        int r = sd_bus_wait(w.client, UINT64_C(1000000));
        ck_assert_int_ge(r, 0);
        if (r > 0)
                return;
        ck_assert_uint_lt((*n_silent)++, SILENT_MAX);
        snprintf(path, sizeof(path), "%s%s", w.root, DB_NUMA);
        int fd = fed ? open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC) : -1;
        if (fd >= 0) {
                ck_assert_int_eq(write(fd, fed, strlen(fed)), (ssize_t)strlen(fed));
                close(fd);
        }
}

/* cdmd may be reading it by itself just then, or be about to, and has to be fed to end. */
static void stop_slow(void)
{
        char path[256], old[260];

        snprintf(path, sizeof(path), "%s%s", w.root, DB_NUMA);
        snprintf(old, sizeof(old), "%s.old", path);
        if (w.cdmd > 0 && rename(path, old) == 0) {
                world_put(&w, DB_NUMA, "anon N2=0\n");
                ck_assert_int_eq(kill(w.cdmd, SIGTERM), 0);
                while (waitpid(w.cdmd, NULL, WNOHANG) == 0) {
                        int fd = open(old, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

                        if (fd >= 0)
                                close(fd);
                        usleep(10000);
                }
                w.cdmd = 0;
        }
        stop();
}

typedef struct Answer {
        sd_bus_message *message;
        sd_bus_slot *slot;
} Answer;

static int keep_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        ((Answer *)userdata)->message = sd_bus_message_ref(m);
        return 0;
}

static void get_used(uint32_t id, Answer *ret)
{
        char path[64];

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        ck_assert_int_ge(sd_bus_call_method_async(w.client, &ret->slot, CDM_BUS_NAME, path,
                                                  "org.freedesktop.DBus.Properties", "Get", keep_answer, ret,
                                                  "ss", CDM_INTERFACE_RESERVATION, "Used"),
                         0);
}

static void wait_answer(Answer *a, const char *fed)
{
        unsigned n_silent = 0;

        while (!a->message) {
                int r = sd_bus_process(w.client, NULL);
                ck_assert_int_ge(r, 0);
                if (r == 0)
                        wait_event(fed, &n_silent);
        }
}

static void answer_clear(Answer *a)
{
        sd_bus_message_unref(a->message);
        sd_bus_slot_unref(a->slot);
        *a = (Answer){ 0 };
}

START_TEST(used_is_read_while_others_are_served)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        Answer a = { 0 };
        uint64_t bytes;
        Page p;

        uint32_t id = grant_db();
        make_slow();
        get_used(id, &a);
        ping();
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
        char path[64];
        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, path, "org.freedesktop.DBus.Properties",
                                            "GetAll", NULL, &m, "s", CDM_INTERFACE_RESERVATION),
                         0);
        ck_assert_int_ge(ask(0, 10, &p, "", ""), 0);
        ck_assert_uint_eq(p.n, 1);
        ck_assert_ptr_null(a.message);
        feed("anon N2=12288\n");
        wait_answer(&a, "anon N2=12288\n");
        ck_assert_int_ge(sd_bus_message_read(a.message, "v", "t", &bytes), 0);
        ck_assert_uint_eq(bytes, 12288);
        answer_clear(&a);
        ck_assert_int_ge(ask(0, 10, &p, "", ""), 0);
        ck_assert_uint_eq(p.n, 1);
}
END_TEST

static void wait_answers(const Answer *a, int n, int n_answers, const char *fed)
{
        unsigned n_silent = 0;

        for (;;) {
                int n_now = 0;
                for (int i = 0; i < n; i++)
                        n_now += a[i].message != NULL;
                if (n_now >= n_answers)
                        return;
                int r = sd_bus_process(w.client, NULL);
                ck_assert_int_ge(r, 0);
                if (r == 0)
                        wait_event(fed, &n_silent);
        }
}

START_TEST(few_calls_of_a_connection_wait)
{
        enum { N = 40, WAITING = 5 }; /* one is read, four wait */
        Answer a[N] = { 0 };
        int n_busy = 0;

        uint32_t id = grant_db();
        make_slow();
        for (int i = 0; i < N; i++)
                get_used(id, &a[i]);
        wait_answers(a, N, N - WAITING, NULL);
        for (int i = 0; i < N; i++)
                n_busy += a[i].message && sd_bus_message_is_method_error(a[i].message, CDM_ERROR_BUSY);
        ck_assert_int_eq(n_busy, N - WAITING);
        ping();
        for (int i = 1; i <= WAITING; i++) {
                feed("anon N2=12288\n");
                wait_answers(a, N, N - WAITING + i, "anon N2=12288\n");
        }
        for (int i = 0; i < N; i++)
                answer_clear(&a[i]);
}
END_TEST

START_TEST(no_object_no_used)
{
        uint64_t used;

        ck_assert_int_lt(sd_bus_get_property_trivial(w.client, CDM_BUS_NAME, CDM_PATH_RESERVATION "/99",
                                                     CDM_INTERFACE_RESERVATION, "Used", NULL, 't', &used),
                         0);
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        ck_assert_int_lt(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH_RESERVATION "/99",
                                            CDM_INTERFACE_RESERVATION, "Release", &error, NULL, NULL),
                         0);
        ck_assert_str_eq(error.name, SD_BUS_ERROR_UNKNOWN_OBJECT);
}
END_TEST

/* With sanitizers, nothing is leaked either. */
START_TEST(cdmd_stops_while_holders_are_read)
{
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        Answer a = { 0 };
        int status;

        make_slow();
        ck_assert_int_ge(sd_bus_call_method_async(w.client, &slot, CDM_BUS_NAME, CDM_PATH,
                                                  CDM_INTERFACE_MANAGER, "ListHolders", keep_answer, &a,
                                                  NULL),
                         0);
        /* One that stops before it reads would not be fed. */
        int fd = wait_reader();
        ck_assert_int_eq(kill(w.cdmd, SIGTERM), 0);
        stop_feeding("anon N2=4096\n");
        close(fd);
        ck_assert_int_eq(waitpid(w.cdmd, &status, 0), w.cdmd);
        w.cdmd = 0;
        ck_assert_int_eq(status, 0);
        answer_clear(&a);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("bus-list");
        TCase *many = tcase_create("many"), *few = tcase_create("few");

        tcase_set_timeout(many, 0);
        tcase_set_timeout(few, 0);
        tcase_add_checked_fixture(many, start_many, stop);
        tcase_add_checked_fixture(few, start, stop_slow);
        tcase_add_test(many, pages_are_complete_and_in_order);
        tcase_add_test(many, a_page_ends_by_its_bytes);
        tcase_add_test(many, the_last_page_may_be_full);
        tcase_add_test(many, what_ends_meanwhile_is_left_out);
        tcase_add_test(many, filters);
        tcase_add_test(many, a_filter_that_matches_nothing_costs_no_more_than_a_page);
        tcase_add_test(many, rows_have_the_properties_of_the_object);
        tcase_add_test(many, too_many_objects_for_one_message);
        tcase_add_test(many, one_object_of_many_is_introspected);
        tcase_add_test(many, cdmctl_shows_all);
        tcase_add_test(few, nonsense_is_refused);
        tcase_add_test(few, a_filter_is_given_once);
        tcase_add_test(few, used_is_read_while_others_are_served);
        tcase_add_test(few, few_calls_of_a_connection_wait);
        tcase_add_test(few, no_object_no_used);
        tcase_add_test(few, cdmd_stops_while_holders_are_read);
        suite_add_tcase(s, many);
        suite_add_tcase(s, few);
        return check_main(s);
}
