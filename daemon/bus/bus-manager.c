/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.cdmd1.Manager at /org/cdmd1. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build-config.h"
#include "daemon/bus/bus-desk.h"
#include "daemon/bus/bus-internal.h"
#include "daemon/bus/bus-options.h"
#include "daemon/keeper/drift.h"
#include "daemon/keeper/fights.h"
#include "daemon/keeper/node-drain.h"
#include "daemon/keeper/reload.h"
#include "daemon/loop/answer.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/machine-facts.h"
#include "daemon/tenant/record.h"
#include "daemon/tenant/request-args.h"
#include "daemon/tenant/request.h"
#include "daemon/tenant/statics.h"
#include "daemon/tenant/warnings.h"
#include "policy/cdm-names.h"
#include "policy/warning.h"

static void bus_on_request(const Answer *answer, const RequestResult *result, void *userdata)
{
        char path[BUS_PATH_MAX];
        BusCall *call = userdata;

        if (answer->error)
                bus_call_answer(call, answer);
        else
                bus_call_return(call, "o", bus_reservation_path(result->id, path));
}

/* Reads the message into a RequestArgs, which the rest of the daemon uses instead of the message. */
static int bus_request(Bus *b, sd_bus_message *message, bool explain, request_done_t done,
                       sd_bus_error *error)
{
        RequestArgs args;
        BusCall *call;

        int r = bus_options_read(message, explain, &args, error);
        if (r < 0)
                return r;
        args.interactive = sd_bus_message_get_allow_interactive_authorization(message) > 0;
        args.client = strdup(sd_bus_message_get_sender(message));
        r = args.client ? bus_call_new(b->calls, message, &call) : -ENOMEM;
        if (r < 0) {
                request_args_clear(&args);
                return r;
        }
        r = requests_add(b->context.requests, &args, explain, done, call);
        if (r < 0)
                bus_call_free(call);
        return r < 0 ? r : 1;
}

static int begin_request(Bus *b, sd_bus_message *call, sd_bus_error *error)
{
        return bus_request(b, call, false, bus_on_request, error);
}

static int append_decision(sd_bus_message *m, const Decision *d)
{
        char policy[512] = "";

        if (d->rule)
                snprintf(policy, sizeof(policy), "%s:%u", d->rule->file, d->line);
        int r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "verdict", "s", verdict_to_string(d->verdict),
                                      "reason", "s", d->reason ? d->reason : "", "policy", "s", policy,
                                      "size", "t", d->size_bytes);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "nodes");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a(ut)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ut)");
        for (size_t i = 0; r >= 0 && i < d->n_shares; i++)
                r = sd_bus_message_append(m, "(ut)", (uint32_t)d->shares[i].node, d->shares[i].bytes);
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static void bus_on_explain(const Answer *answer, const RequestResult *result, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        BusCall *call = userdata;

        if (answer->error) {
                bus_call_answer(call, answer);
                return;
        }
        int r = sd_bus_message_new_method_return(bus_call_message(call), &m);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_decision(m, result->decision);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        bus_call_send(call, m, r);
}

static int begin_explain(Bus *b, sd_bus_message *call, sd_bus_error *error)
{
        return bus_request(b, call, true, bus_on_explain, error);
}

static int method_get_reservation(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const Bus *b = userdata;
        char path[BUS_PATH_MAX];
        uint32_t id;

        int r = sd_bus_message_read(call, "u", &id);
        if (r < 0)
                return r;
        Entry *e = book_find(b->book, id);
        if (!e || !e->known)
                return sd_bus_error_setf(
                        error, CDM_ERROR_NO_SUCH_RESERVATION,
                        "there is no reservation %" PRIu32 "; `cdmctl list` shows those that exist", id);
        return sd_bus_reply_method_return(call, "o", bus_reservation_path(id, path));
}

static void bus_manager_on_reloaded(const Answer *answer, void *userdata)
{
        bus_call_answer(userdata, answer);
}

static void do_reload(Bus *b, uint32_t id, BusCall *call)
{
        reloads_add(b->context.reloads, bus_manager_on_reloaded, call);
}

static int begin_reload(Bus *b, sd_bus_message *call, sd_bus_error *error)
{
        return bus_guard(b, call, AUTHORIZE_MANAGE, UID_NONE, 0, do_reload);
}

static void bus_manager_on_reserved(const Answer *answer, const uint32_t *ids, size_t n_ids, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        char path[BUS_PATH_MAX];
        BusCall *call = userdata;

        if (answer->error) {
                bus_call_answer(call, answer);
                return;
        }
        int r = sd_bus_message_new_method_return(bus_call_message(call), &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "o");
        for (size_t i = 0; r >= 0 && i < n_ids; i++)
                r = sd_bus_message_append(reply, "o", bus_reservation_path(ids[i], path));
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        bus_call_send(call, reply, r);
}

static void do_reserve_static(Bus *b, uint32_t id, BusCall *call)
{
        sd_bus_message *message = bus_call_message(call);
        const char *unit;
        int r = sd_bus_message_read(message, "s", &unit);

        if (r < 0)
                bus_call_refuse_errno(call, r);
        else
                statics_reserve(b->context.statics, sd_bus_message_get_sender(message), unit,
                                bus_manager_on_reserved, call);
}

static int begin_reserve_static(Bus *b, sd_bus_message *call, sd_bus_error *error)
{
        return bus_guard(b, call, AUTHORIZE_MANAGE, UID_NONE, 0, do_reserve_static);
}

static void bus_manager_on_drained(const Answer *answer, const DrainReport *report, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        BusCall *call = userdata;

        if (answer->error) {
                bus_call_answer(call, answer);
                return;
        }
        int r = sd_bus_message_new_method_return(bus_call_message(call), &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "ttt", report->moved_bytes, report->evicted_bytes,
                                          report->left_bytes);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sst)");
        if (r >= 0)
                r = bus_append_holder_kinds(reply, report->holders, report->n_holders);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        bus_call_send(call, reply, r);
}

static void bus_manager_on_undrained(const Answer *answer, const DrainReport *report, void *userdata)
{
        bus_call_answer(userdata, answer);
}

static void do_drain_node(Bus *b, uint32_t node, BusCall *call)
{
        node_drains_start(b->context.node_drains, node, bus_manager_on_drained, call);
}

static void do_undrain_node(Bus *b, uint32_t node, BusCall *call)
{
        node_drains_undo(b->context.node_drains, node, bus_manager_on_undrained, call);
}

static int guard_node(sd_bus_message *call, Bus *b, bus_guarded_t fn)
{
        uint32_t node;

        int r = sd_bus_message_read(call, "u", &node);
        return r < 0 ? r : bus_guard(b, call, AUTHORIZE_MANAGE, UID_NONE, node, fn);
}

static int begin_drain_node(Bus *b, sd_bus_message *call, sd_bus_error *error)
{
        return guard_node(call, b, do_drain_node);
}

static int begin_undrain_node(Bus *b, sd_bus_message *call, sd_bus_error *error)
{
        return guard_node(call, b, do_undrain_node);
}

#define AT_DESK(name, begin)                                                                                \
        static int method_##name(sd_bus_message *call, void *userdata, sd_bus_error *error)                 \
        {                                                                                                   \
                return bus_desk_add(((Bus *)userdata)->desk, call, begin);                                  \
        }

AT_DESK(request, begin_request)
AT_DESK(explain, begin_explain)
AT_DESK(admit, bus_admit)
AT_DESK(list_pools, bus_list_pools)
AT_DESK(list_nodes, bus_list_nodes)
AT_DESK(reload, begin_reload)
AT_DESK(reserve_static, begin_reserve_static)
AT_DESK(drain_node, begin_drain_node)
AT_DESK(undrain_node, begin_undrain_node)

static int method_list_holders(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return bus_list_holders(userdata, call);
}

static int method_list_reservations(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        return bus_list_reservations(userdata, call, error);
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s", PACKAGE_VERSION);
}

static int get_mode(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Bus *b = userdata;

        return sd_bus_message_append(reply, "s", fence_mode_to_string(b->book->config->mode));
}

static int get_fence_state(sd_bus *bus, const char *path, const char *interface, const char *property,
                           sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Bus *b = userdata;

        return sd_bus_message_append(reply, "s", machine_fence_state(b->context.facts, NULL));
}

static size_t row_strings_bytes(const char *a, const char *b, const char *c)
{
        return strlen(a) + strlen(b) + strlen(c);
}

static int get_unfenced(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Bus *b = userdata;
        BusRows rows = { 0 };
        size_t n = 0;
        const Unfenced *u = fence_unfenced(b->context.fence, &n);

        int r = sd_bus_message_open_container(reply, 'a', "(sss)");
        for (size_t i = 0; r >= 0 && i < n; i++) {
                const char *cgroup = u[i].cgroup ? u[i].cgroup : "", *unit = u[i].unit ? u[i].unit : "",
                           *reason = u[i].reason ? u[i].reason : "";

                if (bus_rows_take(&rows, row_strings_bytes(cgroup, unit, reason)))
                        r = sd_bus_message_append(reply, "(sss)", cgroup, unit, reason);
        }
        if (r >= 0 && rows.n_left > 0) {
                char text[48];

                snprintf(text, sizeof(text), "and %zu more", rows.n_left);
                r = sd_bus_message_append(reply, "(sss)", "", "", text);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* Appends a warning as its text ("s"), or as its name, severity and text ("(sss)"). */
static int append_warning(sd_bus_message *reply, const char *type, const char *name, const char *text)
{
        if (strcmp(type, "s") == 0)
                return sd_bus_message_append(reply, "s", text);
        return sd_bus_message_append(reply, "(sss)", name, warning_is_fault(name) ? "fault" : "advice",
                                     text);
}

static int append_drained(sd_bus_message *reply, const char *type, const NodeSet *drained)
{
        int r = 0;

        NODESET_FOREACH (node, drained) {
                char text[128];

                snprintf(text, sizeof(text),
                         "node %d is drained: nothing is granted there; `cdmctl undrain %d` takes it into "
                         "use again",
                         node, node);
                if (r >= 0)
                        r = append_warning(reply, type, WARNING_NODE_DRAINED, text);
        }
        return r;
}

/* Upper bound of the warnings in a reply: a configuration can have any number of mistakes. */
#define WARNINGS_MAX 64

/* Appends faults first, so that advice never displaces a fault. */
static int append_told(sd_bus_message *reply, const char *type, const Bus *b)
{
        const char *left_name = NULL;
        size_t n = 0, n_left = 0;
        char text[128];
        int r = 0;

        size_t n_warnings;
        const WarningText *warnings = warnings_get(b->context.warnings, &n_warnings);

        for (int advice = 0; advice < 2; advice++)
                for (size_t i = 0; r >= 0 && i < n_warnings; i++) {
                        const WarningText *w = &warnings[i];
                        if (warning_is_fault(w->name) == (advice == 1))
                                continue;
                        if (n++ < WARNINGS_MAX)
                                r = append_warning(reply, type, w->name, w->text);
                        else if (n_left++ == 0)
                                left_name = w->name;
                }
        if (r < 0 || n_left == 0)
                return r;
        snprintf(text, sizeof(text),
                 "%zu more warnings are left out here; `journalctl -u " CDM_UNIT "` has them all", n_left);
        return append_warning(reply, type, left_name, text);
}

static int append_warnings(sd_bus_message *reply, const char *type, const Bus *b)
{
        _cleanup_free_ char *buffers = buffers_warning(b->context.buffers);

        int r = sd_bus_message_open_container(reply, 'a', type);
        if (r >= 0)
                r = append_told(reply, type, b);
        for (Fact f = 0; r >= 0 && f < _FACT_MAX; f++)
                if (machine_facts_get(b->context.facts, f))
                        r = append_warning(reply, type, fact_to_string(f),
                                           machine_facts_get(b->context.facts, f));
        if (r >= 0 && buffers)
                r = append_warning(reply, type, WARNING_BUFFERS, buffers);
        const char *left = record_warning(b->context.record);
        if (r >= 0 && left)
                r = append_warning(reply, type, WARNING_NODES_LEFT, left);
        if (r >= 0)
                r = append_drained(reply, type, &b->book->drained);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_warnings(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return append_warnings(reply, "s", userdata);
}

static int get_named_warnings(sd_bus *bus, const char *path, const char *interface, const char *property,
                              sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return append_warnings(reply, "(sss)", userdata);
}

static int get_ordinary(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Bus *b = userdata;

        return bus_append_nodes(reply, &b->book->pools->ordinary);
}

static int get_intruder_bytes(sd_bus *bus, const char *path, const char *interface, const char *property,
                              sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Bus *b = userdata;

        return sd_bus_message_append(reply, "t", fence_intruder_bytes_drained(b->context.fence));
}

static int get_drift_repaired(sd_bus *bus, const char *path, const char *interface, const char *property,
                              sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Bus *b = userdata;

        return sd_bus_message_append(reply, "t", fights_n_repairs(drift_fights(b->context.drift)));
}

typedef struct FightList {
        sd_bus_message *reply;
        BusRows rows;
} FightList;

static void append_fight(const char *key, uint32_t n_repairs, const char *reason, void *userdata)
{
        FightList *l = userdata;

        if (!reason)
                reason = "";
        if (bus_rows_take(&l->rows, row_strings_bytes(key, reason, "")))
                (void)sd_bus_message_append(l->reply, "(sus)", key, n_repairs, reason);
}

static int get_fights(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        int r = sd_bus_message_open_container(reply, 'a', "(sus)");
        if (r < 0)
                return r;
        FightList l = { .reply = reply };
        fights_foreach(drift_fights(((Bus *)userdata)->context.drift), append_fight, &l);
        if (l.rows.n_left > 0) {
                char text[48];

                snprintf(text, sizeof(text), "and %zu more", l.rows.n_left);
                r = sd_bus_message_append(reply, "(sus)", "", UINT32_C(0), text);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

const sd_bus_vtable bus_manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Request", SD_BUS_ARGS("s", pool, "t", size, "a{sv}", options),
                                SD_BUS_RESULT("o", reservation), method_request, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Explain", SD_BUS_ARGS("s", pool, "t", size, "a{sv}", options),
                                SD_BUS_RESULT("a{sv}", result), method_explain, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetReservation", SD_BUS_ARGS("u", id), SD_BUS_RESULT("o", reservation),
                                method_get_reservation, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListReservations", SD_BUS_ARGS("u", after, "u", max, "a{sv}", filter),
                                SD_BUS_RESULT("a(ua{sv})", page, "u", next), method_list_reservations,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListPools", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", pools),
                                method_list_pools, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListNodes", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", nodes),
                                method_list_nodes, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReserveStatic", SD_BUS_ARGS("s", unit), SD_BUS_RESULT("ao", reservations),
                                method_reserve_static, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("DrainNode", SD_BUS_ARGS("u", node),
                                SD_BUS_RESULT("t", moved, "t", evicted, "t", left, "a(sst)", holders),
                                method_drain_node, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("UndrainNode", SD_BUS_ARGS("u", node), SD_BUS_NO_RESULT, method_undrain_node,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Admit", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("t", cgroup_id, "au", nodes), method_admit,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListHolders", SD_BUS_NO_ARGS, SD_BUS_RESULT("a" CDM_HOLDER, holders),
                                method_list_holders, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Mode", "s", get_mode, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("FenceState", "s", get_fence_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Unfenced", "a(sss)", get_unfenced, 0, 0),
        SD_BUS_PROPERTY("Warnings", "as", get_warnings, 0, 0),
        SD_BUS_PROPERTY("NamedWarnings", "a(sss)", get_named_warnings, 0, 0),
        SD_BUS_PROPERTY("OrdinaryNodes", "au", get_ordinary, 0, 0),
        SD_BUS_PROPERTY("IntruderBytesDrained", "t", get_intruder_bytes, 0, 0),
        SD_BUS_PROPERTY("DriftRepaired", "t", get_drift_repaired, 0, 0),
        SD_BUS_PROPERTY("Fights", "a(sus)", get_fights, 0, 0),
        SD_BUS_SIGNAL_WITH_ARGS("Event", SD_BUS_ARGS("s", kind, "u", id, "a{sv}", details), 0),
        SD_BUS_VTABLE_END,
};

int bus_manager_install(Bus *b)
{
        return sd_bus_add_object_vtable(b->bus, NULL, CDM_PATH, CDM_INTERFACE_MANAGER, bus_manager_vtable,
                                        b);
}

void bus_manager_on_notice(Bus *b, const Notice *n)
{
        (void)sd_bus_emit_properties_changed(b->bus, CDM_PATH, CDM_INTERFACE_MANAGER,
                                             n->kind == NOTICE_MODE ? "Mode" : "FenceState", NULL);
}
