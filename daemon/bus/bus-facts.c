/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Properties of the manager that depend on settings of the kernel and of drivers. sd-bus needs their values
 * synchronously, so the call waits here until the settings are read (machine-facts.c), and is then
 * dispatched again. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/bus/bus-internal.h"
#include "daemon/tenant/machine-facts.h"
#include "policy/cdm-names.h"
#include "policy/macro.h"

/* Further calls get the values of the last read. */
#define WAITING_MAX    1024

#define PROPERTIES     "org.freedesktop.DBus.Properties"
#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

typedef struct FactsCall {
        sd_bus_message *call;
        bool ready; /* enqueued to be dispatched again */
        struct FactsCall *prev, *next;
} FactsCall;

struct BusFacts {
        MachineFacts *facts;
        FactsCall *calls;
        size_t n_calls;
        MachineLook *look;
};

static void facts_call_free(BusFacts *f, FactsCall *c)
{
        DL_DELETE(f->calls, c);
        f->n_calls--;
        sd_bus_message_unref(c->call);
        free(c);
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

static void facts_on_look(int result _unused_, void *userdata)
{
        BusFacts *f = userdata;
        FactsCall *c, *next;

        f->look = NULL;
        DL_FOREACH_SAFE (f->calls, c, next) {
                if (c->ready)
                        continue;
                int r = sd_bus_enqueue_for_read(sd_bus_message_get_bus(c->call), c->call);
                if (r >= 0) {
                        c->ready = true;
                        continue;
                }
                (void)sd_bus_reply_method_errno(c->call, r, NULL);
                facts_call_free(f, c);
        }
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

static int facts_on_call(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        BusFacts *f = userdata;

        if (!facts_are_in(call) || facts_take_ready(f, call) || f->n_calls >= WAITING_MAX)
                return 0;
        FactsCall *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        if (!f->look && machine_look(f->facts, facts_on_look, f, &f->look) != 0) {
                free(c);
                return 0;
        }
        c->call = sd_bus_message_ref(call);
        DL_APPEND(f->calls, c);
        f->n_calls++;
        return 1;
}

int bus_facts_new(MachineFacts *facts, BusFacts **ret)
{
        BusFacts *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        f->facts = facts;
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
        free(f);
        return NULL;
}

int bus_facts_install(Bus *b)
{
        return sd_bus_add_object(b->bus, NULL, CDM_PATH, facts_on_call, b->facts);
}
