/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/bus-pair.h"
#include "tests/unit/check-main.h"

#include <errno.h>
#include <semaphore.h>

#include "daemon/fence/fence-internal.h"
#include "daemon/keeper/drift-slice.h"
#include "daemon/keeper/fights.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "tests/unit/tree.h"

/* A fence over a made-up hierarchy of plain files, with a PID 1 at the other end of a socket. Nodes 0-1 are
 * ordinary, 2-3 CDM. Slices are counted: there are more of them the more there is. */

enum {
        TURN_MAX = 256, /* FENCE_TURN_MAX of the fence */
        SLICES = 4,
        FEW = 20,
        MANY = FEW + SLICES * TURN_MAX,
        N_OPEN = 5,
};

static char *root;
static sd_event *event;
static sd_bus *server, *client;
static Config *config;
static PoolSet pools;
static Ledger *ledger;
static FenceContext x;
static Fence *fence;
static bool done;
static unsigned n_repaired;
static char repaired[128];
static const char *known;   /* the one unit that PID 1 knows */
static const char *allowed; /* the nodes that PID 1 allows to it */
static NodeSet told;        /* the last set that PID 1 was told */
static bool busy;           /* PID 1 does not reload now */
static unsigned n_reloads;
static int expected_error;

/* How often a step went on in another turn; the linker puts this function in between. */
static unsigned n_slices;
void __real_slice_set(Slice *s, bool on);
void __wrap_slice_set(Slice *s, bool on);

void __wrap_slice_set(Slice *s, bool on)
{
        n_slices += on;
        __real_slice_set(s, on);
}

static NodeSet list(const char *text)
{
        NodeSet set;

        ck_assert_int_eq(nodeset_parse(text, &set), 0);
        return set;
}

static void on_set(sd_bus_message *m)
{
        const char *property;
        const void *bytes;
        size_t n;

        MUST(sd_bus_message_skip(m, "sb") >= 0);
        MUST(sd_bus_message_enter_container(m, 'a', "(sv)") > 0);
        MUST(sd_bus_message_enter_container(m, 'r', "sv") > 0);
        MUST(sd_bus_message_read(m, "s", &property) >= 0);
        if (strcmp(property, "AllowedMemoryNodes") == 0) {
                MUST(sd_bus_message_enter_container(m, 'v', "ay") > 0);
                MUST(sd_bus_message_read_array(m, 'y', &bytes, &n) >= 0);
                MUST(nodeset_from_bytes(bytes, n, &told) >= 0);
        }
        MUST(sd_bus_reply_method_return(m, NULL) >= 0);
}

static void on_get(sd_bus_message *m)
{
        sd_bus_message *reply;
        NodeSet all = list(allowed);
        uint8_t bytes[NODESET_BYTES_MAX];
        size_t n = nodeset_to_bytes(&all, bytes);
        const char *name;

        MUST(sd_bus_message_read(m, "ss", NULL, &name) >= 0);
        MUST(sd_bus_message_new_method_return(m, &reply) >= 0);
        if (strcmp(name, "AllowedMemoryNodes") == 0) {
                MUST(sd_bus_message_open_container(reply, 'v', "ay") >= 0);
                MUST(sd_bus_message_append_array(reply, 'y', bytes, n) >= 0);
                MUST(sd_bus_message_close_container(reply) >= 0);
        } else if (strcmp(name, "ControlGroup") == 0) {
                MUST(sd_bus_message_append(reply, "v", "s", "/") >= 0);
        } else {
                MUST(sd_bus_message_append(reply, "v", "t", UINT64_C(1)) >= 0);
        }
        MUST(sd_bus_send(NULL, reply, NULL) >= 0);
        sd_bus_message_unref(reply);
}

static bool is_known(sd_bus_message *m)
{
        const char *name;

        MUST(sd_bus_message_enter_container(m, 'a', "s") > 0);
        MUST(sd_bus_message_read(m, "s", &name) > 0);
        return known && strcmp(name, known) == 0;
}

/* Whose a cgroup is it cannot say now, so that each counts as the unit of its name. */
static int on_call(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
        if (!sd_bus_message_is_method_call(m, NULL, NULL))
                return 0;
        n_reloads += sd_bus_message_is_method_call(m, NULL, "Reload");
        if (busy && sd_bus_message_is_method_call(m, NULL, "Reload"))
                MUST(sd_bus_reply_method_errorf(m, SD_BUS_ERROR_TIMEOUT, "not now") >= 0);
        else if (sd_bus_message_is_method_call(m, NULL, "Reload"))
                MUST(sd_bus_reply_method_return(m, NULL) >= 0);
        else if (sd_bus_message_is_method_call(m, NULL, "SetUnitProperties"))
                on_set(m);
        else if (sd_bus_message_is_method_call(m, NULL, "ListUnitsByNames") && is_known(m))
                MUST(sd_bus_reply_method_return(m, "a(ssssssouso)", 1, known, "", "loaded", "active",
                                                "running", "", "/u", 0, "", "/") >= 0);
        else if (known && sd_bus_message_is_method_call(m, NULL, "Get"))
                on_get(m);
        else if (sd_bus_message_is_method_call(m, NULL, "GetUnitByControlGroup"))
                MUST(sd_bus_reply_method_errorf(m, SD_BUS_ERROR_TIMEOUT, "not now") >= 0);
        else
                MUST(sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.NoSuchUnit", "gone") >= 0);
        return 1;
}

static void on_repaired(const FenceRepair *r, void *userdata _unused_)
{
        n_repaired++;
        snprintf(repaired, sizeof(repaired), "%s", r->cgroup);
}

static void on_done(Fence *f _unused_, int error, void *userdata _unused_)
{
        ck_assert_int_eq(error, expected_error);
        done = true;
}

static void start(void)
{
        char *error = NULL;

        root = tree_new();
        tree_write(root, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu memory pids\n");
        tree_write(root, "sys/fs/cgroup/cgroup.subtree_control", "cpuset cpu memory pids\n");
        tree_write(root, "run/systemd/system/.keep", "");
        tree_write(root, "run/cdm/.keep", "");
        tree_write(root, "run/cdmd/.keep", "");
        ck_assert_int_eq(cgroup_setup(root, &error), 0);
        ck_assert_int_ge(sd_event_new(&event), 0);
        bus_pair_new(event, on_call, &server, &client);
        pools = (PoolSet){ .cdm = list("2-3"), .ordinary = list("0-1") };
        ck_assert_int_eq(config_new(&config), 0);
        ck_assert_int_eq(ledger_new(&ledger), 0);
        x = (FenceContext){ .event = event, .ledger = ledger, .root = root, .repaired = on_repaired };
        ck_assert_int_eq(gate_new(event, client, UNIT_TIMEOUT_USEC, &x.gate), 0);
        ck_assert_int_eq(worker_new(event, 1, &x.worker), 0);
        ck_assert_int_eq(worker_new(event, 1, &x.mover), 0);
        ck_assert_int_eq(turn_queue_new(event, &x.turns), 0);
        ck_assert_int_eq(foreign_new(root, &x.foreign), 0);
        ck_assert_int_eq(fence_new(&x, &fence), 0);
        n_repaired = 0;
        known = NULL;
        allowed = "0-3";
        told = NODESET_EMPTY;
        busy = false;
        n_reloads = 0;
        expected_error = 0;
}

static void stop(void)
{
        fence_free(fence);
        worker_free(x.worker);
        worker_free(x.mover);
        bus_pair_settle(event);
        turn_queue_free(x.turns);
        foreign_free(x.foreign);
        gate_free(x.gate);
        ledger_free(ledger);
        config_free(config);
        sd_bus_close_unref(client);
        sd_bus_close_unref(server);
        sd_event_unref(event);
        tree_remove(root);
}

static void put(const char *folder, unsigned i, const char *suffix, const char *file, const char *text)
{
        char path[256];

        snprintf(path, sizeof(path), "%s-%u%s/%s", folder, i, suffix, file);
        tree_write(root, path, text);
}

/* Cgroups NAME-FIRST to NAME-LAST, which may use these nodes. */
static void put_leaves(const char *name, unsigned first, unsigned last, const char *suffix,
                       const char *nodes)
{
        char folder[128];

        snprintf(folder, sizeof(folder), "sys/fs/cgroup/%s", name);
        for (unsigned i = first; i <= last; i++) {
                put(folder, i, suffix, "cpuset.mems", nodes);
                put(folder, i, suffix, "cpuset.mems.effective", nodes);
        }
}

static void put_units(const char *name, unsigned first, unsigned last, const char *nodes)
{
        put_leaves(name, first, last, ".service", nodes);
}

/* Without the controller: nothing can be written, and the nodes of what is above it are open to it. */
static void put_stubborn(unsigned n)
{
        for (unsigned i = 1; i <= n; i++)
                put("sys/fs/cgroup/stubborn", i, ".service", "cgroup.events", "populated 1\n");
}

static void assert_mems(const char *name, unsigned n, const char *expected)
{
        char path[128];

        for (unsigned i = 1; i <= n; i++) {
                snprintf(path, sizeof(path), "sys/fs/cgroup/%s-%u.service/cpuset.mems", name, i);
                char *text = tree_read(root, path);
                text[strcspn(text, "\n")] = '\0';
                ck_assert_str_eq(text, expected);
                free(text);
        }
}

static void put_properties(unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                put("run/systemd/system.control/u", i, ".service.d", "50-AllowedMemoryNodes.conf",
                    "[Service]\nAllowedMemoryNodes=0-1\n");
}

static void turn(void)
{
        ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
}

static void begin(void)
{
        done = false;
        ck_assert_int_eq(fence_close(fence, config, &pools, on_done, NULL), 0);
}

static unsigned finish(void)
{
        n_slices = 0;
        while (!done)
                turn();
        return n_slices;
}

static unsigned close_fence(void)
{
        begin();
        return finish();
}

static unsigned lift_fence(void)
{
        done = false;
        ck_assert_int_eq(fence_lift(fence, &pools, on_done, NULL), 0);
        return finish();
}

static size_t n_unfenced(void)
{
        size_t n;

        (void)fence_unfenced(fence, &n);
        return n;
}

/* For a step that takes several turns of the event loop. */
static void until(FencePhase phase)
{
        while (fence->phase != phase) {
                ck_assert(!done);
                turn();
        }
}

static void (*step_ended)(Fence *f, int error);
static FencePhase awaited;
static void (*at_awaited)(void);

static void on_step_ended(Fence *f, int error)
{
        step_ended(f, error);
        if (!at_awaited || f->phase != awaited)
                return;
        void (*fn)(void) = at_awaited;
        at_awaited = NULL;
        fn();
}

/* For any step: a worker may end its job, and the next step begin, within one turn. Calls fn when the step has
 * begun, and before its result is looked at. */
static void close_fence_with(FencePhase phase, void (*fn)(void))
{
        step_ended = fence->step_ended;
        fence->step_ended = on_step_ended;
        awaited = phase;
        at_awaited = fn;
        close_fence();
        fence->step_ended = step_ended;
        ck_assert_ptr_null(at_awaited);
}

/* Each step that looks at all leaves: ASK, DRAIN, JUDGE, REPORT. They are nobody's that PID 1 would be asked
 * about. */
START_TEST(leaves_are_judged_in_slices)
{
        unsigned few, many;

        put_leaves("pods/c", 1, FEW, "", "0-1\n");
        close_fence(); /* which installs its files */
        few = close_fence();
        put_leaves("pods/c", FEW + 1, MANY, "", "0-1\n");
        many = close_fence();
        ck_assert_int_eq(fence_state(fence), FENCE_CLOSED);
        ck_assert_uint_ge(many, few + 4 * SLICES - 1);
}
END_TEST

/* ASK ends at the first one. DRAIN, NARROW, REPORT, and JUDGE five times: POKE does not help, nor RELOAD. Those that are open are found wherever they are. */
START_TEST(open_leaves_among_many)
{
        unsigned few, many;

        put_units("open", 1, N_OPEN, "0-3\n");
        put_units("u", 1, FEW, "0-1\n");
        close_fence();
        put_units("open", 1, N_OPEN, "0-3\n");
        few = close_fence();
        put_units("open", 1, N_OPEN, "0-3\n");
        put_units("u", FEW + 1, MANY, "0-1\n");
        many = close_fence();
        ck_assert_uint_ge(many, few + 8 * SLICES - 1);
        assert_mems("open", N_OPEN, "0-1");
        ck_assert_int_eq(fence_state(fence), FENCE_CLOSED);
        put_stubborn(N_OPEN);
        close_fence();
        ck_assert_int_eq(fence_state(fence), FENCE_LEAKY);
        ck_assert_uint_eq(n_unfenced(), N_OPEN);
        lift_fence();
        ck_assert_int_eq(fence_state(fence), FENCE_OPEN);
        ck_assert_uint_eq(n_unfenced(), 0);
}
END_TEST

START_TEST(properties_are_judged_in_slices)
{
        unsigned few, many;

        put_properties(FEW);
        close_fence();
        few = close_fence();
        put_properties(MANY);
        many = close_fence();
        ck_assert_uint_ge(many, few + SLICES - 1);
}
END_TEST

/* A report that is under way is not seen: the one before it is. */
START_TEST(a_report_is_seen_when_it_is_whole)
{
        put_stubborn(N_OPEN);
        put_units("u", 1, MANY, "0-1\n");
        close_fence();
        ck_assert_uint_eq(n_unfenced(), N_OPEN);
        begin();
        while (!done) {
                ck_assert_uint_eq(n_unfenced(), N_OPEN);
                ck_assert_int_eq(fence_state(fence), FENCE_CLOSING);
                turn();
        }
        ck_assert_uint_eq(n_unfenced(), N_OPEN);
}
END_TEST

static void reserve(const char *unit)
{
        Reservation *r;

        ck_assert_int_eq(reservation_new(&r), 0);
        r->id = 1;
        r->state = RESERVATION_ACTIVE;
        r->target = calloc(1, sizeof(*r->target));
        ck_assert_ptr_nonnull(r->target);
        r->target->unit = strdup(unit);
        MUST(reservation_set_shares(r, &(Share){ 2, 4096 }, 1) == 0);
        ck_assert_int_eq(ledger_add(ledger, r), 0);
}

static void release(void)
{
        reservation_free(ledger_take(ledger, 1));
}

/* Whoever ends a reservation closes its nodes; the reading is older than that. */
START_TEST(a_reservation_that_ends_between_two_slices)
{
        put_units("open", 1, 1, "0-2\n");
        put_units("u", 1, MANY, "0-1\n");
        reserve("open-1.service");
        begin();
        until(PHASE_REPORT);
        release();
        finish();
        ck_assert_uint_eq(n_unfenced(), 0);
        ck_assert_int_eq(fence_state(fence), FENCE_CLOSED);
        assert_mems("open", 1, "0-2");
        /* Where it was ended before it was judged, it is closed. */
        reserve("open-1.service");
        close_fence_with(PHASE_READ, release);
        ck_assert_uint_eq(n_unfenced(), 0);
        assert_mems("open", 1, "0-1");
}
END_TEST

/* A change of the tenant of open-1.service: with a reservation, or without. */
typedef struct Tenant {
        void (*change)(void);
        bool done;
        Turn *turn;
        sem_t barrier;
} Tenant;

static void grant_node_2(void)
{
        reserve("open-1.service");
        put("sys/fs/cgroup/open", 1, ".service", "cpuset.mems", "0-2\n");
}

static void release_node_2(void)
{
        release();
        put("sys/fs/cgroup/open", 1, ".service", "cpuset.mems", "0-1\n");
}

static void tenant_on_turn(int result _unused_, void *userdata)
{
        Tenant *t = userdata;

        t->change();
        t->turn = turn_free(t->turn);
        t->done = true;
}

static int run_wait(Job *job _unused_, void *userdata)
{
        while (sem_wait(userdata) < 0)
                ;
        return 0;
}

static void on_waited(int result _unused_, void *userdata _unused_)
{
}

static int on_idle(sd_event_source *source _unused_, void *userdata)
{
        MUST(sem_post(userdata) == 0);
        return 0;
}

/* The sequence drains open-1.service; the thread that moves pages begins with that when nothing else is left
 * to do, so the tenant makes its change before, unless it has to wait for its turn. */
static void change_while_a_leaf_drains(void (*change)(void), const char *numa)
{
        Tenant t = { .change = change };
        sd_event_source *idle;
        Job *job;

        put("sys/fs/cgroup/open", 1, ".service", "memory.numa_stat", numa);
        MUST(sem_init(&t.barrier, 0, 0) == 0);
        MUST(worker_submit(x.mover, run_wait, on_waited, NULL, &t.barrier, &job) == 0);
        begin();
        until(PHASE_DRAIN);
        MUST(turn_take(x.turns, "open-1.service", tenant_on_turn, &t, &t.turn) == 0);
        MUST(sd_event_add_defer(event, &idle, on_idle, &t.barrier) >= 0);
        MUST(sd_event_source_set_priority(idle, SD_EVENT_PRIORITY_IDLE) >= 0);
        while (!t.done || fence->phase == PHASE_DRAIN)
                turn();
        sd_event_source_unref(idle);
        sem_destroy(&t.barrier);
}

/* A grant that was acknowledged stays. */
START_TEST(a_grant_while_a_leaf_drains)
{
        put_units("open", 1, 1, "0-3\n");
        change_while_a_leaf_drains(grant_node_2, "anon N0=0 N2=4096\n");
        assert_mems("open", 1, "0-2");
        finish();
        assert_mems("open", 1, "0-2");
        ck_assert_int_eq(fence_state(fence), FENCE_CLOSED);
}
END_TEST

/* A node that was released is not opened again. */
START_TEST(a_release_while_a_leaf_drains)
{
        put_units("open", 1, 1, "0-3\n");
        reserve("open-1.service");
        change_while_a_leaf_drains(release_node_2, "anon N0=0 N2=4096 N3=4096\n");
        assert_mems("open", 1, "0-1");
        finish();
        assert_mems("open", 1, "0-1");
}
END_TEST

static void on_kept_turn(int result _unused_, void *userdata _unused_)
{
}

/* A drain may keep its turn for hours: the sequence ends before, and says what is open. */
START_TEST(a_turn_that_is_kept_is_not_waited_for)
{
        Turn *kept;

        put_units("open", 1, 1, "0-3\n");
        MUST(turn_take(x.turns, "open-1.service", on_kept_turn, NULL, &kept) == 0);
        close_fence();
        assert_mems("open", 1, "0-3");
        ck_assert_int_eq(fence_state(fence), FENCE_LEAKY);
        turn_free(kept);
        close_fence();
        assert_mems("open", 1, "0-1");
        ck_assert_int_eq(fence_state(fence), FENCE_CLOSED);
}
END_TEST

/* systemd is told what is reserved when it is told. */
START_TEST(a_grant_before_systemd_is_told)
{
        NodeSet granted = list("0-2");

        put_units("open", 1, 1, "0-3\n");
        put("sys/fs/cgroup/open", 1, ".service", "memory.numa_stat", "anon N0=0 N2=4096\n");
        known = "open-1.service";
        close_fence_with(PHASE_TELL, grant_node_2);
        ck_assert(nodeset_equal(&told, &granted));
        assert_mems("open", 1, "0-2");
}
END_TEST

static void reserve_open_1(void)
{
        reserve("open-1.service");
}

START_TEST(a_grant_before_a_property_is_reset)
{
        NodeSet granted = list("0-2");

        tree_write(root, "run/systemd/system.control/open-1.service.d/50-AllowedMemoryNodes.conf",
                   "[Service]\nAllowedMemoryNodes=0-1,3\n");
        close_fence_with(PHASE_PROPERTIES, reserve_open_1);
        ck_assert(nodeset_equal(&told, &granted));
}
END_TEST

/* No cgroup is open, but systemd has not read the files: this is to be repeated, although the files are the
 * same then. */
START_TEST(a_reload_that_fails_for_the_moment)
{
        put_units("u", 1, FEW, "0-1\n");
        busy = true;
        expected_error = -ETIMEDOUT;
        close_fence();
        ck_assert_int_eq(fence_state(fence), FENCE_LEAKY);
        ck_assert(fence_is_untold(fence));
        ck_assert_uint_eq(n_reloads, 1);
        busy = false;
        expected_error = 0;
        close_fence();
        ck_assert_int_eq(fence_state(fence), FENCE_CLOSED);
        ck_assert(!fence_is_untold(fence));
        ck_assert_uint_eq(n_reloads, 2);
        close_fence();
        ck_assert_uint_eq(n_reloads, 2);
}
END_TEST

/* The cgroup of memory.service is _memory.service, as the kernel has files memory.*. */
START_TEST(a_unit_is_known_by_its_name)
{
        NodeSet widened = list("0-3");

        tree_write(root, "sys/fs/cgroup/_memory.service/cpuset.mems", "0-3\n");
        tree_write(root, "sys/fs/cgroup/_memory.service/cpuset.mems.effective", "0-3\n");
        reserve("memory.service");
        close_fence();
        char *text = tree_read(root, "sys/fs/cgroup/_memory.service/cpuset.mems");
        ck_assert_str_eq(text, "0-2");
        free(text);
        /* A slice of a device's nodes opens what is in it. */
        put_units("_cpu.slice/u", 1, 1, "0-1\n");
        tree_write(root, "sys/fs/cgroup/cpuset.mems.effective", "0-3\n");
        tree_write(root, "sys/fs/cgroup/_cpu.slice/u-1.service/cpuset.mems.effective", "2-3\n");
        known = "cpu.slice";
        allowed = "2-3";
        for (unsigned i = 0; i < 2; i++) {
                tree_write(root, "sys/fs/cgroup/_cpu.slice/cpuset.mems", "2-3\n");
                tree_write(root, "sys/fs/cgroup/_cpu.slice/cpuset.mems.effective", "2-3\n");
                told = NODESET_EMPTY;
                n_repaired = 0;
                if (i == 0)
                        close_fence();
                else
                        ck_assert_int_eq(fence_check(fence, "/_cpu.slice", 0, true), 0);
                while (i == 1 && n_repaired == 0)
                        turn();
                ck_assert(nodeset_equal(&told, &widened));
        }
}
END_TEST

/* The processes of up-1.service are in a cgroup below its own, which has the controller the second time. */
START_TEST(a_unit_whose_processes_are_below_it)
{
        tree_write(root, "sys/fs/cgroup/cpuset.mems.effective", "0-3\n");
        put("sys/fs/cgroup/up", 1, ".service", "inner/cgroup.procs", "7\n");
        put_units("up", 1, 1, "0-3\n");
        close_fence();
        assert_mems("up", 1, "0-1");
        ck_assert_int_eq(fence_state(fence), FENCE_CLOSED);
        reserve("up-1.service");
        put_units("up", 1, 1, "0-3\n");
        close_fence();
        assert_mems("up", 1, "0-2");
        release();
        put_units("up", 1, 1, "2-3\n");
        put("sys/fs/cgroup/up", 1, ".service", "inner/cpuset.mems", "\n");
        put("sys/fs/cgroup/up", 1, ".service", "inner/cpuset.mems.effective", "2-3\n");
        close_fence();
        assert_mems("up", 1, "0-1");
}
END_TEST

/* What a unit leaves to a cgroup further below is its own affair. */
START_TEST(a_unit_that_narrows_what_is_below_it)
{
        tree_write(root, "sys/fs/cgroup/cpuset.mems.effective", "0-3\n");
        put_units("up", 1, 1, "\n");
        put("sys/fs/cgroup/up", 1, ".service", "cpuset.mems.effective", "0-3\n");
        put("sys/fs/cgroup/up", 1, ".service", "inner/cpuset.mems", "2");
        put("sys/fs/cgroup/up", 1, ".service", "inner/cpuset.mems.effective", "2");
        put("sys/fs/cgroup/up", 1, ".service", "inner/x/cgroup.procs", "7\n");
        close_fence();
        assert_mems("up", 1, "0-1");
        char *text = tree_read(root, "sys/fs/cgroup/up-1.service/inner/cpuset.mems");
        ck_assert_str_eq(text, "2");
        free(text);
}
END_TEST

static int run_nothing(Job *job _unused_, void *userdata _unused_)
{
        return 0;
}

static void on_nothing(int result _unused_, void *userdata)
{
        *(bool *)userdata = true;
}

static void on_look_at_all(void *userdata)
{
        ++*(unsigned *)userdata;
}

/* The worker has one thread, so the look at the slice has ended before the next job does. */
static void run_slice_look(SliceLooks *looks)
{
        bool ended = false;
        Job *job;

        slice_looks_add(looks, "/ex.slice");
        MUST(worker_submit(x.worker, run_nothing, on_nothing, NULL, &ended, &job) == 0);
        while (!ended)
                turn();
}

/* ex.slice enables the controller, and leaves all nodes to what is in it. */
static void put_slice(void)
{
        config->mode = FENCE_MODE_ENFORCE;
        tree_write(root, "sys/fs/cgroup/cpuset.mems.effective", "0-3\n");
        tree_write(root, "sys/fs/cgroup/ex.slice/cgroup.subtree_control", "cpuset memory\n");
        tree_write(root, "sys/fs/cgroup/ex.slice/cpuset.mems", "\n");
        tree_write(root, "sys/fs/cgroup/ex.slice/cpuset.mems.effective", "0-3\n");
}

/* Returns how many times the look at the slice asks for a look at everything. */
static unsigned look_at_slice(void)
{
        Core core = { .event = event, .worker = x.worker };
        Book book = { .core = &core, .config = config, .pools = &pools, .serving = true };
        SliceLooks *looks;
        Fights *fights;
        unsigned n = 0;

        ck_assert_int_eq(fights_new(&book, NULL, NULL, NULL, &fights), 0);
        ck_assert_int_eq(slice_looks_new(&book, fence, fights, on_look_at_all, &n, &looks), 0);
        run_slice_look(looks);
        slice_looks_free(looks);
        fights_free(fights);
        return n;
}

/* -cpuset, then +cpuset: the controller is enabled when the slice is looked at, and the sets of the units in it
 * are gone. */
START_TEST(a_controller_that_was_disabled_for_a_moment)
{
        put_slice();
        put_units("ex.slice/u", 1, 1, "0-1\n");
        ck_assert_uint_eq(look_at_slice(), 0);
        put_units("ex.slice/u", 1, 1, "\n");
        ck_assert_uint_eq(look_at_slice(), 1);
}
END_TEST

/* It has processes and is found first, unlike the units of put_units(). */
static void put_exempt(const char *unit)
{
        static const char *const files[][2] = {
                { "cgroup.events", "populated 1\n" },
                { "cpuset.mems", "\n" },
                { "cpuset.mems.effective", "0-3\n" },
        };
        char path[128];

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                snprintf(path, sizeof(path), "sys/fs/cgroup/ex.slice/%s/%s", unit, files[i][0]);
                tree_write(root, path, files[i][1]);
        }
}

/* An exempt unit needs no set. */
START_TEST(an_exempt_unit_has_lost_nothing)
{
        char *exempt[] = { (char *)"gpu@.service", (char *)"memory.service", NULL };
        char **before = config->exempt;

        put_slice();
        config->exempt = exempt;
        put_exempt("gpu@1.service");
        put_exempt("_memory.service");
        put_exempt("cdmd.service");
        ck_assert_uint_eq(look_at_slice(), 0);
        put_units("ex.slice/u", 1, 1, "0-1\n");
        ck_assert_uint_eq(look_at_slice(), 0);
        put_units("ex.slice/u", 1, 1, "\n");
        ck_assert_uint_eq(look_at_slice(), 1);
        config->exempt = before;
}
END_TEST

/* A cgroup that comes between two slices is closed, after the sequence. */
START_TEST(a_cgroup_that_comes_between_two_slices)
{
        put_units("u", 1, MANY, "0-1\n");
        begin();
        until(PHASE_REPORT);
        put_units("new", 1, 1, "0-3\n");
        ck_assert_int_eq(fence_check(fence, "/new-1.service", 0, true), 0);
        ck_assert_int_eq(fence_close(fence, config, &pools, on_done, NULL), -EBUSY);
        finish();
        ck_assert_uint_eq(n_repaired, 0);
        while (n_repaired == 0)
                turn();
        ck_assert_str_eq(repaired, "/new-1.service");
}
END_TEST

/* Those that waited for the end of the sequence go on in slices, and those that a sequence catches wait for
 * its end. None is left out. */
START_TEST(many_checks_go_on_in_slices)
{
        enum { CHECKS = 300, AT_ONCE = 64 };
        char path[64];

        put_units("new", 1, CHECKS, "0-3\n");
        begin();
        for (unsigned i = 1; i <= CHECKS; i++) {
                snprintf(path, sizeof(path), "/new-%u.service", i);
                ck_assert_int_eq(fence_check(fence, path, 0, true), 0);
        }
        for (unsigned sequence = 0; sequence < 2; sequence++) {
                if (sequence > 0)
                        begin();
                until(PHASE_REPORT);
                put_units("new", 1, CHECKS, "0-3\n");
                finish();
                while (fence->n_checks_at_work == 0)
                        turn();
                ck_assert_uint_le(fence->n_checks_at_work, AT_ONCE);
        }
        while (fence->checks)
                turn();
        ck_assert_uint_ge(n_repaired, CHECKS);
}
END_TEST

/* cdmd ends in the middle, as it does when it loses the bus. */
START_TEST(an_end_between_two_slices)
{
        static const FencePhase phases[] = { PHASE_ASK, PHASE_DRAIN, PHASE_RESET, PHASE_JUDGE,
                                             PHASE_REPORT };

        put_units("u", 1, MANY, "0-1\n");
        put_properties(MANY);
        for (size_t i = 0; i < ARRAY_SIZE(phases); i++) {
                begin();
                until(phases[i]);
                fence = fence_free(fence);
                bus_pair_settle(event);
                ck_assert(!done);
                ck_assert_int_eq(fence_new(&x, &fence), 0);
        }
        close_fence();
        ck_assert_int_eq(fence_state(fence), FENCE_CLOSED);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("fence");
        TCase *t = tcase_create("fence");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, leaves_are_judged_in_slices);
        tcase_add_test(t, open_leaves_among_many);
        tcase_add_test(t, properties_are_judged_in_slices);
        tcase_add_test(t, a_report_is_seen_when_it_is_whole);
        tcase_add_test(t, a_reservation_that_ends_between_two_slices);
        tcase_add_test(t, a_grant_while_a_leaf_drains);
        tcase_add_test(t, a_release_while_a_leaf_drains);
        tcase_add_test(t, a_turn_that_is_kept_is_not_waited_for);
        tcase_add_test(t, a_grant_before_systemd_is_told);
        tcase_add_test(t, a_grant_before_a_property_is_reset);
        tcase_add_test(t, a_reload_that_fails_for_the_moment);
        tcase_add_test(t, a_unit_whose_processes_are_below_it);
        tcase_add_test(t, a_unit_that_narrows_what_is_below_it);
        tcase_add_test(t, a_unit_is_known_by_its_name);
        tcase_add_test(t, a_controller_that_was_disabled_for_a_moment);
        tcase_add_test(t, an_exempt_unit_has_lost_nothing);
        tcase_add_test(t, a_cgroup_that_comes_between_two_slices);
        tcase_add_test(t, many_checks_go_on_in_slices);
        tcase_add_test(t, an_end_between_two_slices);
        suite_add_tcase(s, t);
        return check_main(s);
}
