/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.cdmd1.Reservation at /org/cdmd1/reservation/ID, for every reservation that was granted or waits. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus.h"
#include "daemon/log.h"
#include "daemon/manager-buffer.h"
#include "policy/cdm-names.h"
#include "policy/lease.h"
#include "policy/timespan.h"

static Entry *find_known(Manager *m, uint32_t id)
{
        Entry *e = manager_find(m, id);

        return e && e->known ? e : NULL;
}

/* The path's last part, as written by bus_reservation_path(). */
uint32_t bus_reservation_id(const char *path)
{
        char again[BUS_PATH_MAX];
        uint32_t id;

        if (sscanf(path, CDM_PATH_RESERVATION "/%" SCNu32, &id) != 1 ||
            strcmp(bus_reservation_path(id, again), path) != 0)
                return 0;
        return id;
}

static int object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                       sd_bus_error *error)
{
        Entry *e = find_known(userdata, bus_reservation_id(path));

        if (!e)
                return 0;
        *ret = e;
        return 1;
}

static void strv_free(char ***v)
{
        for (char **s = *v; s && *s; s++)
                free(*s);
        free(*v);
}

/* GetManagedObjects answers with one message, however long it takes. */
static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes, sd_bus_error *error)
{
        Manager *m = userdata;
        _cleanup_(strv_free) char **paths = calloc(ledger_count(m->ledger) + 1, sizeof(char *));
        char path[BUS_PATH_MAX];
        size_t n = 0;
        Entry *e, *next;

        if (ledger_count(m->ledger) > CDM_PAGE_MAX)
                return sd_bus_error_setf(
                        error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                        "There are more than %d reservations; read them with " CDM_INTERFACE_MANAGER
                        ".ListReservations.",
                        CDM_PAGE_MAX);
        if (!paths)
                return -ENOMEM;
        HASH_ITER (hh, m->entries, e, next) {
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

static void refuse(sd_bus_message *call, const char *error, const char *text)
{
        Answer a = { error, text };

        (void)bus_answer(call, &a);
}

/* While polkit thought about it the reservation may have ended. */
static Entry *find_or_refuse(Manager *m, uint32_t id, sd_bus_message *call)
{
        Entry *e = find_known(m, id);

        if (!e)
                refuse(call, CDM_ERROR_NO_SUCH_RESERVATION, "The reservation ended meanwhile.");
        return e;
}

static void do_release(Manager *m, uint32_t id, sd_bus_message *call)
{
        Entry *e = find_or_refuse(m, id, call);

        if (!e)
                return;
        /* Its owner's will, whatever else would have ended it. */
        if (e->r->state == RESERVATION_REVOKING)
                e->r->revoke_usec = e->r->revoked_for = 0;
        int r = manager_release(e);
        if (r < 0)
                (void)sd_bus_reply_method_errno(call, r, NULL);
        else
                (void)sd_bus_reply_method_return(call, NULL);
}

static void do_migrate(Manager *m, uint32_t id, sd_bus_message *call)
{
        Entry *e = find_or_refuse(m, id, call);

        if (!e)
                return;
        if (e->phase != STORE_GRANTED) {
                refuse(call, CDM_ERROR_STALE, "The reservation still waits; its nodes are not open yet.");
                return;
        }
        int r = manager_migrate(e, call);
        if (r < 0)
                (void)sd_bus_reply_method_errno(call, r, NULL);
}

static const Rule *rule_of(Manager *m, const Reservation *r)
{
        for (size_t i = 0; r->rule_file && i < m->config->n_rules; i++)
                if (strcmp(m->config->rules[i]->file, r->rule_file) == 0)
                        return m->config->rules[i];
        return NULL;
}

/* The longest lease that its rule gives now; what that was is not known of one that was refused at start, so
 * none longer than the reservation has. */
static uint64_t longest_lease(Manager *m, const Reservation *r)
{
        const Rule *rule = rule_of(m, r);

        if (rule && rule->refused)
                return r->lease_usec;
        return rule && rule->lease_usec ? rule->lease_usec : m->config->default_lease_usec;
}

static void renew(Manager *m, Entry *e, uint64_t usec, sd_bus_message *call)
{
        uint64_t longest = longest_lease(m, e->r);

        if (usec == 0)
                usec = e->r->lease_usec;
        if (usec > longest) {
                const Rule *rule = rule_of(m, e->r);
                char text[TIMESPAN_STR_MAX];
                (void)sd_bus_reply_method_errorf(
                        call, CDM_ERROR_DENIED,
                        "The longest lease is %s (%s:%u); ask for no more than that.",
                        timespan_format(longest, text), rule ? rule->file : "cdmd.conf",
                        rule ? rule_line(rule, RULE_KEY_LEASE) : 0);
                return;
        }
        int r = manager_renew(e, usec);
        if (r < 0)
                (void)sd_bus_reply_method_errno(call, r, NULL);
        else
                (void)sd_bus_reply_method_return(call, NULL);
}

/* Why it cannot be renewed, or NULL. */
static const char *unrenewable(const Reservation *r)
{
        switch (r->state) {
        case RESERVATION_DRAINING:
                return "The reservation was released already; ask for a new one.";
        case RESERVATION_REVOKING:
                return r->revoked_for ? "The reservation is displaced by one of higher priority; ask for a "
                                        "new one, with --queue."
                                      : NULL;
        default:
                return NULL;
        }
}

static void do_renew(Manager *m, uint32_t id, sd_bus_message *call)
{
        Entry *e = find_or_refuse(m, id, call);
        uint64_t usec;

        if (!e)
                return;
        if (sd_bus_message_rewind(call, 1) < 0 || sd_bus_message_read(call, "t", &usec) < 0)
                refuse(call, CDM_ERROR_INVALID, "Renew takes a time in microseconds.");
        else if (e->phase != STORE_GRANTED)
                refuse(call, CDM_ERROR_STALE,
                       "The reservation still waits; its lease starts when it is granted.");
        else if (unrenewable(e->r))
                refuse(call, CDM_ERROR_STALE, unrenewable(e->r));
        else
                renew(m, e, usec, call);
}

static int guard(Entry *e, sd_bus_message *call, bus_guarded_t fn)
{
        return bus_guard(e->manager, call, AUTHORIZE_RELEASE_OTHERS, e->r->target->uid, e->id, fn);
}

static int method_release(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return guard(userdata, call, do_release);
}

static int method_renew(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return guard(userdata, call, do_renew);
}

static int method_migrate(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return guard(userdata, call, do_migrate);
}

/* The options of OpenBufferWithOptions. 0, or a negative errno after the call was refused. */
static int read_buffer_options(sd_bus_message *call, bool *ret_huge, uint64_t *ret_huge_bytes)
{
        const char *key = "";
        int r = sd_bus_message_enter_container(call, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(call, 'e', "sv")) > 0) {
                r = sd_bus_message_read(call, "s", &key);
                if (r >= 0)
                        r = strcmp(key, CDM_OPTION_HUGETLB) == 0 && !*ret_huge
                                    ? sd_bus_message_read(call, "v", "t", ret_huge_bytes)
                                    : -EINVAL;
                if (r < 0)
                        break;
                *ret_huge = true;
                r = sd_bus_message_exit_container(call);
        }
        if (r >= 0)
                return 0;
        (void)sd_bus_reply_method_errorf(
                call, CDM_ERROR_INVALID,
                "The option '%s' is not one of OpenBufferWithOptions, is given twice, "
                "or has a value of another type; see org.cdmd1(5).",
                key);
        return r;
}

static void do_open_buffer(Manager *m, uint32_t id, sd_bus_message *call)
{
        Entry *e = find_or_refuse(m, id, call);
        uint64_t size_bytes, huge_bytes = 0;
        bool huge = false;

        if (!e)
                return;
        if (sd_bus_message_rewind(call, 1) < 0 || sd_bus_message_read(call, "t", &size_bytes) < 0) {
                refuse(call, CDM_ERROR_INVALID, "OpenBuffer takes a size in bytes.");
                return;
        }
        if (strcmp(sd_bus_message_get_signature(call, 1), "t") != 0 &&
            read_buffer_options(call, &huge, &huge_bytes) < 0)
                return;
        int r = buffers_open(e, call, size_bytes, huge, huge_bytes);
        if (r < 0)
                (void)sd_bus_reply_method_errno(call, r, NULL);
}

static int method_open_buffer(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return guard(userdata, call, do_open_buffer);
}

#define GETTER(name)                                                                                        \
        static int get_##name(sd_bus *bus, const char *path, const char *interface, const char *property,   \
                              sd_bus_message *reply, void *userdata, sd_bus_error *error)

static const Reservation *reservation(void *userdata)
{
        return ((Entry *)userdata)->r;
}

static const char *or_empty(const char *s)
{
        return s ? s : "";
}

GETTER(id)
{
        return sd_bus_message_append(reply, "u", reservation(userdata)->id);
}

GETTER(pool)
{
        return sd_bus_message_append(reply, "s", reservation(userdata)->pool);
}

GETTER(size)
{
        return sd_bus_message_append(reply, "t", reservation(userdata)->size_bytes);
}

const char *bus_reservation_state(const Entry *e)
{
        ReservationState state = e->r->state;

        /* It is booked already, but not open yet. */
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
        Manager *m = e->manager;
        Snapshot s = { .topology = m->topology,
                       .pools = m->pools,
                       .config = m->config,
                       .ledger = m->ledger,
                       .page_bytes = m->page_bytes };

        /* Nothing stands behind what is not promised yet. */
        if (e->phase != STORE_GRANTED)
                return sd_bus_message_append(reply, "s", "");
        return sd_bus_message_append(reply, "s", strength_to_string(decide_strength(&s, e->r)));
}

GETTER(unit)
{
        return sd_bus_message_append(reply, "s", or_empty(reservation(userdata)->target->unit));
}

GETTER(cgroup)
{
        return sd_bus_message_append(reply, "s", or_empty(reservation(userdata)->target->cgroup));
}

GETTER(uid)
{
        return sd_bus_message_append(reply, "u", (uint32_t)reservation(userdata)->target->uid);
}

GETTER(priority)
{
        return sd_bus_message_append(reply, "i", reservation(userdata)->priority);
}

GETTER(nodes)
{
        const Reservation *res = reservation(userdata);

        int r = sd_bus_message_open_container(reply, 'a', "(ut)");
        for (size_t i = 0; r >= 0 && i < res->n_shares; i++)
                r = sd_bus_message_append(reply, "(ut)", (uint32_t)res->shares[i].node,
                                          res->shares[i].bytes);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* on_get_used() answers instead: Used is read by a worker. */
GETTER(used)
{
        return -EOPNOTSUPP;
}

GETTER(policy)
{
        const Reservation *r = reservation(userdata);
        char policy[512] = "";

        if (r->rule_file)
                snprintf(policy, sizeof(policy), "%s:%u", r->rule_file, r->rule_line);
        return sd_bus_message_append(reply, "s", policy);
}

GETTER(expires)
{
        return sd_bus_message_append(reply, "t",
                                     lease_wall_clock(reservation(userdata)->expires_usec,
                                                      manager_boottime_usec(), manager_realtime_usec()));
}

const sd_bus_vtable bus_reservation_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_release,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Renew", SD_BUS_ARGS("t", usec), SD_BUS_NO_RESULT, method_renew,
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
        SD_BUS_PROPERTY("Priority", "i", get_priority, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Nodes", "a(ut)", get_nodes, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Used", "t", get_used, 0, SD_BUS_VTABLE_PROPERTY_EXPLICIT),
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
                if (v->type != _SD_BUS_VTABLE_PROPERTY || v->x.property.get == get_used)
                        continue;
                const char *name = v->x.property.member;
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append_basic(m, 's', name);
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'v', v->x.property.signature);
                if (r >= 0)
                        r = v->x.property.get(e->manager->bus, path, CDM_INTERFACE_RESERVATION, name, m, e,
                                              NULL);
                for (int i = 0; r >= 0 && i < 2; i++)
                        r = sd_bus_message_close_container(m);
        }
        return r;
}

/* Called before the vtable is looked at, for all calls to the path and below. With a callback there sd-bus
 * takes every path below for an object, so those that are none are refused here. */
static int on_get_used(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *path = sd_bus_message_get_path(call), *interface, *property;
        Manager *m = userdata;

        if (strcmp(path, CDM_PATH_RESERVATION) == 0)
                return 0;
        if (!find_known(m, bus_reservation_id(path)))
                return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "Unknown object '%s'.", path);
        if (!sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Properties", "Get"))
                return 0;
        int r = sd_bus_message_read(call, "ss", &interface, &property);
        if (r < 0 || strcmp(interface, CDM_INTERFACE_RESERVATION) != 0 || strcmp(property, "Used") != 0)
                return 0;
        return bus_list_get_used(m, call);
}

int bus_reservation_install(sd_bus *bus, Manager *m)
{
        int r = sd_bus_add_fallback_vtable(bus, NULL, CDM_PATH_RESERVATION, CDM_INTERFACE_RESERVATION,
                                           bus_reservation_vtable, object_find, m);

        if (r >= 0)
                r = sd_bus_add_fallback(bus, NULL, CDM_PATH_RESERVATION, on_get_used, m);
        return r < 0 ? r : sd_bus_add_node_enumerator(bus, NULL, CDM_PATH_RESERVATION, enumerate, m);
}

void bus_reservation_added(Manager *m, uint32_t id)
{
        char path[BUS_PATH_MAX];

        int r = sd_bus_emit_interfaces_added(m->bus, bus_reservation_path(id, path),
                                             CDM_INTERFACE_RESERVATION, NULL);
        if (r < 0)
                log_warning("Cannot tell the bus of reservation %" PRIu32 ": %s.", id, strerror(-r));
}

void bus_reservation_removed(Manager *m, uint32_t id)
{
        char path[BUS_PATH_MAX];

        (void)sd_bus_emit_interfaces_removed(m->bus, bus_reservation_path(id, path),
                                             CDM_INTERFACE_RESERVATION, NULL);
}

void bus_reservation_changed(Manager *m, uint32_t id, const char *property)
{
        char path[BUS_PATH_MAX];

        if (find_known(m, id))
                (void)sd_bus_emit_properties_changed(m->bus, bus_reservation_path(id, path),
                                                     CDM_INTERFACE_RESERVATION, property, NULL);
}

void bus_reservation_revoking(Manager *m, uint32_t id, const char *reason, uint64_t usec)
{
        char path[BUS_PATH_MAX];

        (void)sd_bus_emit_signal(m->bus, bus_reservation_path(id, path), CDM_INTERFACE_RESERVATION,
                                 "Revoking", "st", reason, usec);
}
