/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/bus-pair.h"
#include "tests/unit/check-main.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "daemon/fence/apply.h"
#include "daemon/pid1/unit.h"
#include "tests/unit/tree.h"

/* Steps that need no systemd, on a made-up hierarchy of plain files. */

#define LEAF "sys/fs/cgroup/system.slice/a.service/"

static char *root;
static sd_event *event;
static Worker *worker;
static uint64_t leaf_id;

static struct {
        unsigned n_done;
        bool free_from_callback;
        int error, undo_error;
        StepKind failed;
        char message[512];
        size_t n_residue;
        uint64_t residue_anon;
} seen;

static void setup(void)
{
        char *error = NULL;
        int fd;

        root = tree_new();
        tree_write(root, "sys/fs/cgroup/cgroup.controllers", "cpuset memory");
        tree_write(root, LEAF "cpuset.mems", "0-1\n");
        tree_write(root, LEAF "cpuset.mems.effective", "0-1\n");
        tree_write(root, LEAF "cgroup.procs", "");
        tree_write(root, LEAF "memory.numa_stat", "anon N0=4096 N2=8192\n");
        ck_assert_int_eq(cgroup_setup(root, &error), 0);
        fd = cgroup_open("/system.slice/a.service", &leaf_id);
        ck_assert_int_ge(fd, 0);
        close(fd);
        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(worker_new(event, 1, &worker), 0);
}

static void teardown(void)
{
        worker_free(worker);
        sd_event_unref(event);
        tree_remove(root);
}

static NodeSet nodes_of(const char *list)
{
        NodeSet set;

        ck_assert_int_eq(nodeset_parse(list, &set), 0);
        return set;
}

static void step(Plan *p, StepKind kind, const char *nodes, const char *from, const char *inverse)
{
        p->steps[p->n_steps++] = (Step){
                .kind = kind,
                .nodes = nodes_of(nodes),
                .from = nodes_of(from),
                .has_inverse = inverse,
                .inverse_kind = kind,
                .inverse_nodes = nodes_of(inverse ? inverse : ""),
        };
}

static void on_done(Apply *a, const ApplyResult *result, void *userdata)
{
        seen.n_done++;
        seen.error = result->error;
        seen.undo_error = result->undo_error;
        seen.failed = result->failed;
        seen.n_residue = result->n_residue;
        seen.residue_anon = result->n_residue > 0 ? result->residue[0].anon : 0;
        ck_assert_int_eq(result->error < 0, result->message != NULL);
        snprintf(seen.message, sizeof(seen.message), "%s", result->message ? result->message : "");
        if (seen.free_from_callback)
                apply_free(a);
}

static void apply(const ApplyTarget *target, const Plan *plan)
{
        Apply *a = NULL;

        ck_assert_int_eq(apply_start(NULL, worker, worker, target, plan, 0, on_done, NULL, NULL, &a), 0);
        ck_assert_uint_eq(seen.n_done, 0); /* never from within the call */
        while (seen.n_done == 0)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        ck_assert_uint_eq(seen.n_done, 1);
        if (!seen.free_from_callback)
                apply_free(a);
}

static void check_mems(const char *expected)
{
        char *text = tree_read(root, LEAF "cpuset.mems");

        ck_assert_int_eq(strncmp(text, expected, strlen(expected)), 0);
        ck_assert(text[strlen(expected)] == '\0' || text[strlen(expected)] == '\n');
        free(text);
}

#define TARGET (&(ApplyTarget){ .cgroup = "/system.slice/a.service", .cgroup_id = leaf_id })

START_TEST(a_grant_is_written_and_verified)
{
        Plan p = { .n_steps = 0 };

        step(&p, STEP_WRITE, "0-2", "", "0-1");
        step(&p, STEP_VERIFY, "0-2", "", NULL);
        step(&p, STEP_MEASURE, "0-1", "2", NULL);
        seen.free_from_callback = true;
        apply(TARGET, &p);
        ck_assert_int_eq(seen.error, 0);
        ck_assert_uint_eq(seen.n_residue, 1);
        ck_assert_uint_eq(seen.residue_anon, 8192);
        check_mems("0-2");
}
END_TEST

static int on_numa_stat_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        tree_write(root, LEAF "memory.numa_stat", userdata);
        return 0;
}

static void measure(const char *then)
{
        Plan p = { .n_steps = 0 };
        sd_event_source *late;

        ck_assert_int_ge(sd_event_add_time_relative(event, &late, CLOCK_MONOTONIC, 600000, 0,
                                                    on_numa_stat_settled, (void *)then),
                         0);
        step(&p, STEP_MEASURE, "0-1", "2", NULL);
        apply(TARGET, &p);
        ck_assert_int_eq(seen.error, 0);
        sd_event_source_disable_unref(late);
}

START_TEST(what_only_seems_to_be_left_is_no_residue)
{
        measure("anon N0=12288 N2=0\n");
        ck_assert_uint_eq(seen.n_residue, 0);
}
END_TEST

START_TEST(what_stays_is_a_residue)
{
        measure("anon N0=8192 N2=4096\n");
        ck_assert_uint_eq(seen.n_residue, 1);
        ck_assert_uint_eq(seen.residue_anon, 4096);
}
END_TEST

/* The timer would make it nothing. */
START_TEST(what_is_too_much_to_be_late_is_told_at_once)
{
        tree_write(root, LEAF "memory.numa_stat", "anon N0=0 N2=1099511627776\n");
        measure("anon N0=0 N2=0\n");
        ck_assert_uint_eq(seen.n_residue, 1);
}
END_TEST

START_TEST(what_is_on_an_open_node_is_told_at_once)
{
        tree_write(root, LEAF "cpuset.mems.effective", "0-2\n");
        measure("anon N0=0 N2=0\n");
        ck_assert_uint_eq(seen.n_residue, 1);
}
END_TEST

START_TEST(an_empty_plan_is_done_later)
{
        apply(TARGET, &(Plan){ .n_steps = 0 });
        ck_assert_int_eq(seen.error, 0);
}
END_TEST

START_TEST(without_a_cgroup_its_steps_are_passed_over)
{
        Plan p = { .n_steps = 0 };

        step(&p, STEP_WRITE, "0-2", "", "0-1");
        step(&p, STEP_VERIFY, "0-2", "", NULL);
        apply(&(ApplyTarget){ .cgroup = NULL }, &p);
        ck_assert_int_eq(seen.error, 0);
        check_mems("0-1");
}
END_TEST

START_TEST(a_failed_step_undoes_those_before_it)
{
        Plan p = { .n_steps = 0 };

        step(&p, STEP_WRITE, "0-2", "", "0-1");
        step(&p, STEP_WRITE, "0-3", "", "0-2");
        step(&p, STEP_VERIFY, "0-1,4", "", NULL); /* 2 and 3 are too many */
        apply(TARGET, &p);
        ck_assert_int_eq(seen.error, -EBUSY);
        ck_assert_int_eq(seen.failed, STEP_VERIFY);
        ck_assert_int_eq(seen.undo_error, 0);
        ck_assert_ptr_nonnull(strstr(seen.message, "may use memory nodes 0-3"));
        check_mems("0-1");
}
END_TEST

START_TEST(an_inverse_that_fails_is_told)
{
        Plan p = { .n_steps = 0 };

        step(&p, STEP_WRITE, "0-2", "", "");
        step(&p, STEP_VERIFY, "0-1", "", NULL);
        apply(TARGET, &p);
        ck_assert_int_eq(seen.error, -EBUSY);
        ck_assert_int_eq(seen.undo_error, -EINVAL);
}
END_TEST

START_TEST(a_set_that_the_parent_cuts_is_no_grant)
{
        Plan p = { .n_steps = 0 };

        /* Opens node 2 only, and 3 is what the verification wants to see as well: it may be missing. */
        step(&p, STEP_WRITE, "0-2", "", "0-1");
        step(&p, STEP_VERIFY, "0-3", "", NULL);
        apply(TARGET, &p);
        ck_assert_int_eq(seen.error, 0);

        memset(&seen, 0, sizeof(seen));
        p.n_steps = 0;
        step(&p, STEP_WRITE, "0-1", "", "0"); /* as if a cgroup above withheld node 2 */
        p.steps[0].nodes = nodes_of("0-1");
        step(&p, STEP_VERIFY, "0-2", "", NULL);
        apply(TARGET, &p);
        ck_assert_int_eq(seen.error, 0); /* 1 was opened and is there */
}
END_TEST

START_TEST(the_effective_set_must_hold_what_was_opened)
{
        Plan p = { .n_steps = 0 };

        /* The first write opens 2, the second takes it away again behind the plan's back. */
        step(&p, STEP_WRITE, "0-2", "", "0-1");
        step(&p, STEP_WRITE, "0-1", "", NULL);
        step(&p, STEP_VERIFY, "0-2", "", NULL);
        apply(TARGET, &p);
        ck_assert_int_eq(seen.error, -EPERM);
        ck_assert_ptr_nonnull(strstr(seen.message, "a cgroup above it allows only 0-1"));
        check_mems("0-1");
}
END_TEST

/* A runtime has put the only process into a cgroup that it narrowed. */
static void put_into_container(const char *effective)
{
        tree_write(root, LEAF "container/cpuset.mems.effective", effective);
        tree_write(root, LEAF "container/cgroup.procs", "42\n");
        tree_write(root, LEAF "container/cgroup.events", "populated 1\n");
}

static void open_for_use(bool usable)
{
        Plan p = { .n_steps = 0 };

        step(&p, STEP_WRITE, "0-2", "", "0-1");
        step(&p, STEP_VERIFY, "0-2", "", NULL);
        seen.n_done = 0;
        apply(&(ApplyTarget){ .cgroup = "/system.slice/a.service", .cgroup_id = leaf_id, .usable = usable },
              &p);
}

START_TEST(what_no_process_could_use_is_no_grant)
{
        put_into_container("0-1\n");
        open_for_use(true);
        ck_assert_int_eq(seen.error, -EPERM);
        ck_assert_ptr_nonnull(strstr(seen.message, "memory node 2: /system.slice/a.service/container allows "
                                                   "only 0-1,"));
        check_mems("0-1");
        /* Repairs and what follows the ledger only open. */
        open_for_use(false);
        ck_assert_int_eq(seen.error, 0);
        check_mems("0-2");
}
END_TEST

START_TEST(what_one_process_could_use_is_a_grant)
{
        put_into_container("0-1\n");
        tree_write(root, LEAF "wide/cpuset.mems.effective", "0-2\n");
        tree_write(root, LEAF "wide/inner/cgroup.procs", "43\n");
        open_for_use(true);
        ck_assert_int_eq(seen.error, 0);
        check_mems("0-2");
}
END_TEST

START_TEST(a_narrow_cgroup_without_processes_is_not_in_the_way)
{
        put_into_container("0-1\n");
        tree_write(root, LEAF "container/cgroup.events", "populated 0\n");
        tree_write(root, LEAF "container/cgroup.procs", "");
        open_for_use(true);
        ck_assert_int_eq(seen.error, 0);
}
END_TEST

START_TEST(another_cgroup_of_the_same_name_is_not_touched)
{
        Plan p = { .n_steps = 0 };

        step(&p, STEP_WRITE, "0-2", "", "0-1");
        apply(&(ApplyTarget){ .cgroup = "/system.slice/a.service", .cgroup_id = leaf_id + 1 }, &p);
        ck_assert_int_eq(seen.error, -ESTALE);
        ck_assert_int_eq(seen.undo_error, 0);
        ck_assert_ptr_nonnull(strstr(seen.message, "replaced"));
        check_mems("0-1");

        memset(&seen, 0, sizeof(seen));
        apply(&(ApplyTarget){ .cgroup = "/system.slice/gone.service" }, &p);
        ck_assert_int_eq(seen.error, -ENOENT);
        ck_assert_ptr_nonnull(strstr(seen.message, "/system.slice/gone.service ended"));
}
END_TEST

START_TEST(a_property_needs_a_bus)
{
        Plan p = { .n_steps = 0 };

        step(&p, STEP_WRITE, "0-2", "", "0-1");
        step(&p, STEP_PROPERTY, "0-2", "", "0-1");
        apply(&(ApplyTarget){ .unit = "a.service", .cgroup = "/system.slice/a.service" }, &p);
        ck_assert_int_eq(seen.error, -ENOTCONN);
        ck_assert_int_eq(seen.failed, STEP_PROPERTY);
        check_mems("0-1");
}
END_TEST

/* A systemd at the other end of a socket: it does what it is told, and notes what it finds in the leaf then.
 */
static struct {
        unsigned n_calls;
        char found[4][64];
} systemd;

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        char *text;

        if (!sd_bus_message_is_method_call(m, NULL, "SetUnitProperties"))
                return 0;
        text = tree_read(root, LEAF "cpuset.mems");
        ck_assert_uint_lt(systemd.n_calls, ARRAY_SIZE(systemd.found));
        snprintf(systemd.found[systemd.n_calls++], sizeof(systemd.found[0]), "%.*s",
                 (int)strcspn(text, "\n"), text);
        free(text);
        return sd_bus_reply_method_return(m, "");
}

START_TEST(systemd_is_told_after_the_worker_wrote)
{
        const ApplyTarget target = { .unit = "a.service", .cgroup = "/system.slice/a.service" };
        Plan p = { .n_steps = 0 };
        Apply *a = NULL;
        sd_bus *client, *server;
        Gate *gate;
        bus_pair_new(event, on_call, &server, &client);
        ck_assert_int_eq(gate_new(event, client, UNIT_TIMEOUT_USEC, &gate), 0);
        step(&p, STEP_WRITE, "0-2", "", "0-1");
        step(&p, STEP_PROPERTY, "0-2", "", "0-1");
        step(&p, STEP_VERIFY, "0-1,3", "", NULL); /* 2 is too many */
        ck_assert_int_eq(apply_start(gate, worker, worker, &target, &p, 0, on_done, NULL, NULL, &a), 0);
        while (seen.n_done == 0)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        apply_free(a);
        gate_free(gate);
        sd_bus_close_unref(client);
        sd_bus_close_unref(server);

        ck_assert_int_eq(seen.error, -EBUSY);
        ck_assert_int_eq(seen.undo_error, 0);
        /* There and back: what systemd sets is what the leaf has already, and all of it is undone. */
        ck_assert_uint_eq(systemd.n_calls, 2);
        ck_assert_str_eq(systemd.found[0], "0-2");
        ck_assert_str_eq(systemd.found[1], "0-1");
        check_mems("0-1");
}
END_TEST

START_TEST(freed_in_flight)
{
        Plan p = { .n_steps = 0 };
        Apply *a = NULL;

        step(&p, STEP_WRITE, "0-2", "", "0-1");
        for (int i = 0; i < 20; i++) {
                ck_assert_int_eq(apply_start(NULL, worker, worker, TARGET, &p, 0, on_done, NULL, NULL, &a),
                                 0);
                ck_assert_ptr_null(apply_free(a));
                if (i % 3 == 0)
                        ck_assert_int_ge(sd_event_run(event, 0), 0);
        }
        worker = worker_free(worker);
        ck_assert_uint_eq(seen.n_done, 0);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("apply");
        TCase *c = tcase_create("apply");

        tcase_add_checked_fixture(c, setup, teardown);
        tcase_set_timeout(c, 0);
        tcase_add_test(c, a_grant_is_written_and_verified);
        tcase_add_test(c, what_only_seems_to_be_left_is_no_residue);
        tcase_add_test(c, what_stays_is_a_residue);
        tcase_add_test(c, what_is_too_much_to_be_late_is_told_at_once);
        tcase_add_test(c, what_is_on_an_open_node_is_told_at_once);
        tcase_add_test(c, an_empty_plan_is_done_later);
        tcase_add_test(c, without_a_cgroup_its_steps_are_passed_over);
        tcase_add_test(c, a_failed_step_undoes_those_before_it);
        tcase_add_test(c, an_inverse_that_fails_is_told);
        tcase_add_test(c, a_set_that_the_parent_cuts_is_no_grant);
        tcase_add_test(c, the_effective_set_must_hold_what_was_opened);
        tcase_add_test(c, what_no_process_could_use_is_no_grant);
        tcase_add_test(c, what_one_process_could_use_is_a_grant);
        tcase_add_test(c, a_narrow_cgroup_without_processes_is_not_in_the_way);
        tcase_add_test(c, another_cgroup_of_the_same_name_is_not_touched);
        tcase_add_test(c, a_property_needs_a_bus);
        tcase_add_test(c, systemd_is_told_after_the_worker_wrote);
        tcase_add_test(c, freed_in_flight);
        suite_add_tcase(s, c);
        return check_main(s);
}
