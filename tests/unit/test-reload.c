/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/whole-cdmd.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "daemon/bus/bus.h"
#include "policy/cdm-names.h"
#include "policy/conf-read.h"

/* Reloads while the files or the nodes take long to read. The linker puts the functions __wrap_*() in
 * between. They read, and then wait until the test lets them go. */

#define POLICY    "etc/cdm/policy.d/10-all.conf"
#define RULE      "[Match]\nPool=*\n[Grant]\nLimit=1G\n"
#define DENY      "[Match]\nPool=*\n[Grant]\nDeny=yes\n"
#define NONSENSE  "[Match]\nPool=*\n[Grant]\nLimit=much\n"
#define TURN_USEC 1000

typedef struct Reader {
        atomic_bool held; /* the next reading has to wait */
        sem_t begun, go;
        atomic_uint n;
} Reader;

static Reader config_reader, nodes_reader;
static pthread_t event_loop;
static WholeCdmd w;
static Book *book;
static Bus *surface;

static void reader_init(Reader *r)
{
        atomic_store(&r->held, false);
        atomic_store(&r->n, 0);
        ck_assert_int_eq(sem_init(&r->begun, 0, 0), 0);
        ck_assert_int_eq(sem_init(&r->go, 0, 0), 0);
}

static void reader_on_read(Reader *r)
{
        atomic_fetch_add(&r->n, 1);
        if (!atomic_exchange(&r->held, false))
                return;
        if (pthread_equal(pthread_self(), event_loop))
                ck_abort_msg("the event loop waits for a file");
        MUST(sem_post(&r->begun) == 0);
        MUST(sem_wait(&r->go) == 0);
}

int __real_config_load(const char *, Config **, ConfMessages *);
int __wrap_config_load(const char *, Config **, ConfMessages *);
int __real_topology_read_explained(const char *, Topology **, char **);
int __wrap_topology_read_explained(const char *, Topology **, char **);

int __wrap_config_load(const char *root, Config **ret, ConfMessages *messages)
{
        int r = __real_config_load(root, ret, messages);

        reader_on_read(&config_reader);
        return r;
}

int __wrap_topology_read_explained(const char *root, Topology **ret, char **ret_error)
{
        int r = __real_topology_read_explained(root, ret, ret_error);

        reader_on_read(&nodes_reader);
        return r;
}

static void turn(void)
{
        ck_assert_int_ge(sd_event_run(w.event, TURN_USEC), 0);
}

static void start(void)
{
        event_loop = pthread_self();
        reader_init(&config_reader);
        reader_init(&nodes_reader);
        whole_prepare(&w, 3, RULE);
        book = &w.assembly->book;
        BusContext context = assembly_bus_context(w.assembly);
        ck_assert_int_eq(bus_new(&context, &surface), 0);
        whole_start(&w);
        while (!book->serving)
                turn();
        atomic_store(&nodes_reader.n, 0); /* the start has read them as well */
}

static void stop(void)
{
        bus_free(surface);
        whole_stop(&w);
}

/* A call on the bus, by a client. */
typedef struct Call {
        bool done;
        char error[128], message[512];
} Call;

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);
        Call *c = userdata;

        snprintf(c->error, sizeof(c->error), "%s", e ? e->name : "");
        snprintf(c->message, sizeof(c->message), "%s", e ? e->message : "");
        c->done = true;
        return 1;
}

static void call_begin(Call *c, const char *interface, const char *member)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        *c = (Call){ 0 };
        ck_assert_int_ge(sd_bus_message_new_method_call(w.server, &m, NULL, CDM_PATH, interface, member), 0);
        ck_assert_int_ge(sd_bus_message_set_sender(m, ":1.7"), 0);
        ck_assert_int_ge(sd_bus_call_async(w.server, NULL, m, on_reply, c, UINT64_MAX), 0);
}

static void reload_begin(Call *c)
{
        call_begin(c, CDM_INTERFACE_MANAGER, "Reload");
}

static void call_end(Call *c)
{
        while (!c->done)
                turn();
}

static void must_answer(const char *interface, const char *member)
{
        Call c;

        call_begin(&c, interface, member);
        call_end(&c);
        ck_assert_str_eq(c.error, "");
}

/* These calls must be answered while a reading is held up. */
static void must_serve(void)
{
        must_answer("org.freedesktop.DBus.Peer", "Ping");
        must_answer(CDM_INTERFACE_MANAGER, "ListNodes");
}

/* Begins a reload, whose reading is held up. */
static void reload_slowly(Call *c, Reader *r)
{
        atomic_store(&r->held, true);
        reload_begin(c);
        while (sem_trywait(&r->begun) < 0)
                turn();
}

static void let_go(Reader *r)
{
        ck_assert_int_eq(sem_post(&r->go), 0);
}

static bool is_denied(void)
{
        ck_assert_uint_eq(book->config->n_rules, 1);
        return book->config->rules[0]->deny;
}

static void serves_during(Reader *r)
{
        Call c;

        tree_write(w.root, POLICY, DENY);
        reload_slowly(&c, r);
        must_serve();
        ck_assert(!c.done);
        ck_assert(!is_denied());
        let_go(r);
        call_end(&c);
        ck_assert_str_eq(c.error, "");
        ck_assert(is_denied());
        ck_assert_uint_eq(atomic_load(&config_reader.n), 1);
        ck_assert_uint_eq(atomic_load(&nodes_reader.n), 1);
}

START_TEST(a_slow_configuration_holds_up_nobody)
{
        serves_during(&config_reader);
}
END_TEST

START_TEST(slow_nodes_hold_up_nobody)
{
        serves_during(&nodes_reader);
}
END_TEST

/* The file changes after it was read. One second reading serves both reloads that are requested then. */
static void read_again_after(Reader *r)
{
        const Config *before = book->config;
        Call first, second, third;

        reload_slowly(&first, r);
        tree_write(w.root, POLICY, DENY);
        reload_begin(&second);
        reload_begin(&third);
        must_serve();
        ck_assert(!first.done);
        atomic_store(&config_reader.held, true); /* the second reading */
        let_go(r);
        call_end(&first);
        ck_assert_str_eq(first.error, "");
        ck_assert_ptr_ne(book->config, before);
        ck_assert(!is_denied());
        while (sem_trywait(&config_reader.begun) < 0)
                turn();
        must_serve();
        ck_assert(!second.done && !third.done);
        let_go(&config_reader);
        call_end(&second);
        call_end(&third);
        ck_assert_str_eq(second.error, "");
        ck_assert_str_eq(third.error, "");
        ck_assert(is_denied());
        ck_assert_uint_eq(atomic_load(&config_reader.n), 2);
}

START_TEST(a_reload_during_the_reading_of_the_files_reads_again)
{
        read_again_after(&config_reader);
}
END_TEST

START_TEST(a_reload_during_the_reading_of_the_nodes_reads_again)
{
        read_again_after(&nodes_reader);
}
END_TEST

/* A reload that was requested after the file was read is not refused. */
START_TEST(a_refused_file_is_told_to_the_first_reload)
{
        const Config *before = book->config;
        Call first, second;

        tree_write(w.root, POLICY, NONSENSE);
        reload_slowly(&first, &config_reader);
        tree_write(w.root, POLICY, DENY);
        reload_begin(&second);
        must_serve();
        atomic_store(&config_reader.held, true);
        let_go(&config_reader);
        call_end(&first);
        ck_assert_str_eq(first.error, CDM_ERROR_BAD_CONFIG);
        ck_assert_msg(strstr(first.message, "/" POLICY ":4: "), "%s", first.message);
        ck_assert_ptr_eq(book->config, before);
        let_go(&config_reader);
        call_end(&second);
        ck_assert_str_eq(second.error, "");
        ck_assert(is_denied());
}
END_TEST

START_TEST(nodes_that_cannot_be_read_change_nothing)
{
        const Config *before = book->config;
        Call c;

        tree_write(w.root, POLICY, DENY);
        tree_write(w.root, "sys/devices/system/node/online", "");
        reload_slowly(&c, &nodes_reader);
        must_serve();
        let_go(&nodes_reader);
        call_end(&c);
        ck_assert_str_eq(c.error, CDM_ERROR_BAD_CONFIG);
        ck_assert_msg(strstr(c.message, "the machine's nodes cannot be read: "), "%s", c.message);
        ck_assert_ptr_eq(book->config, before);
}
END_TEST

/* What was read of the nodes before an event is older than what node-watch.c has read after it. */
START_TEST(nodes_that_change_while_they_are_read_are_read_again)
{
        Call c;

        reload_slowly(&c, &nodes_reader);
        whole_put_node4(&w);
        reloads_nodes_changed(w.assembly->reloads);
        let_go(&nodes_reader);
        call_end(&c);
        ck_assert_str_eq(c.error, "");
        ck_assert(nodeset_contains(&book->pools->ordinary, 4));
        ck_assert_uint_eq(atomic_load(&config_reader.n), 1);
        ck_assert_uint_eq(atomic_load(&nodes_reader.n), 2);
}
END_TEST

/* The reload has read them, and waits for the fence. */
START_TEST(nodes_that_change_after_they_were_read_are_read_again)
{
        Call c;

        reload_slowly(&c, &nodes_reader);
        book->fence_busy = true;
        let_go(&nodes_reader);
        for (unsigned i = 0; i < 50; i++)
                turn();
        ck_assert(!c.done);
        whole_put_node4(&w);
        reloads_nodes_changed(w.assembly->reloads);
        book->fence_busy = false;
        reloads_serve(w.assembly->reloads);
        call_end(&c);
        ck_assert_str_eq(c.error, "");
        ck_assert(nodeset_contains(&book->pools->ordinary, 4));
        ck_assert_uint_eq(atomic_load(&nodes_reader.n), 2);
}
END_TEST

/* What assembly_free() does, while a worker reads; stop() does the rest. */
static void end_during(Reader *r)
{
        Call first, second;

        reload_slowly(&first, r);
        reload_begin(&second);
        must_serve();
        surface = bus_free(surface);
        w.assembly->reloads = reloads_free(w.assembly->reloads);
        let_go(r);
}

START_TEST(the_end_while_the_files_are_read)
{
        end_during(&config_reader);
}
END_TEST

START_TEST(the_end_while_the_nodes_are_read)
{
        end_during(&nodes_reader);
}
END_TEST

/* The worker has not begun yet, or has just ended. */
START_TEST(the_end_right_after_a_reload_was_asked_for)
{
        reloads_add(w.assembly->reloads, NULL, NULL);
        reloads_add(w.assembly->reloads, NULL, NULL);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("reload");
        TCase *t = tcase_create("reload");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, a_slow_configuration_holds_up_nobody);
        tcase_add_test(t, slow_nodes_hold_up_nobody);
        tcase_add_test(t, a_reload_during_the_reading_of_the_files_reads_again);
        tcase_add_test(t, a_reload_during_the_reading_of_the_nodes_reads_again);
        tcase_add_test(t, a_refused_file_is_told_to_the_first_reload);
        tcase_add_test(t, nodes_that_cannot_be_read_change_nothing);
        tcase_add_test(t, nodes_that_change_while_they_are_read_are_read_again);
        tcase_add_test(t, nodes_that_change_after_they_were_read_are_read_again);
        tcase_add_test(t, the_end_while_the_files_are_read);
        tcase_add_test(t, the_end_while_the_nodes_are_read);
        tcase_add_test(t, the_end_right_after_a_reload_was_asked_for);
        suite_add_tcase(s, t);
        return check_main(s);
}
