/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Moves a tenant's pages up to its nodes, now. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/bus.h"
#include "daemon/manager.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

/* Calls that wait to move the same pages; each after the first finds little to do. */
#define WAITING_MAX 16

/* On its own: the reservation may be forgotten while this runs, so only its id is kept. */
struct Migration {
        Manager *manager;
        uint32_t id;
        sd_bus_message *call;
        Turn *turn;
        Change *change;
        Migration *prev, *next;
};

static void migration_free(Migration *g)
{
        DL_DELETE(g->manager->migrations, g);
        change_free(g->change);
        turn_free(g->turn);
        sd_bus_message_unref(g->call);
        free(g);
}

void manager_migrations_free(Manager *m)
{
        while (m->migrations)
                migration_free(m->migrations);
}

static void finish(Migration *g, const char *error, const char *text)
{
        Answer a = { error, text };

        (void)bus_answer(g->call, &a);
        migration_free(g);
}

static void on_changed(const ApplyResult *result, bool changed, void *userdata)
{
        char nodes[NODESET_STR_MAX], policy[512], moved[SIZE_STR_MAX];
        Migration *g = userdata;
        Entry *e = manager_find(g->manager, g->id);

        if (result->error < 0 || !e) {
                finish(g, e ? SD_BUS_ERROR_FAILED : CDM_ERROR_STALE,
                       result->message ? result->message : "The reservation ended meanwhile.");
                return;
        }
        Event ev = manager_event(e, EVENT_MIGRATED, nodes, policy);
        ev.has |= EVENT_HAS_MOVED | EVENT_HAS_FAILED;
        ev.moved_bytes = result->moved_bytes;
        ev.failed_bytes = result->failed_bytes;
        event_emit(g->manager->bus, &ev, "%s of %s were moved to node %s.",
                   size_format(result->moved_bytes, moved), ledger_tenant_key(e->r->target), ev.nodes);
        (void)sd_bus_reply_method_return(g->call, "tt", result->moved_bytes, result->failed_bytes);
        migration_free(g);
}

static void on_turn(Turn *t, void *userdata)
{
        Migration *g = userdata;
        Entry *e = manager_find(g->manager, g->id);
        ChangeTerms terms = { .migrate = true };

        if (!e || (e->r->state != RESERVATION_ACTIVE && e->r->state != RESERVATION_DEGRADED)) {
                finish(g, CDM_ERROR_STALE, "The reservation is not active any more.");
                return;
        }
        int r = change_start(g->manager, e->r, &terms, on_changed, g, &g->change);
        if (r < 0)
                finish(g, SD_BUS_ERROR_FAILED, strerror(-r));
}

static size_t count_waiting(const Entry *e)
{
        Migration *g;
        size_t n = 0;

        DL_FOREACH (e->manager->migrations, g)
                n += g->id == e->id;
        return n;
}

int manager_migrate(Entry *e, sd_bus_message *call)
{
        Manager *m = e->manager;

        if (count_waiting(e) >= WAITING_MAX)
                return sd_bus_reply_method_errorf(call, CDM_ERROR_BUSY,
                                                  "The pages of reservation %" PRIu32
                                                  " are being moved already; wait for that.",
                                                  e->id);
        Migration *g = calloc(1, sizeof(*g));

        if (!g)
                return -ENOMEM;
        *g = (Migration){ .manager = m, .id = e->id, .call = sd_bus_message_ref(call) };
        DL_APPEND(m->migrations, g);
        int r = turn_take(m->turns, ledger_tenant_key(e->r->target), on_turn, g, &g->turn);
        if (r < 0)
                migration_free(g);
        return r;
}
