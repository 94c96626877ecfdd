/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Properties of the manager that depend on settings of the kernel and of drivers. sd-bus needs their values
 * synchronously, so the call waits here until the settings are read (machine-facts.c), and is then
 * dispatched again.
 *
 *   GetManagedObjects ── waits for its turn (bus-callers.h) ──┐
 *   other calls ──────────────────────────────────────────────┴── settings are read ── dispatched again
 *   Introspect of all reservations ── waits for its turn ──────────────────────────────┘
 *
 * sd-bus makes a list of all objects in one piece, and other messages wait meanwhile. So only one such call is
 * dispatched at a time, and the next one after the bus has read its reply. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/bus/bus-callers.h"
#include "daemon/bus/bus-internal.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/machine-facts.h"
#include "policy/cdm-names.h"
#include "policy/macro.h"

/* Further calls get the values of the last read. */
#define WAITING_MAX    1024

#define PROPERTIES     "org.freedesktop.DBus.Properties"
#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"
#define INTROSPECTABLE "org.freedesktop.DBus.Introspectable"

typedef struct FactsCall {
        sd_bus_message *call;
        bool ready; /* enqueued to be dispatched again */
        struct FactsCall *prev, *next;
} FactsCall;

struct BusFacts {
        MachineFacts *facts;
        sd_bus *bus;
        FactsCall *calls;
        size_t n_calls;
        MachineLook *look;
        BusCallers *callers; /* calls that list all objects */
        Slice *slice;
        const sd_bus_message *objects; /* the call of these among `calls`; NULL: none */
        bool replied;                  /* such a call has been dispatched since the last pause */
};

static void facts_call_free(BusFacts *f, FactsCall *c)
{
        if (c->call == f->objects) {
                f->objects = NULL;
                f->replied = true;
                slice_set(f->slice, true);
        }
        DL_DELETE(f->calls, c);
        f->n_calls--;
        sd_bus_message_unref(c->call);
        free(c);
}

static bool lists_objects(sd_bus_message *call)
{
        return sd_bus_message_is_method_call(call, OBJECT_MANAGER, "GetManagedObjects") > 0 ||
               (sd_bus_message_is_method_call(call, INTROSPECTABLE, "Introspect") > 0 &&
                strcmp(sd_bus_message_get_path(call), CDM_PATH_RESERVATION) == 0);
}

static bool facts_are_in(sd_bus_message *call)
{
        static const char *const properties[] = { "FenceState", "Warnings", "NamedWarnings" };
        const char *interface, *property;

        if (sd_bus_message_is_method_call(call, OBJECT_MANAGER, "GetManagedObjects") > 0)
                return true;
        if (sd_bus_message_is_method_call(call, PROPERTIES, "GetAll") > 0)
                return sd_bus_message_read(call, "s", &interface) >= 0 &&
                       strcmp(interface, CDM_INTERFACE_MANAGER) == 0;
        if (sd_bus_message_is_method_call(call, PROPERTIES, "Get") <= 0 ||
            sd_bus_message_read(call, "ss", &interface, &property) < 0 ||
            strcmp(interface, CDM_INTERFACE_MANAGER) != 0)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(properties); i++)
                if (strcmp(property, properties[i]) == 0)
                        return true;
        return false;
}

static void facts_dispatch(BusFacts *f, FactsCall *c)
{
        int r = sd_bus_enqueue_for_read(f->bus, c->call);

        c->ready = r >= 0;
        if (r < 0) {
                (void)sd_bus_reply_method_errno(c->call, r, NULL);
                facts_call_free(f, c);
        }
}

static void facts_on_look(int result _unused_, void *userdata)
{
        BusFacts *f = userdata;
        FactsCall *c, *next;

        f->look = NULL;
        DL_FOREACH_SAFE (f->calls, c, next)
                if (!c->ready)
                        facts_dispatch(f, c);
}

/* True if the call was dispatched again; it is then removed from the list. */
static bool facts_take_ready(BusFacts *f, const sd_bus_message *call)
{
        FactsCall *c;

        DL_FOREACH (f->calls, c)
                if (c->ready && c->call == call) {
                        facts_call_free(f, c);
                        return true;
                }
        return false;
}

/* True if the settings are being read, and facts_on_look() will be called. */
static bool facts_look(BusFacts *f)
{
        return f->look || machine_look(f->facts, facts_on_look, f, &f->look) == 0;
}

/* NULL: out of memory. */
static FactsCall *facts_add(BusFacts *f, sd_bus_message *call)
{
        FactsCall *c = calloc(1, sizeof(*c));

        if (!c)
                return NULL;
        c->call = sd_bus_message_ref(call);
        DL_APPEND(f->calls, c);
        f->n_calls++;
        return c;
}

static int facts_on_call(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        BusFacts *f = userdata;

        if (facts_take_ready(f, call))
                return 0;
        if (lists_objects(call))
                return bus_callers_add(f->callers, call, "calls of GetManagedObjects and Introspect", NULL);
        if (!facts_are_in(call) || f->n_calls >= WAITING_MAX || !facts_look(f))
                return 0;
        return facts_add(f, call) ? 1 : -ENOMEM;
}

static void facts_on_slice(void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        BusFacts *f = userdata;

        slice_set(f->slice, false);
        if (f->objects)
                return;
        if (f->replied)
                bus_callers_pause(f->callers, f->bus);
        f->replied = false;
        call = bus_callers_next(f->callers, NULL, NULL);
        if (!call)
                return;
        FactsCall *c = facts_add(f, call);
        if (!c) {
                (void)sd_bus_reply_method_errno(call, -ENOMEM, NULL);
                slice_set(f->slice, true);
                return;
        }
        f->objects = call;
        if (!facts_are_in(call) || !facts_look(f))
                facts_dispatch(f, c);
}

static void facts_on_ready(void *userdata)
{
        BusFacts *f = userdata;

        slice_set(f->slice, true);
}

int bus_facts_new(sd_bus *bus, SenderCache *senders, Peers *peers, MachineFacts *facts, BusFacts **ret)
{
        BusFacts *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        f->facts = facts;
        f->bus = bus;
        int r = bus_callers_new(senders, peers, &bus_limits_lists, facts_on_ready, f, &f->callers);
        if (r >= 0)
                r = slice_new_patient(sd_bus_get_event(bus), facts_on_slice, f, &f->slice);
        if (r < 0) {
                bus_facts_free(f);
                return r;
        }
        *ret = f;
        return 0;
}

BusFacts *bus_facts_free(BusFacts *f)
{
        if (!f)
                return NULL;
        while (f->calls)
                facts_call_free(f, f->calls);
        machine_look_free(f->look);
        bus_callers_free(f->callers);
        slice_free(f->slice);
        free(f);
        return NULL;
}

int bus_facts_install(Bus *b)
{
        int r = sd_bus_add_object(b->bus, NULL, CDM_PATH, facts_on_call, b->facts);

        return r < 0 ? r : sd_bus_add_object(b->bus, NULL, CDM_PATH_RESERVATION, facts_on_call, b->facts);
}
