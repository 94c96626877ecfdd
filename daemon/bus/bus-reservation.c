/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.cdmd1.Reservation at /org/cdmd1/reservation/ID, for every reservation that is granted or queued. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus/bus-desk.h"
#include "daemon/bus/bus-internal.h"
#include "daemon/loop/answer.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/leases.h"
#include "daemon/tenant/migrate.h"
#include "daemon/tenant/release.h"
#include "daemon/tenant/resizes.h"
#include "policy/cdm-names.h"
#include "policy/config.h"
#include "policy/decide.h"
#include "policy/lease.h"
#include "policy/rule.h"
#include "policy/snapshot.h"
#include "policy/timespan.h"

static Entry *find_known(Book *book, uint32_t id)
{
        Entry *e = book_find(book, id);

        return e && e->known ? e : NULL;
}

static int object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                       sd_bus_error *error)
{
        Entry *e = find_known(((Bus *)userdata)->book, bus_reservation_id(path));

        if (!e)
                return 0;
        *ret = e;
        return 1;
}

/* The reply to GetManagedObjects is one message, so the number of reservations in it is limited. sd-bus also
 * asks for the objects below a single reservation, where there are none. */
static int bus_reservation_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                                     sd_bus_error *error)
{
        Book *book = ((Bus *)userdata)->book;
        _cleanup_(bus_paths_free) char **paths = NULL;
        char path[BUS_PATH_MAX];
        size_t n = 0;
        Entry *e, *next;

        if (strlen(prefix) > strlen(CDM_PATH_RESERVATION))
                return 0;
        if (ledger_count(book->ledger) > CDM_PAGE_MAX)
                return sd_bus_error_setf(
                        error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                        "there are more than %d reservations; read them with " CDM_INTERFACE_MANAGER
                        ".ListReservations",
                        CDM_PAGE_MAX);
        paths = calloc(ledger_count(book->ledger) + 1, sizeof(char *));
        if (!paths)
                return -ENOMEM;
        HASH_ITER (hh, book->entries, e, next) {
                if (!e->known)
                        continue;
                paths[n] = strdup(bus_reservation_path(e->id, path));
                if (!paths[n])
                        return -ENOMEM;
                n++;
        }
        *ret_nodes = TAKE_PTR(paths);
        return 0;
}

/* A reservation can end while the call waits at the desk or for polkit. */
#define RESERVATION_ENDED "the reservation ended meanwhile"

static Entry *find_or_refuse(Bus *b, uint32_t id, BusCall *call)
{
        Entry *e = find_known(b->book, id);

        if (!e)
                bus_call_refuse(call, CDM_ERROR_NO_SUCH_RESERVATION, RESERVATION_ENDED);
        return e;
}

static void answer_errno(BusCall *call, int r)
{
        if (r < 0)
                bus_call_refuse_errno(call, r);
        else
                bus_call_return(call, "");
}

static void do_release(Bus *b, uint32_t id, BusCall *call)
{
        Entry *e = find_or_refuse(b, id, call);

        if (!e)
                return;
        /* The owner's release replaces a revocation in progress. */
        if (e->r->state == RESERVATION_REVOKING)
                e->r->revoke_usec = e->r->revoked_for = 0;
        answer_errno(call, release_start(b->context.releases, e));
}

static void bus_reservation_on_migrated(const Answer *answer, uint64_t moved_bytes, uint64_t failed_bytes,
                                        void *userdata)
{
        if (answer->error)
                bus_call_answer(userdata, answer);
        else
                bus_call_return(userdata, "tt", moved_bytes, failed_bytes);
}

static void do_migrate(Bus *b, uint32_t id, BusCall *call)
{
        Entry *e = find_or_refuse(b, id, call);

        if (!e)
                return;
        if (e->phase != STORE_GRANTED) {
                bus_call_refuse(call, CDM_ERROR_STALE,
                                "the reservation still waits; its nodes are not open yet");
                return;
        }
        int r = migrations_start(b->context.migrations, e, bus_reservation_on_migrated, call);
        if (r < 0)
                bus_call_refuse_errno(call, r);
}

static const Rule *rule_of(Book *book, const Reservation *r)
{
        for (size_t i = 0; r->rule_file && i < book->config->n_rules; i++)
                if (strcmp(book->config->rules[i]->file, r->rule_file) == 0)
                        return book->config->rules[i];
        return NULL;
}

/* The longest lease that the rule allows now. If the rule was refused at start, its value is not known, and
 * the lease must not become longer than it is. */
static uint64_t longest_lease(Book *book, const Reservation *r)
{
        const Rule *rule = rule_of(book, r);

        if (rule && rule->refused)
                return r->lease_usec;
        return rule && rule->lease_usec ? rule->lease_usec : book->config->default_lease_usec;
}

static void bus_reservation_renew(Bus *b, Entry *e, uint64_t usec, BusCall *call)
{
        uint64_t longest = longest_lease(b->book, e->r);

        if (usec == 0)
                usec = e->r->lease_usec;
        if (usec > longest) {
                const Rule *rule = rule_of(b->book, e->r);
                char text[TIMESPAN_STR_MAX];
                _cleanup_free_ char *sentence = NULL;
                if (asprintf(&sentence, "the longest lease is %s (%s:%u); ask for no more than that",
                             timespan_format(longest, text), rule ? rule->file : "cdmd.conf",
                             rule ? rule_line(rule, RULE_KEY_LEASE) : 0) < 0)
                        sentence = NULL;
                bus_call_refuse(call, CDM_ERROR_DENIED, sentence);
                return;
        }
        answer_errno(call, lease_renew(b->context.leases, e, usec));
}

/* The reason why the reservation cannot be renewed; NULL: it can be. */
static const char *bus_reservation_unrenewable(const Reservation *r)
{
        switch (r->state) {
        case RESERVATION_DRAINING:
                return "the reservation was released already; ask for a new one";
        case RESERVATION_REVOKING:
                return r->revoked_for ? "the reservation is displaced by one of higher priority; ask for a "
                                        "new one, with --queue"
                                      : NULL;
        default:
                return NULL;
        }
}

static void do_renew(Bus *b, uint32_t id, BusCall *call)
{
        Entry *e = find_or_refuse(b, id, call);
        sd_bus_message *message;
        uint64_t usec;

        if (!e)
                return;
        message = bus_call_message(call);
        if (sd_bus_message_rewind(message, 1) < 0 || sd_bus_message_read(message, "t", &usec) < 0)
                bus_call_refuse(call, CDM_ERROR_INVALID, "a lease is a time in microseconds");
        else if (e->phase != STORE_GRANTED)
                bus_call_refuse(call, CDM_ERROR_STALE,
                                "the reservation still waits; its lease starts when it is granted");
        else if (bus_reservation_unrenewable(e->r))
                bus_call_refuse(call, CDM_ERROR_STALE, bus_reservation_unrenewable(e->r));
        else
                bus_reservation_renew(b, e, usec, call);
}

static void bus_reservation_on_resized(const Answer *answer, void *userdata)
{
        if (answer->error)
                bus_call_answer(userdata, answer);
        else
                bus_call_return(userdata, "");
}

static void do_resize(Bus *b, uint32_t id, BusCall *call)
{
        Entry *e = find_or_refuse(b, id, call);
        sd_bus_message *message;
        uint64_t size_bytes;

        if (!e)
                return;
        message = bus_call_message(call);
        if (sd_bus_message_rewind(message, 1) < 0 || sd_bus_message_read(message, "t", &size_bytes) < 0) {
                bus_call_refuse(call, CDM_ERROR_INVALID, "the new size is a number of bytes");
                return;
        }
        int r = resizes_start(b->context.resizes, e, size_bytes, sd_bus_message_get_sender(message),
                              sd_bus_message_get_allow_interactive_authorization(message) > 0,
                              bus_reservation_on_resized, call);
        if (r < 0)
                bus_call_refuse_errno(call, r);
}

static int bus_reservation_guard(Bus *b, sd_bus_message *message, bus_guarded_t fn, sd_bus_error *error)
{
        Entry *e = find_known(b->book, bus_reservation_id(sd_bus_message_get_path(message)));

        if (!e)
                return sd_bus_error_set(error, CDM_ERROR_NO_SUCH_RESERVATION, RESERVATION_ENDED);
        return bus_guard(b, message, AUTHORIZE_RELEASE_OTHERS, e->r->target->uid, e->id, fn);
}

/* The object's userdata is the Entry, which may have been freed before it is the call's turn, so the Bus is
 * taken from the vtable's slot. */
#define AT_DESK(name)                                                                                       \
        static int begin_##name(Bus *b, sd_bus_message *call, sd_bus_error *error)                          \
        {                                                                                                   \
                return bus_reservation_guard(b, call, do_##name, error);                                    \
        }                                                                                                   \
        static int method_##name(sd_bus_message *call, void *userdata, sd_bus_error *error)                 \
        {                                                                                                   \
                sd_bus_slot *slot = sd_bus_get_current_slot(sd_bus_message_get_bus(call));                  \
                return bus_desk_add(((Bus *)sd_bus_slot_get_userdata(slot))->desk, call, begin_##name);     \
        }

/* Reads the options of OpenBufferWithOptions. On a negative errno, *ret_key is the option that is wrong. */
static int read_buffer_options(sd_bus_message *message, bool *ret_huge, uint64_t *ret_huge_bytes,
                               const char **ret_key)
{
        int r = sd_bus_message_enter_container(message, 'a', "{sv}");

        *ret_key = "";
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                r = sd_bus_message_read(message, "s", ret_key);
                if (r >= 0)
                        r = strcmp(*ret_key, CDM_OPTION_HUGETLB) == 0 && !*ret_huge
                                    ? sd_bus_message_read(message, "v", "t", ret_huge_bytes)
                                    : -EINVAL;
                if (r < 0)
                        break;
                *ret_huge = true;
                r = sd_bus_message_exit_container(message);
        }
        return r < 0 ? r : 0;
}

static void refuse_buffer_option(BusCall *call, const char *key)
{
        _cleanup_free_ char *text = NULL;

        if (asprintf(
                    &text,
                    "the option '%s' is not one of OpenBufferWithOptions, is given twice, or has a value of "
                    "another type; see org.cdmd1(5)",
                    key) < 0)
                text = NULL;
        bus_call_refuse(call, CDM_ERROR_INVALID, text);
}

static void bus_reservation_on_buffer(const Answer *answer, int fd, void *userdata)
{
        if (answer->error)
                bus_call_answer(userdata, answer);
        else
                bus_call_return(userdata, "h", fd);
}

static void bus_reservation_on_buffer_unwanted(BusCall *call, void *userdata)
{
        buffers_abandon(userdata, call);
        bus_call_free(call);
}

static void do_open_buffer(Bus *b, uint32_t id, BusCall *call)
{
        Entry *e = find_or_refuse(b, id, call);
        sd_bus_message *message;
        uint64_t size_bytes, huge_bytes = 0;
        const char *key;
        bool huge = false;

        if (!e)
                return;
        message = bus_call_message(call);
        if (sd_bus_message_rewind(message, 1) < 0 || sd_bus_message_read(message, "t", &size_bytes) < 0) {
                bus_call_refuse(call, CDM_ERROR_INVALID, "OpenBuffer takes a size in bytes");
                return;
        }
        if (strcmp(sd_bus_message_get_signature(message, 1), "t") != 0 &&
            read_buffer_options(message, &huge, &huge_bytes, &key) < 0) {
                refuse_buffer_option(call, key);
                return;
        }
        bus_call_on_gone(call, bus_reservation_on_buffer_unwanted, b->context.buffers);
        int r = buffers_open(b->context.buffers, e, size_bytes, huge, huge_bytes, bus_reservation_on_buffer,
                             call);
        if (r < 0)
                bus_call_refuse_errno(call, r);
}

AT_DESK(release)
AT_DESK(renew)
AT_DESK(resize)
AT_DESK(migrate)
AT_DESK(open_buffer)

#define GETTER(name)                                                                                        \
        static int get_##name(sd_bus *bus, const char *path, const char *interface, const char *property,   \
                              sd_bus_message *reply, void *userdata, sd_bus_error *error)

static const Reservation *reservation_of(void *userdata)
{
        return ((Entry *)userdata)->r;
}

static const char *or_empty(const char *s)
{
        return s ? s : "";
}

GETTER(id)
{
        return sd_bus_message_append(reply, "u", reservation_of(userdata)->id);
}

GETTER(pool)
{
        return sd_bus_message_append(reply, "s", reservation_of(userdata)->pool);
}

GETTER(size)
{
        return sd_bus_message_append(reply, "t", reservation_of(userdata)->size_bytes);
}

const char *bus_reservation_state(const Entry *e)
{
        ReservationState state = e->r->state;

        /* The reservation is booked, but its nodes are not open yet. */
        if (e->phase == STORE_GRANTING && state != RESERVATION_DRAINING)
                state = RESERVATION_QUEUED;
        return reservation_state_to_string(state);
}

GETTER(state)
{
        return sd_bus_message_append(reply, "s", bus_reservation_state(userdata));
}

GETTER(strength)
{
        Entry *e = userdata;
        Book *book = e->book;
        Snapshot s = { .topology = book->topology,
                       .pools = book->pools,
                       .config = book->config,
                       .ledger = book->ledger,
                       .page_bytes = book->core->page_bytes };

        /* A reservation that is not granted yet has no strength. */
        if (e->phase != STORE_GRANTED)
                return sd_bus_message_append(reply, "s", "");
        return sd_bus_message_append(reply, "s", strength_to_string(decide_strength(&s, e->r)));
}

GETTER(unit)
{
        return sd_bus_message_append(reply, "s", or_empty(reservation_of(userdata)->target->unit));
}

GETTER(cgroup)
{
        return sd_bus_message_append(reply, "s", or_empty(reservation_of(userdata)->target->cgroup));
}

GETTER(uid)
{
        return sd_bus_message_append(reply, "u", (uint32_t)reservation_of(userdata)->target->uid);
}

GETTER(requester)
{
        return sd_bus_message_append(reply, "u", (uint32_t)reservation_of(userdata)->requester);
}

GETTER(priority)
{
        return sd_bus_message_append(reply, "i", reservation_of(userdata)->priority);
}

GETTER(nodes)
{
        const Reservation *res = reservation_of(userdata);

        int r = sd_bus_message_open_container(reply, 'a', "(ut)");
        for (size_t i = 0; r >= 0 && i < res->n_shares; i++)
                r = sd_bus_message_append(reply, "(ut)", (uint32_t)res->shares[i].node,
                                          res->shares[i].bytes);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* bus-list.c answers instead: a worker reads Used, and only some callers may see Labels. */
GETTER(listed)
{
        return -EOPNOTSUPP;
}

GETTER(policy)
{
        const Reservation *r = reservation_of(userdata);
        char policy[512] = "";

        if (r->rule_file)
                snprintf(policy, sizeof(policy), "%s:%u", r->rule_file, r->rule_line);
        return sd_bus_message_append(reply, "s", policy);
}

GETTER(expires)
{
        return sd_bus_message_append(reply, "t",
                                     lease_wall_clock(reservation_of(userdata)->expires_usec,
                                                      clock_boottime_usec(), clock_realtime_usec()));
}

const sd_bus_vtable bus_reservation_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_release,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Renew", SD_BUS_ARGS("t", usec), SD_BUS_NO_RESULT, method_renew,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Resize", SD_BUS_ARGS("t", size), SD_BUS_NO_RESULT, method_resize,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Migrate", SD_BUS_NO_ARGS, SD_BUS_RESULT("t", moved, "t", failed),
                                method_migrate, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenBuffer", SD_BUS_ARGS("t", size), SD_BUS_RESULT("h", buffer),
                                method_open_buffer, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenBufferWithOptions", SD_BUS_ARGS("t", size, "a{sv}", options),
                                SD_BUS_RESULT("h", buffer), method_open_buffer, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Id", "u", get_id, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Pool", "s", get_pool, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Size", "t", get_size, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("State", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Strength", "s", get_strength, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Unit", "s", get_unit, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ControlGroup", "s", get_cgroup, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Uid", "u", get_uid, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Requester", "u", get_requester, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Priority", "i", get_priority, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Nodes", "a(ut)", get_nodes, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Used", "t", get_listed, 0, SD_BUS_VTABLE_PROPERTY_EXPLICIT),
        SD_BUS_PROPERTY("Labels", "a{ss}", get_listed, 0, SD_BUS_VTABLE_PROPERTY_EXPLICIT),
        SD_BUS_PROPERTY("Policy", "s", get_policy, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Expires", "t", get_expires, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_SIGNAL_WITH_ARGS("Revoking", SD_BUS_ARGS("s", reason, "t", usec), 0),
        SD_BUS_VTABLE_END,
};

int bus_reservation_append(Entry *e, sd_bus_message *m)
{
        char path[BUS_PATH_MAX];
        int r = 0;

        bus_reservation_path(e->id, path);
        for (const sd_bus_vtable *v = bus_reservation_vtable; r >= 0 && v->type != _SD_BUS_VTABLE_END; v++) {
                if (v->type != _SD_BUS_VTABLE_PROPERTY || v->x.property.get == get_listed)
                        continue;
                const char *name = v->x.property.member;
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append_basic(m, 's', name);
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'v', v->x.property.signature);
                if (r >= 0)
                        r = v->x.property.get(e->book->core->bus, path, CDM_INTERFACE_RESERVATION, name, m,
                                              e, NULL);
                for (int i = 0; r >= 0 && i < 2; i++)
                        r = sd_bus_message_close_container(m);
        }
        return r;
}

int bus_reservation_install(Bus *b)
{
        int r = sd_bus_add_fallback_vtable(b->bus, NULL, CDM_PATH_RESERVATION, CDM_INTERFACE_RESERVATION,
                                           bus_reservation_vtable, object_find, b);

        return r < 0 ? r
                     : sd_bus_add_node_enumerator(b->bus, NULL, CDM_PATH_RESERVATION,
                                                  bus_reservation_enumerate, b);
}

static void tell_changed(Bus *b, uint32_t id, const char *path, unsigned changed)
{
        static const struct {
                ReservationChange change;
                const char *property;
        } properties[] = {
                { RESERVATION_CHANGED_STATE, "State" },     { RESERVATION_CHANGED_SIZE, "Size" },
                { RESERVATION_CHANGED_NODES, "Nodes" },     { RESERVATION_CHANGED_STRENGTH, "Strength" },
                { RESERVATION_CHANGED_UNIT, "Unit" },       { RESERVATION_CHANGED_CGROUP, "ControlGroup" },
                { RESERVATION_CHANGED_EXPIRES, "Expires" },
        };

        if (!find_known(b->book, id))
                return;
        for (size_t i = 0; i < ARRAY_SIZE(properties); i++)
                if (changed & properties[i].change)
                        (void)sd_bus_emit_properties_changed(b->bus, path, CDM_INTERFACE_RESERVATION,
                                                             properties[i].property, NULL);
}

/* The object of a reservation appears when the reservation is granted or queued. */
void bus_reservation_on_notice(Bus *b, const Notice *n)
{
        char path[BUS_PATH_MAX];
        int r = 0;

        bus_reservation_path(n->id, path);
        switch (n->kind) {
        case NOTICE_RESERVATION_ADDED:
                r = sd_bus_emit_interfaces_added(b->bus, path, CDM_INTERFACE_RESERVATION, NULL);
                break;
        case NOTICE_RESERVATION_REMOVED:
                (void)sd_bus_emit_interfaces_removed(b->bus, path, CDM_INTERFACE_RESERVATION, NULL);
                break;
        case NOTICE_RESERVATION_CHANGED:
                tell_changed(b, n->id, path, n->changed);
                break;
        case NOTICE_RESERVATION_REVOKING:
                (void)sd_bus_emit_signal(b->bus, path, CDM_INTERFACE_RESERVATION, "Revoking", "st",
                                         n->reason, n->usec);
                break;
        default:
                break;
        }
        if (r < 0)
                log_warning("cannot announce reservation %" PRIu32 " on the bus: %s", n->id, strerror(-r));
}
