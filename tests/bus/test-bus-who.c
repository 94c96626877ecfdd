/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who asks from where, and who may do what: a row for each line of the tables in cdmctl(1) and cdmd(8). */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bus/world.h"
#include "tests/unit/check-main.h"

/* The user whose session, manager or service it is, in numbers and by name. */
#define USER       USER_NOBODY
#define USER_SLICE "user-65534.slice"
#define MANAGER    "user@65534.service"
#define SESSION    "/user.slice/user-65534.slice/session-4.scope"

typedef struct Place {
        const char *name; /* as in the page */
        const char *unit; /* NULL: no unit */
        const char *slice;
        const char *cgroup; /* of the unit */
        const char *user;   /* User= */
        bool delegate;
        const char *below; /* where the process is: cgroup and this */
} Place;

static const Place session = { "session", "session-4.scope", USER_SLICE, SESSION, "", false, "" };
static const Place manager = { "user@UID.service",
                               MANAGER,
                               USER_SLICE,
                               "/user.slice/user-65534.slice/" MANAGER,
                               "65534",
                               true,
                               "/app.slice/terminal.service" };
static const Place scope_of_run = { "scope of run",
                                    "cdm-4000000.scope",
                                    USER_SLICE,
                                    "/user.slice/user-65534.slice/cdm-4000000.scope",
                                    "",
                                    false,
                                    "" };
static const Place service_of_user = { "service, User=",
                                       "worker.service",
                                       "system.slice",
                                       "/system.slice/worker.service",
                                       "nobody",
                                       false,
                                       "" };
static const Place service = {
        "service, no User=", "cron.service", "system.slice", "/system.slice/cron.service", "", false, ""
};
static const Place delegated_service = { "service, Delegate=",
                                         "agent.service",
                                         "system.slice",
                                         "/system.slice/agent.service",
                                         "",
                                         true,
                                         "/job" };
static const Place root_scope = {
        "other scope", "run-7.scope", "system.slice", "/system.slice/run-7.scope", "", false, ""
};
static const Place container = {
        "container", "libpod-77.scope", "machine.slice", "/machine.slice/libpod-77.scope", "",
        true,        "/container"
};
static const Place foreign = { "no unit", NULL, NULL, "/box", NULL, false, "/job" };

/* Nobody is the user, daemon the other one. */
typedef enum Who { WHO_USER, WHO_ROOT, WHO_OTHER, WHO_SETUID, _WHO_MAX } Who;
static const struct {
        const char *name;
        uid_t uid, real_uid;
} people[_WHO_MAX] = {
        [WHO_USER] = { "the user", USER, USER },
        [WHO_ROOT] = { "root", 0, 0 },
        [WHO_OTHER] = { "another user", USER_DAEMON, USER_DAEMON },
        [WHO_SETUID] = { "several IDs", USER, 0 },
};

typedef enum Outcome {
        OWN,        /* the unit, by the action request */
        AS_ROOT,    /* the unit, without a question */
        BY_POLKIT,  /* the unit, by the action request-for-others; the refusal says how else */
        USER_SCOPE, /* a new scope, by the action request */
        ROOT_SCOPE, /* a new scope, without a question */
        USE_RUN,    /* refused, with that advice */
        ELSEWHERE,  /* refused, with the advice to ask from elsewhere */
        _OUTCOME_MAX,
} Outcome;
static const struct {
        const char *text;
        const char *action;
} outcomes[_OUTCOME_MAX] = {
        [OWN] = { "the unit", CDM_ACTION_REQUEST },
        [AS_ROOT] = { "the unit", NULL },
        [BY_POLKIT] = { "the unit, by polkit", CDM_ACTION_REQUEST_FOR_OTHERS },
        [USER_SCOPE] = { "scope, user-UID.slice", CDM_ACTION_REQUEST },
        [ROOT_SCOPE] = { "scope, system.slice", NULL },
        [USE_RUN] = { "no: use run", NULL },
        [ELSEWHERE] = { "no", NULL },
};

static const struct Row {
        const Place *place;
        Who who;
        Outcome request, run;
} rows[] = {
        { &session, WHO_USER, OWN, USER_SCOPE },
        { &session, WHO_ROOT, AS_ROOT, ROOT_SCOPE },
        { &session, WHO_OTHER, BY_POLKIT, BY_POLKIT },
        { &session, WHO_SETUID, BY_POLKIT, BY_POLKIT },
        { &manager, WHO_USER, USE_RUN, USER_SCOPE },
        { &manager, WHO_ROOT, USE_RUN, ROOT_SCOPE },
        { &manager, WHO_OTHER, ELSEWHERE, ELSEWHERE },
        { &manager, WHO_SETUID, ELSEWHERE, ELSEWHERE },
        { &scope_of_run, WHO_USER, OWN, USER_SCOPE },
        { &scope_of_run, WHO_ROOT, AS_ROOT, ROOT_SCOPE },
        { &scope_of_run, WHO_OTHER, BY_POLKIT, BY_POLKIT },
        { &service_of_user, WHO_USER, OWN, OWN },
        { &service_of_user, WHO_ROOT, AS_ROOT, AS_ROOT },
        { &service_of_user, WHO_OTHER, BY_POLKIT, BY_POLKIT },
        { &service, WHO_ROOT, AS_ROOT, ROOT_SCOPE },
        { &service, WHO_OTHER, BY_POLKIT, BY_POLKIT },
        { &delegated_service, WHO_ROOT, AS_ROOT, AS_ROOT },
        { &delegated_service, WHO_OTHER, BY_POLKIT, BY_POLKIT },
        { &root_scope, WHO_ROOT, AS_ROOT, ROOT_SCOPE },
        { &root_scope, WHO_OTHER, BY_POLKIT, BY_POLKIT },
        { &container, WHO_ROOT, AS_ROOT, AS_ROOT },
        { &container, WHO_OTHER, BY_POLKIT, BY_POLKIT },
        { &foreign, WHO_ROOT, AS_ROOT, AS_ROOT },
        { &foreign, WHO_OTHER, BY_POLKIT, BY_POLKIT },
};

static World w;
static sd_bus *buses[_WHO_MAX];

static void start(void)
{
        world_start(&w);
        for (Who who = 0; who < _WHO_MAX; who++)
                buses[who] = world_connect(&w, people[who].uid);
}

static void stop(void)
{
        for (Who who = 0; who < _WHO_MAX; who++)
                sd_bus_flush_close_unref(buses[who]);
        world_stop(&w);
}

/* The test's own process is the one that asks. */
static void be_there(const struct Row *row)
{
        char path[64], text[512];

        snprintf(path, sizeof(path), "/proc/%d/status", getpid());
        snprintf(text, sizeof(text), "Name:\ttest\nUid:\t%u\t%u\t%u\t%u\n", people[row->who].real_uid,
                 people[row->who].uid, people[row->who].uid, people[row->who].uid);
        world_put(&w, path, text);
        snprintf(path, sizeof(path), "/proc/%d/cgroup", getpid());
        snprintf(text, sizeof(text), "0::%s%s\n", row->place->cgroup, row->place->below);
        world_put(&w, path, text);
}

static int ask(const struct Row *row, bool run, uint32_t *ret_id)
{
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        int r = run ? world_request(buses[row->who], "cdm", GIB / 64, ret_id, 2, CDM_OPTION_PIDFD, "h",
                                    pidfd, CDM_OPTION_SCOPE, "b", 1)
                    : world_request(buses[row->who], "cdm", GIB / 64, ret_id, 1, CDM_OPTION_PIDFD, "h",
                                    pidfd);

        close(pidfd);
        return r;
}

static void make_place(const Place *p)
{
        static const char *const files[][2] = {
                { "cpuset.mems", "" },
                { "cgroup.procs", "" },
                { "cgroup.subtree_control", "" },
                { "memory.numa_stat", "anon N0=4096 N1=0 N2=0 N3=0\nfile N0=0 N1=0 N2=0 N3=0\n" },
                { "cpuset.mems.effective", "0-3" },
        };
        char path[512];

        if (p->unit) {
                world_add_unit_delegate(&w, p->unit, p->slice, p->cgroup, p->user, p->delegate);
                return;
        }
        for (size_t i = 0; i < 2 * ARRAY_SIZE(files); i++) {
                snprintf(path, sizeof(path), "/sys/fs/cgroup%s%s/%s", p->cgroup, i % 2 ? p->below : "",
                         files[i / 2][0]);
                world_put(&w, path, files[i / 2][1]);
        }
}

static void granted(const struct Row *row, bool run, Outcome expected, const char *what)
{
        const Place *p = row->place;
        char unit[64], cgroup[256];
        uint32_t id;
        int r = ask(row, run, &id);

        ck_assert_msg(r == 0, "%s: %s: %s", what, world_error, world_message);
        if (outcomes[expected].action)
                ck_assert_msg(strcmp(world_polkit_asked(&w), outcomes[expected].action) == 0, "%s", what);
        if (expected == USER_SCOPE || expected == ROOT_SCOPE) {
                snprintf(unit, sizeof(unit), "cdm-%" PRIu32 ".scope", id);
                snprintf(cgroup, sizeof(cgroup), "/%s/%s",
                         expected == ROOT_SCOPE ? "system.slice" : "user.slice/" USER_SLICE, unit);
        } else {
                snprintf(unit, sizeof(unit), "%s", p->unit ? p->unit : "");
                snprintf(cgroup, sizeof(cgroup), "%s%s", p->cgroup, p->unit ? "" : p->below);
        }
        ck_assert_msg(strcmp(world_reservation(&w, id, "Unit"), unit) == 0, "%s: %s, not %s", what,
                      world_reservation(&w, id, "Unit"), unit);
        ck_assert_msg(strcmp(world_reservation(&w, id, "ControlGroup"), cgroup) == 0, "%s: %s, not %s", what,
                      world_reservation(&w, id, "ControlGroup"), cgroup);
        ck_assert_int_eq(world_release(buses[row->who], id), 0);
        world_wait_event(&w, "released", id);
}

/* What somebody has just done is never the advice. */
static void advised(const struct Row *row, bool run, Outcome expected, const char *what)
{
        const char *unit = row->place->unit;
        uint32_t id;

        ck_assert_msg(ask(row, run, &id) < 0, "%s", what);
        ck_assert_msg(strcmp(world_error, CDM_ERROR_DENIED) == 0, "%s: %s", what, world_error);
        if (expected == USE_RUN) {
                ck_assert(!run);
                ck_assert_msg(strstr(world_message, "use `cdmctl run`, which"), "%s: %s", what,
                              world_message);
                return;
        }
        ck_assert_msg(!strstr(world_message, "use `cdmctl run`, which"), "%s: %s", what, world_message);
        if (row->who == WHO_SETUID)
                ck_assert_msg(strstr(world_message, "several user IDs"), "%s: %s", what, world_message);
        else
                ck_assert_msg(strstr(world_message, "`cdmctl run` in a session of your own") &&
                                      strstr(world_message, "systemd-run --user") &&
                                      (!unit || strstr(world_message, unit)),
                              "%s: %s", what, world_message);
        if (expected == ELSEWHERE)
                return;
        ck_assert_msg(strstr(world_message, unit ? "--unit" : "--cgroup /box/job") || row->who == WHO_SETUID,
                      "%s: %s", what, world_message);
        ck_assert_msg(strcmp(world_polkit_asked(&w), CDM_ACTION_REQUEST_FOR_OTHERS) == 0, "%s", what);
}

static bool is_refused(Outcome o)
{
        return o == USE_RUN || o == ELSEWHERE;
}

static void with_rows(bool polkit_says_yes)
{
        char what[256];

        world_start_polkit(&w, polkit_says_yes ? "yes" : "no");
        for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
                const struct Row *row = &rows[i / 2];
                bool run = i % 2;
                Outcome expected = run ? row->run : row->request;

                snprintf(what, sizeof(what), "%s in %s, %s", people[row->who].name, row->place->name,
                         run ? "run" : "request");
                if (i == 0 || rows[(i - 1) / 2].place != row->place)
                        make_place(row->place);
                be_there(row);
                if (is_refused(expected) || (expected == BY_POLKIT && !polkit_says_yes))
                        advised(row, run, expected, what);
                else if (polkit_says_yes)
                        granted(row, run, expected, what);
        }
}

START_TEST(what_each_gets)
{
        with_rows(true);
}
END_TEST

START_TEST(each_refusal_says_how_else)
{
        with_rows(false);
}
END_TEST

/* A target that is named: root's, and with polkit everybody's. */
START_TEST(named_targets_are_others)
{
        static const struct {
                const char *option, *target, *unit; /* unit NULL: refused */
        } named[] = {
                { CDM_OPTION_UNIT, "session-4.scope", "session-4.scope" },
                { CDM_OPTION_UNIT, MANAGER, MANAGER },
                { CDM_OPTION_CGROUP, SESSION, "session-4.scope" },
                /* what a user's manager makes is no unit of the system's */
                { CDM_OPTION_CGROUP, "/user.slice/" USER_SLICE "/" MANAGER "/app.slice", MANAGER },
                { CDM_OPTION_UNIT, USER_SLICE, NULL },
        };
        uint32_t id;

        make_place(&session);
        make_place(&manager);
        world_put(&w, "/sys/fs/cgroup/user.slice/" USER_SLICE "/" MANAGER "/app.slice/cgroup.procs", "");
        world_start_polkit(&w, "yes");
        for (size_t i = 0; i < 2 * ARRAY_SIZE(named); i++) {
                sd_bus *bus = buses[i % 2 ? WHO_USER : WHO_ROOT];
                const char *unit = named[i / 2].unit, *target = named[i / 2].target;
                int r = world_request(bus, "cdm", GIB / 64, &id, 1, named[i / 2].option, "s", target);

                ck_assert_msg((r == 0) == (unit != NULL), "%s: %s", target, world_message);
                if (!unit)
                        continue;
                if (bus == buses[WHO_USER])
                        ck_assert_str_eq(world_polkit_asked(&w), CDM_ACTION_REQUEST_FOR_OTHERS);
                ck_assert_str_eq(world_reservation(&w, id, "Unit"), unit);
                ck_assert_int_eq(world_release(bus, id), 0);
                world_wait_event(&w, "released", id);
        }
}
END_TEST

static int keep_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        *(sd_bus_message **)userdata = sd_bus_message_ref(m);
        return 0;
}

static void put_fifo(const char *path)
{
        char next[160];

        snprintf(next, sizeof(next), "%s.next", path);
        ck_assert_int_eq(mkfifo(next, 0644), 0);
        ck_assert_int_eq(rename(next, path), 0);
}

/* A file of the caller's process is a FIFO, on which each reader waits: another caller is answered meanwhile.
 * Returns how often the file was read until the request was answered. */
static unsigned read_slowly(const char *file, const char *text)
{
        const struct Row row = { &session, WHO_USER, OWN, USER_SCOPE };
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        sd_bus *bus = buses[WHO_USER];
        unsigned n = 0;
        char path[128];

        make_place(&session);
        be_there(&row);
        snprintf(path, sizeof(path), "%s/proc/%d/%s", w.root, getpid(), file);
        put_fifo(path);
        ck_assert_int_ge(sd_bus_call_method_async(bus, NULL, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                  "Request", keep_reply, &reply, "sta{sv}", "cdm", GIB / 64,
                                                  2, CDM_OPTION_PIDFD, "h", pidfd, CDM_OPTION_QUEUE, "t",
                                                  UINT64_MAX),
                         0);
        while (!reply) {
                if (sd_bus_process(bus, NULL) > 0)
                        continue;
                int fifo = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
                if (fifo < 0) { /* nobody reads now */
                        ck_assert_int_eq(errno, ENXIO);
                        ck_assert_int_ge(sd_bus_wait(bus, 1000), 0);
                        continue;
                }
                ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH,
                                                    "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, ""),
                                 0);
                ck_assert_ptr_null(reply);
                n++;
                put_fifo(path);
                ck_assert_int_eq(write(fifo, text, strlen(text)), (ssize_t)strlen(text));
                close(fifo);
        }
        ck_assert(!sd_bus_message_is_method_error(reply, NULL));
        close(pidfd);
        return n;
}

START_TEST(a_look_at_one_caller_holds_up_nobody)
{
        char text[256];

        snprintf(text, sizeof(text), "Uid:\t%u\t%u\t%u\t%u\n", USER, USER, USER, USER);
        ck_assert_uint_ge(read_slowly("status", text), 1);
}
END_TEST

/* The cgroup is read again after each long wait. */
START_TEST(a_second_look_holds_up_nobody)
{
        ck_assert_uint_ge(read_slowly("cgroup", "0::" SESSION "\n"), 2);
}
END_TEST

START_TEST(a_look_at_when_a_caller_started_holds_up_nobody)
{
        uint64_t all;
        uint32_t id;

        world_put(&w, "/etc/cdm/policy.d/10-all.conf",
                  "[Match]\nPool=*\n[Grant]\nLimit=infinity\nOnFull=queue\n");
        ck_assert_int_ge(sd_bus_call_method(w.client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                            "Reload", NULL, NULL, ""),
                         0);
        all = world_available(&w);
        ck_assert_int_eq(world_request(w.client, "cdm", all, &id, 1, CDM_OPTION_UNIT, "s", "db.service"), 0);
        ck_assert_uint_ge(read_slowly("stat", "1 (x) S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 4711 0 0\n"), 1);
}
END_TEST

/* What a user may do with cdmd and with root's reservation: the rows of the table in cdmd(8), several of
 * which are for more than one call. */
static const struct {
        const char *what, *action; /* as in the page; the action is "-" when nobody is asked */
        bool of_reservation;
        const char *member, *types;
        bool for_nobody;
} rights[] = {
        { "status, nodes, pools, list, show, who, explain", "-", false, "ListPools", "" },
        { "status, nodes, pools, list, show, who, explain", "-", false, "ListNodes", "" },
        { "status, nodes, pools, list, show, who, explain", "-", false, "ListHolders", "" },
        { "status, nodes, pools, list, show, who, explain", "-", false, "ListReservations", "uua{sv}" },
        { "status, nodes, pools, list, show, who, explain", "-", false, "Explain", "sta{sv}" },
        { "request for another target", CDM_ACTION_REQUEST_FOR_OTHERS, false, "Request", "sta{sv}" },
        { "request, run or explain with --for-nobody, --for-user or --label", CDM_ACTION_REQUEST_AS, false,
          "Request", "sta{sv}", true },
        { "request, run or explain with --for-nobody, --for-user or --label", CDM_ACTION_REQUEST_AS, false,
          "Explain", "sta{sv}", true },
        { "release, renew, resize, migrate, buffer, of another owner", CDM_ACTION_RELEASE_OTHERS, true,
          "Release", "" },
        { "release, renew, resize, migrate, buffer, of another owner", CDM_ACTION_RELEASE_OTHERS, true,
          "Resize", "t" },
        { "release, renew, resize, migrate, buffer, of another owner", CDM_ACTION_RELEASE_OTHERS, true,
          "Renew", "t" },
        { "release, renew, resize, migrate, buffer, of another owner", CDM_ACTION_RELEASE_OTHERS, true,
          "Migrate", "" },
        { "release, renew, resize, migrate, buffer, of another owner", CDM_ACTION_RELEASE_OTHERS, true,
          "OpenBuffer", "t" },
        { "reload, drain, undrain, static", CDM_ACTION_MANAGE, false, "Reload", "" },
        { "reload, drain, undrain, static", CDM_ACTION_MANAGE, false, "DrainNode", "u" },
        { "reload, drain, undrain, static", CDM_ACTION_MANAGE, false, "UndrainNode", "u" },
        { "reload, drain, undrain, static", CDM_ACTION_MANAGE, false, "ReserveStatic", "s" },
};

static int append_arguments(sd_bus_message *m, const char *types, bool for_nobody)
{
        if (strcmp(types, "t") == 0)
                return sd_bus_message_append(m, types, UINT64_C(4096));
        if (strcmp(types, "u") == 0)
                return sd_bus_message_append(m, types, 2);
        if (strcmp(types, "s") == 0)
                return sd_bus_message_append(m, types, "db.service");
        if (strcmp(types, "uua{sv}") == 0)
                return sd_bus_message_append(m, types, 0, 10, 0);
        if (strcmp(types, "sta{sv}") == 0)
                return sd_bus_message_append(m, types, "cdm", GIB / 64, 2, CDM_OPTION_UNIT, "s",
                                             "db.service", CDM_OPTION_FOR_NOBODY, "b", for_nobody);
        return 0;
}

START_TEST(what_needs_which_action)
{
        char path[64];
        uint32_t id;

        ck_assert_int_eq(
                world_request(w.client, "cdm", GIB / 64, &id, 1, CDM_OPTION_UNIT, "s", "db.service"), 0);
        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        world_start_polkit(&w, "no");
        for (size_t i = 0; i < ARRAY_SIZE(rights); i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                bool asks = strcmp(rights[i].action, "-") != 0;
                int r = sd_bus_message_new_method_call(
                        buses[WHO_USER], &m, CDM_BUS_NAME, rights[i].of_reservation ? path : CDM_PATH,
                        rights[i].of_reservation ? CDM_INTERFACE_RESERVATION : CDM_INTERFACE_MANAGER,
                        rights[i].member);

                ck_assert_int_ge(r, 0);
                ck_assert_int_ge(append_arguments(m, rights[i].types, rights[i].for_nobody), 0);
                r = sd_bus_call(buses[WHO_USER], m, 0, &error, NULL);
                ck_assert_msg((r < 0) == asks, "%s: %s", rights[i].member, error.message);
                if (!asks)
                        continue;
                ck_assert_str_eq(error.name, CDM_ERROR_DENIED);
                ck_assert_msg(strstr(error.message, rights[i].action), "%s", error.message);
                ck_assert_str_eq(world_polkit_asked(&w), rights[i].action);
        }
        ck_assert_str_eq(world_reservation(&w, id, "State"), "active");
}
END_TEST

/* Calls check() with each row of the first table after that line of a page, and its number. Returns how many
 * there are. */
static size_t foreach_row(const char *page, const char *section, void (*check)(size_t, const char *))
{
        _cleanup_free_ char *line = NULL;
        bool in_section = false, in_table = false;
        size_t size = 0, n = 0;
        ssize_t length;
        FILE *f = fopen(page, "re");

        ck_assert_ptr_nonnull(f);
        while ((length = getline(&line, &size, f)) > 0) {
                line[length - 1] = '\0';
                in_section |= strcmp(line, section) == 0;
                if (in_table && strcmp(line, ".TE") == 0)
                        break;
                /* the first row has the names of the columns */
                if (in_table && n++ > 0)
                        check(n - 2, line);
                in_table |= in_section && line[0] == 'l' && line[length - 2] == '.';
        }
        fclose(f);
        ck_assert_uint_gt(n, 0);
        return n - 1;
}

static void check_caller(size_t i, const char *line)
{
        char expected[256];

        ck_assert_uint_lt(i, ARRAY_SIZE(rows));
        snprintf(expected, sizeof(expected), "%s\t%s\t%s\t%s", rows[i].place->name, people[rows[i].who].name,
                 outcomes[rows[i].request].text, outcomes[rows[i].run].text);
        ck_assert_str_eq(line, expected);
}

static void check_right(size_t i, const char *line)
{
        char expected[256];
        size_t k = 0;

        for (; i > 0 && k + 1 < ARRAY_SIZE(rights); k++)
                i -= strcmp(rights[k].what, rights[k + 1].what) != 0;
        snprintf(expected, sizeof(expected), "%s\t%s", rights[k].what, rights[k].action);
        ck_assert_str_eq(line, expected);
}

START_TEST(the_pages_have_the_same_rows)
{
        size_t n = 1;

        ck_assert_uint_eq(foreach_row(CDMCTL_PAGE, ".Ss Who asks from where", check_caller),
                          ARRAY_SIZE(rows));
        for (size_t i = 1; i < ARRAY_SIZE(rights); i++)
                n += strcmp(rights[i].what, rights[i - 1].what) != 0;
        ck_assert_uint_eq(foreach_row(CDMD_PAGE, ".Ss Who may do what", check_right), n);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("who asks from where");
        TCase *t = tcase_create("callers"), *p = tcase_create("pages");

        tcase_add_checked_fixture(t, start, stop);
        tcase_set_timeout(t, 300);
        if (getuid() == 0) {
                tcase_add_test(t, what_each_gets);
                tcase_add_test(t, each_refusal_says_how_else);
                tcase_add_test(t, named_targets_are_others);
                tcase_add_test(t, what_needs_which_action);
                tcase_add_test(t, a_look_at_one_caller_holds_up_nobody);
                tcase_add_test(t, a_second_look_holds_up_nobody);
                tcase_add_test(t, a_look_at_when_a_caller_started_holds_up_nobody);
        } else
                puts("# the tests with another user were left out: they need root");
        tcase_add_test(p, the_pages_have_the_same_rows);
        suite_add_tcase(s, t);
        suite_add_tcase(s, p);
        return check_main(s);
}
