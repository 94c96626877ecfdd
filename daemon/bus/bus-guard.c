/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Methods restricted to the owner, root, or callers authorized by polkit. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/bus/bus-internal.h"
#include "daemon/caller/sender.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "policy/cdm-names.h"

/* Upper bound of the calls of one user that wait for polkit, which can take minutes. Calls without polkit do
 * not count. */
#define WAITING_USER_MAX 256

struct Guarded {
        Bus *bus;
        BusCall *call;
        AuthorizeAction action;
        uid_t owner, caller;
        uint32_t id;
        bus_guarded_t run;
        sd_bus_slot *slot;
        Authorize *authorize;
        Guarded *prev, *next;
};

/* Frees the Guarded and returns the call. */
static BusCall *guarded_end(Guarded *g)
{
        BusCall *call = g->call;

        DL_DELETE(g->bus->guarded, g);
        bus_call_on_gone(call, NULL, NULL);
        sd_bus_slot_unref(g->slot);
        authorize_free(g->authorize);
        free(g);
        return call;
}

void bus_guarded_free(Bus *b)
{
        while (b->guarded)
                bus_call_free(guarded_end(b->guarded));
}

static void guarded_refuse(Guarded *g, const char *error, const char *text)
{
        bus_call_refuse(guarded_end(g), error, text);
}

static void guarded_run(Guarded *g)
{
        Bus *b = g->bus;
        uint32_t id = g->id;
        bus_guarded_t run = g->run;

        run(b, id, guarded_end(g));
}

static void guarded_on_authorized(const Answer *answer, void *userdata)
{
        Guarded *g = userdata;

        if (answer->error)
                guarded_refuse(g, answer->error, answer->text);
        else
                guarded_run(g);
}

static void guarded_on_gone(BusCall *call, void *userdata)
{
        bus_call_free(guarded_end(userdata));
}

static size_t guard_count_waiting(Bus *b, uid_t caller)
{
        Guarded *g;
        size_t n = 0;

        DL_FOREACH (b->guarded, g)
                n += g->authorize && g->caller == caller;
        return n;
}

static void guarded_with_sender(Guarded *g, const Sender *s)
{
        if (s->uid == g->owner || !authorize_is_needed(g->action, s->uid)) {
                guarded_run(g);
                return;
        }
        g->caller = s->uid;
        if (guard_count_waiting(g->bus, s->uid) >= WAITING_USER_MAX) {
                guarded_refuse(g, CDM_ERROR_BUSY,
                               "too many of your calls wait for polkit; try again when some are answered");
                return;
        }
        sd_bus_message *message = bus_call_message(g->call);
        int r = authorize_start(g->bus->book->core->authorizer, sd_bus_message_get_sender(message),
                                sd_bus_message_get_allow_interactive_authorization(message) > 0, s->uid,
                                g->action, guarded_on_authorized, g, &g->authorize);
        if (r < 0)
                guarded_refuse(g, SD_BUS_ERROR_FAILED, "polkit could not be asked");
}

static void guarded_on_sender(int error, const Sender *s, void *userdata)
{
        Guarded *g = userdata;

        g->slot = sd_bus_slot_unref(g->slot);
        if (error < 0)
                guarded_refuse(g, CDM_ERROR_STALE, "the bus does not know who asked");
        else
                guarded_with_sender(g, s);
}

int bus_guard(Bus *b, sd_bus_message *message, AuthorizeAction action, uid_t owner, uint32_t id,
              bus_guarded_t fn)
{
        const char *name = sd_bus_message_get_sender(message);
        Guarded *g = calloc(1, sizeof(*g));
        BusCall *call;
        int r;

        if (!g)
                return -ENOMEM;
        r = bus_call_new(b->calls, message, &call);
        if (r < 0) {
                free(g);
                return r;
        }
        *g = (Guarded){ .bus = b, .call = call, .action = action, .owner = owner, .id = id, .run = fn };
        DL_APPEND(b->guarded, g);
        bus_call_on_gone(call, guarded_on_gone, g);
        const Sender *s = sender_cached(b->book->core->senders, name);
        if (s) {
                guarded_with_sender(g, s);
                return 1;
        }
        r = sender_fetch(b->book->core->senders, name, guarded_on_sender, g, &g->slot);
        if (r < 0) {
                bus_call_free(guarded_end(g));
                return r;
        }
        return 1;
}
