/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Methods that only an owner, root, or whom polkit allows may call. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/bus.h"
#include "policy/cdm-names.h"

/* Calls of one user that wait for polkit, where each waits for minutes; the others are answered at once. */
#define WAITING_USER_MAX 256

struct Guarded {
        Manager *manager;
        sd_bus_message *call;
        AuthorizeAction action;
        uid_t owner, caller;
        uint32_t id;
        bus_guarded_t run;
        sd_bus_slot *slot;
        PeerWatch *client;
        Authorize *authorize;
        Guarded *prev, *next;
};

static void guarded_free(Guarded *g)
{
        DL_DELETE(g->manager->guarded, g);
        sd_bus_slot_unref(g->slot);
        peer_watch_free(g->client);
        authorize_free(g->authorize);
        sd_bus_message_unref(g->call);
        free(g);
}

void bus_guarded_free(Manager *m)
{
        while (m->guarded)
                guarded_free(m->guarded);
}

static void refuse(Guarded *g, const char *error, const char *text)
{
        Answer a = { error, text };

        (void)bus_answer(g->call, &a);
        guarded_free(g);
}

static void run(Guarded *g)
{
        g->run(g->manager, g->id, g->call);
        guarded_free(g);
}

static void on_authorized(bool allowed, const char *message, void *userdata)
{
        Guarded *g = userdata;

        if (allowed)
                run(g);
        else
                refuse(g, CDM_ERROR_DENIED, message);
}

static void on_client_gone(void *userdata)
{
        guarded_free(userdata);
}

static size_t count_waiting(Manager *m, uid_t caller)
{
        Guarded *g;
        size_t n = 0;

        DL_FOREACH (m->guarded, g)
                n += g->authorize && g->caller == caller;
        return n;
}

static void with_sender(Guarded *g, const Sender *s)
{
        if (s->uid == g->owner || !authorize_is_needed(g->action, s->uid)) {
                run(g);
                return;
        }
        g->caller = s->uid;
        if (count_waiting(g->manager, s->uid) >= WAITING_USER_MAX) {
                refuse(g, CDM_ERROR_BUSY,
                       "Too many of your calls wait for polkit; try again when some are "
                       "answered.");
                return;
        }
        int r = authorize_start(g->manager->authorizer, g->call, s->uid, g->action, on_authorized, g,
                                &g->authorize);
        if (r < 0)
                refuse(g, SD_BUS_ERROR_FAILED, "polkit could not be asked.");
}

static void on_sender(int error, const Sender *s, void *userdata)
{
        Guarded *g = userdata;

        g->slot = sd_bus_slot_unref(g->slot);
        if (error < 0)
                refuse(g, CDM_ERROR_STALE, "The bus does not know who asked.");
        else
                with_sender(g, s);
}

int bus_guard(Manager *m, sd_bus_message *call, AuthorizeAction action, uid_t owner, uint32_t id,
              bus_guarded_t fn)
{
        Guarded *g = calloc(1, sizeof(*g));

        if (!g)
                return -ENOMEM;
        *g = (Guarded){ .manager = m,
                        .call = sd_bus_message_ref(call),
                        .action = action,
                        .owner = owner,
                        .id = id,
                        .run = fn };
        DL_APPEND(m->guarded, g);
        const char *name = sd_bus_message_get_sender(call);
        const Sender *s = sender_cached(m->senders, name);
        int r = peers_watch(m->peers, name, on_client_gone, g, &g->client);
        if (r >= 0 && s) {
                with_sender(g, s);
                return 1;
        }
        if (r >= 0)
                r = sender_fetch(m->senders, name, on_sender, g, &g->slot);
        if (r < 0) {
                guarded_free(g);
                return r;
        }
        return 1;
}
