/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus/bus-desk.h"
#include "daemon/bus/bus-internal.h"
#include "daemon/loop/log.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "policy/cdm-names.h"

#define LOG_CONTROL_PATH      "/org/freedesktop/LogControl1"
#define LOG_CONTROL_INTERFACE "org.freedesktop.LogControl1"

static int get_log_level(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s", log_level_to_string(log_get_level()));
}

static int set_log_level(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *value, void *userdata, sd_bus_error *error)
{
        const char *s;
        int level;

        int r = sd_bus_message_read(value, "s", &s);
        if (r < 0)
                return r;
        if (log_level_from_string(s, &level) < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s is not a log level", s);
        log_set_level(level);
        return 0;
}

static int get_log_target(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s", log_target_to_string(log_get_target()));
}

static int set_log_target(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *value, void *userdata, sd_bus_error *error)
{
        const char *s;
        LogTarget target;

        int r = sd_bus_message_read(value, "s", &s);
        if (r < 0)
                return r;
        if (log_target_from_string(s, &target) < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "%s is not a log target; use journal, console or null", s);
        log_set_target(target);
        return 0;
}

static int get_identifier(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s", "cdmd");
}

/* Only root may write the properties, which is sd-bus's default. */
static const sd_bus_vtable log_control[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_log_level, set_log_level, 0, 0),
        SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_log_target, set_log_target, 0, 0),
        SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

/* The longest reasonable call names a cgroup and has 16 labels. The longest path is that of a pool. */
#define CALL_BYTES_MAX (16u << 10)
#define CALL_PATH_MAX  255

/* Called before all else, because each byte of a call takes time, and memory while the call waits. sd-bus also
 * quotes arguments in its errors, and the bus disconnects cdmd for an error above 32 MiB. For a path sd-bus
 * needs quadratic time. */
static int bus_on_message(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error)
{
        if (sd_bus_message_is_method_call(m, NULL, NULL) <= 0)
                return 0;
        if (strlen(sd_bus_message_get_path(m)) > CALL_PATH_MAX)
                return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "no object has so long a path");
        int r = bus_message_fits(m, CALL_BYTES_MAX);
        if (r == 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "the call is too long; %u bytes are enough for any",
                                         CALL_BYTES_MAX);
        return r < 0 ? r : 0;
}

static void bus_on_notice(const Notice *n, void *userdata)
{
        Bus *b = userdata;

        switch (n->kind) {
        case NOTICE_EVENT:
                bus_event_emit(b, n->event, n->client);
                return;
        case NOTICE_RESERVATION_ADDED:
        case NOTICE_RESERVATION_REMOVED:
        case NOTICE_RESERVATION_CHANGED:
        case NOTICE_RESERVATION_REVOKING:
                bus_reservation_on_notice(b, n);
                return;
        case NOTICE_NODE_DRAINED:
        case NOTICE_NODES:
                bus_pool_on_notice(b, n);
                return;
        case NOTICE_MODE:
        case NOTICE_FENCE_STATE:
                bus_manager_on_notice(b, n);
                return;
        default:
                return;
        }
}

static int bus_publish(Bus *b)
{
        int r = sd_bus_add_filter(b->bus, NULL, bus_on_message, NULL);

        if (r >= 0)
                r = sd_bus_add_object_vtable(b->bus, NULL, LOG_CONTROL_PATH, LOG_CONTROL_INTERFACE,
                                             log_control, NULL);
        if (r >= 0)
                r = sd_bus_add_object_manager(b->bus, NULL, CDM_PATH);
        if (r >= 0)
                r = bus_facts_install(b);
        if (r >= 0)
                r = bus_manager_install(b);
        if (r >= 0)
                r = bus_reservation_install(b);
        if (r >= 0)
                r = bus_list_install(b);
        if (r >= 0)
                r = bus_pool_install(b);
        if (r < 0)
                log_error("cannot put the objects of %s on the bus: %s", CDM_BUS_NAME, strerror(-r));
        return r;
}

int bus_new(const BusContext *context, Bus **ret)
{
        const Core *core = context->book->core;
        _cleanup_(bus_free_p) Bus *b = calloc(1, sizeof(*b));

        if (!b)
                return -ENOMEM;
        b->context = *context;
        b->bus = sd_bus_ref(core->bus);
        b->book = context->book;
        int r = bus_calls_new(b, core->peers, &b->calls);
        if (r >= 0)
                r = bus_desk_new(b, &b->desk);
        if (r >= 0)
                r = bus_lister_new(b->book, context->buffers, false, &b->lister);
        if (r >= 0)
                r = bus_lister_new(b->book, context->buffers, true, &b->lister_used);
        if (r >= 0)
                r = bus_holders_new(b->book, context->holders, &b->holders);
        if (r >= 0)
                r = bus_facts_new(b->bus, core->senders, core->peers, context->facts, &b->facts);
        if (r >= 0)
                r = notify_subscribe(core->notify, bus_on_notice, b);
        if (r >= 0)
                r = bus_publish(b);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

Bus *bus_free(Bus *b)
{
        if (!b)
                return NULL;
        notify_unsubscribe(b->book->core->notify, bus_on_notice, b);
        bus_desk_free(b->desk);
        bus_guarded_free(b);
        bus_admits_free(b);
        bus_calls_free(b->calls);
        bus_lister_free(b->lister);
        bus_lister_free(b->lister_used);
        bus_holders_free(b->holders);
        bus_facts_free(b->facts);
        sd_bus_unref(b->bus);
        free(b);
        return NULL;
}

int bus_request_name(sd_bus *bus)
{
        int r = sd_bus_request_name(bus, CDM_BUS_NAME, 0);

        if (r == -EEXIST)
                log_error("another cdmd owns the name %s on the bus; stop it first", CDM_BUS_NAME);
        else if (r < 0)
                log_error("the bus does not give out the name %s: %s; is the bus policy of cdmd installed?",
                          CDM_BUS_NAME, strerror(-r));
        return r;
}
