/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Moves a tenant's existing pages to its reserved nodes. */

#include "daemon/tenant/migrate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/loop/answer.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/turn.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/change.h"
#include "daemon/tenant/core.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

/* Upper bound of waiting calls for one reservation; only the first has much to move. */
#define WAITING_MAX 16

/* The reservation may be freed during the migration, so only its id is kept. */
typedef struct Migration {
        MigrationSet *set;
        uint32_t id;
        migrate_done_t done;
        void *userdata;
        Turn *turn;
        Change *change;
        struct Migration *prev, *next;
} Migration;

struct MigrationSet {
        Book *book;
        const ChangeContext *changes;
        Migration *migrations;
};

static void migration_free(Migration *g)
{
        DL_DELETE(g->set->migrations, g);
        change_free(g->change);
        turn_free(g->turn);
        free(g);
}

int migrations_new(Book *book, const ChangeContext *changes, MigrationSet **ret)
{
        MigrationSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->book = book;
        s->changes = changes;
        *ret = s;
        return 0;
}

MigrationSet *migrations_free(MigrationSet *s)
{
        if (!s)
                return NULL;
        while (s->migrations)
                migration_free(s->migrations);
        free(s);
        return NULL;
}

static void migration_refuse(Migration *g, const char *error, const char *text)
{
        Answer a = { error, text };

        g->done(&a, 0, 0, g->userdata);
        migration_free(g);
}

static void migration_on_changed(const ApplyResult *result, bool changed, void *userdata)
{
        char nodes[NODESET_STR_MAX], policy[512], moved[SIZE_STR_MAX];
        Migration *g = userdata;
        Entry *e = book_find(g->set->book, g->id);

        if (result->error < 0 || !e) {
                migration_refuse(g, e ? SD_BUS_ERROR_FAILED : CDM_ERROR_STALE,
                                 result->message ? result->message : "the reservation ended meanwhile");
                return;
        }
        Event ev = book_event(e, EVENT_MIGRATED, nodes, policy);
        ev.has |= EVENT_HAS_MOVED | EVENT_HAS_FAILED;
        ev.moved_bytes = result->moved_bytes;
        ev.failed_bytes = result->failed_bytes;
        event_emit_limited(g->set->book->core->notify, g->set->book->core->event_limit,
                           clock_monotonic_usec(), NULL, &ev, "%s of %s were moved to node %s",
                           size_format(result->moved_bytes, moved), ledger_tenant_key(e->r->target),
                           ev.nodes);
        g->done(&(Answer){ 0 }, result->moved_bytes, result->failed_bytes, g->userdata);
        migration_free(g);
}

static void migration_on_turn(int result _unused_, void *userdata)
{
        Migration *g = userdata;
        Entry *e = book_find(g->set->book, g->id);
        ChangeTerms terms = { .migrate = true };

        if (!e || (e->r->state != RESERVATION_ACTIVE && e->r->state != RESERVATION_DEGRADED)) {
                migration_refuse(g, CDM_ERROR_STALE, "the reservation is not active any more");
                return;
        }
        int r = change_start(g->set->changes, e->r, &terms, migration_on_changed, g, &g->change);
        if (r < 0)
                migration_refuse(g, SD_BUS_ERROR_FAILED, strerror(-r));
}

static size_t migrate_count_waiting(const MigrationSet *s, const Entry *e)
{
        Migration *g;
        size_t n = 0;

        DL_FOREACH (s->migrations, g)
                n += g->id == e->id;
        return n;
}

static void refuse_busy(const Entry *e, migrate_done_t done, void *userdata)
{
        char text[128];

        snprintf(text, sizeof(text),
                 "the pages of reservation %" PRIu32 " are being moved already; wait for that", e->id);
        done(&(Answer){ CDM_ERROR_BUSY, text }, 0, 0, userdata);
}

int migrations_start(MigrationSet *s, Entry *e, migrate_done_t done, void *userdata)
{
        if (migrate_count_waiting(s, e) >= WAITING_MAX) {
                refuse_busy(e, done, userdata);
                return 0;
        }
        Migration *g = calloc(1, sizeof(*g));

        if (!g)
                return -ENOMEM;
        *g = (Migration){ .set = s, .id = e->id, .done = done, .userdata = userdata };
        DL_APPEND(s->migrations, g);
        int r = turn_take(s->book->core->turns, ledger_tenant_key(e->r->target), migration_on_turn, g,
                          &g->turn);
        if (r < 0)
                migration_free(g);
        return r;
}
