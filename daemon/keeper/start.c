/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Start and recovery, which are one: a first start recovers nothing.
 *
 *   read the files → look at every unit, drop the reservations of those that ended → close the fence
 *   → compare the nodes of every tenant with the ledger and repair them → resume drains → serve
 *
 * A reservation that was stored as `granting` was never acknowledged: it goes the way of a released one.
 * Requests that come meanwhile wait; READY=1 is sent when the fence is closed and requests are served, and
 * until then systemd is told that the start goes on. */

#include "daemon/keeper/start.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "daemon/fence/way.h"
#include "daemon/keeper/drift.h"
#include "daemon/keeper/node-drain.h"
#include "daemon/keeper/node-watch.h"
#include "daemon/keeper/reload.h"
#include "daemon/loop/log.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/degrade.h"
#include "daemon/tenant/entry-walk.h"
#include "daemon/tenant/holds.h"
#include "daemon/tenant/leases.h"
#include "daemon/tenant/machine-facts.h"
#include "daemon/tenant/overruns.h"
#include "daemon/tenant/parts.h"
#include "daemon/tenant/release.h"
#include "daemon/tenant/request.h"
#include "daemon/tenant/snapshot.h"
#include "daemon/tenant/statics.h"
#include "daemon/tenant/unit-check.h"
#include "daemon/tenant/vouches.h"
#include "daemon/tenant/waiter.h"
#include "daemon/tenant/warnings.h"
#include "policy/warning.h"

#define PATIENCE_USEC (UINT64_C(10) * 1000 * 1000)
/* A name service that answers at all does so by then; one that does not must not delay the start. */
#define NAMES_USEC (UINT64_C(1) * 1000 * 1000)

struct Start {
        Book *book;
        sd_event_source *patience; /* tells systemd that the start goes on */
        unsigned pending;
        EntryWalk *walk; /* looks at every tenant's unit once */
        bool repair;
        unit_check_done_t on_done;   /* of each of them, and of the walk; NULL: nobody waits */
        sd_event_source *names_wait; /* all but the names of rules is there to serve */
        bool names_waited;
};

static int start_on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, 3 * PATIENCE_USEC);
        (void)sd_event_source_set_time_relative(source, PATIENCE_USEC);
        (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

static int start_on_loaded(Reservation *r, StorePhase phase, void *userdata)
{
        Book *book = userdata;
        Entry *e;

        if (phase == STORE_GRANTING)
                r->state = RESERVATION_DRAINING;
        NodeSet nodes = reservation_nodes(r);
        int k = r->target->unit
                        ? 0
                        : way_hold(book->parts->foreign, r->target->cgroup, r->target->cgroup_id, &nodes);
        if (k >= 0)
                k = book_add(book, r, phase, &e);
        if (k < 0)
                reservation_free(r);
        return k;
}

static int start_on_loaded_vouch(Vouch *v, void *userdata)
{
        return vouches_restore(((Book *)userdata)->parts->vouches, v);
}

static void start_on_bad_file(const char *file, const char *reason, void *userdata)
{
        Book *book = userdata;
        Event e = { .kind = EVENT_REPAIRED, .reason = reason };

        event_emit(book->core->notify, &e,
                   "the state file %s cannot be used: %s; it was renamed to %s.bad; what it reserved is "
                   "closed",
                   file, reason, file);
}

static void start_on_ids_lost(const char *reason, uint32_t next_id, void *userdata)
{
        Book *book = userdata;
        Event e = { .kind = EVENT_REPAIRED, .reason = reason };

        event_emit(
                book->core->notify, &e,
                "the state file next-id cannot be used: %s; reservations are not affected; the ids of new "
                "ones go on from %" PRIu32 ", so that none is used twice",
                reason, next_id);
}

static int start_first_reservation(Reservation *r, void *userdata)
{
        *(Reservation **)userdata = r;
        return 1;
}

/* The tenant's first reservation stands for it. */
static void start_check_tenant(uint32_t id, void *userdata)
{
        Book *book = userdata;
        const Entry *e = book_find(book, id);
        Reservation *first = NULL;

        if (!e)
                return;
        const char *tenant = ledger_tenant_key(e->r->target);
        ledger_foreach_of_tenant(book->ledger, tenant, start_first_reservation, &first);
        if (first != e->r)
                return;
        int r = unit_checks_add(book->parts->unit_checks, tenant, book->parts->start->repair,
                                book->parts->start->on_done);
        if (r < 0)
                log_error("cannot look at %s: %s", tenant, strerror(-r));
        else
                book->parts->start->pending++;
}

static void start_on_walked(void *userdata)
{
        Book *book = userdata;

        if (book->parts->start->on_done)
                book->parts->start->on_done(book);
}

/* on_done is called once more than there are tenants, and never from within this call. */
static void start_check_tenants(Book *book, bool repair, unit_check_done_t on_done)
{
        book->parts->start->repair = repair;
        book->parts->start->on_done = on_done;
        book->parts->start->pending = 1;
        entry_walk_begin(book->parts->start->walk);
}

static void start_go_on_draining(Book *book)
{
        Entry *e, *next;

        HASH_ITER (hh, book->entries, e, next) {
                if (e->r->state != RESERVATION_DRAINING)
                        continue;
                int r = release_start(e);
                if (r < 0)
                        log_error("reservation %" PRIu32 " cannot go on draining: %s", e->id, strerror(-r));
        }
}

static void start_tell_systemd(Book *book, const char *ready)
{
        size_t n = book->pools->n_pools;

        (void)sd_notifyf(0, "%sSTATUS=Fence %s, %zu %s.", ready, machine_fence_state(book, NULL), n,
                         n == 1 ? "pool" : "pools");
}

static int start_on_names_wait(sd_event_source *source, uint64_t usec, void *userdata);

/* Requests would be denied for want of a name that is about to come. The fence is closed by now, and what
 * was reserved is repaired. */
static bool start_wait_for_names(Book *book)
{
        if (book->parts->start->names_waited || reloads_names_are_ready(book->parts->reloads))
                return false;
        book->parts->start->names_waited = true;
        return sd_event_add_time_relative(book->core->event, &book->parts->start->names_wait,
                                          CLOCK_MONOTONIC, NAMES_USEC, 0, start_on_names_wait, book) >= 0;
}

static void start_serve(Book *book)
{
        size_t n = ledger_count(book->ledger);

        if (start_wait_for_names(book))
                return;

        book->parts->start->patience = sd_event_source_disable_unref(book->parts->start->patience);
        if (n > 0) {
                Event e = { .kind = EVENT_RECOVERED };
                event_emit(book->core->notify, &e,
                           n == 1 ? "%zu reservation was recovered" : "%zu reservations were recovered", n);
        }
        start_go_on_draining(book);
        node_drains_judge(book->parts->node_drains);
        leases_arm(book);
        if (!pool_set_needs_fence(book->pools))
                log_notice("this machine has no CDM nodes: there is nothing to manage");
        requests_serve(book->parts->requests);
        statics_serve(book->parts->statics);
        vouches_sweep(book->parts->vouches);
        notify_room(book->core->notify);
        holds_settle(book->parts->holds);
        (void)snapshot_look(book, NULL, NULL, NULL, NULL); /* for those who only ask what there is */
        reloads_serve(book->parts->reloads);
        drift_settled(book->parts->drift);
        node_watch_serve(book->parts->node_watch);
        drift_settled(book->parts->drift);
        /* A start has thousands of changes and calls under way at once; nothing later needs that much. */
        (void)malloc_trim(0);
        start_tell_systemd(book, "READY=1\n");
}

static void start_on_names_settled(Book *book);

static int start_on_names_wait(sd_event_source *source, uint64_t usec, void *userdata)
{
        start_on_names_settled(userdata);
        return 0;
}

static void start_on_names_settled(Book *book)
{
        if (book->parts->start->names_wait) {
                book->parts->start->names_wait =
                        sd_event_source_disable_unref(book->parts->start->names_wait);
                start_serve(book);
        } else if (book->serving)
                notify_room(book->core->notify);
}

static void start_on_repaired(Book *book)
{
        if (--book->parts->start->pending == 0)
                waiters_restore(book->parts->waiters, start_serve);
}

/* What was reserved is compared with what is there. */
static void start_repair_all(Book *book)
{
        buffers_look(book->parts->buffers); /* it narrows and drains as well */
        if (book->serving) {
                holds_settle(book->parts->holds);
                start_tell_systemd(book, "");
                /* A new configuration may have moved nodes between pools, or the fence. */
                start_check_tenants(book, true, NULL);
                drift_settled(book->parts->drift);
                return;
        }
        start_check_tenants(book, true, start_on_repaired);
}

/* worked: the fence was not left as it is. What waited for it goes on. */
static void start_on_fence_settled(Book *book, bool worked)
{
        start_repair_all(book);
        if (!worked)
                return;
        overruns_arm(book->parts->overrun);
        reloads_serve(book->parts->reloads);
        node_watch_serve(book->parts->node_watch);
}

static void start_on_checked(Book *book)
{
        if (--book->parts->start->pending == 0)
                reloads_fence(book->parts->reloads);
}

static int start_load_drained(Book *book)
{
        Event e = { .kind = EVENT_REPAIRED, .reason = "the list of drained nodes on disk was garbage" };

        int r = store_read_drained(book->core->store, &book->drained);
        if (r == -EBADMSG) {
                event_emit(book->core->notify, &e,
                           "the list of drained nodes on disk is garbage, so no node counts as drained; run "
                           "`cdmctl drain` again for those that shall be");
                r = store_write_drained(book->core->store, &book->drained);
        }
        degrade_shut_nodes(book);
        return r;
}

/* A machine that cannot be watched is served all the same. */
static void start_watch_nodes(Book *book)
{
        int r = node_watch_start(book->parts->node_watch);

        if (r < 0)
                warnings_add(book->parts->warnings, WARNING_NODES_UNWATCHED,
                             "nodes that come and go are not noticed: %s; run `cdmctl reload` when one did",
                             strerror(-r));
}

int start_run(Start *s)
{
        static const ReloadListener listener = { start_on_fence_settled, start_on_names_settled };
        static const StoreReader reader = { start_on_loaded, start_on_bad_file, start_on_ids_lost,
                                            start_on_loaded_vouch };

        Book *book = s->book;

        reloads_listen(book->parts->reloads, &listener);
        int r = sd_event_add_time_relative(book->core->event, &book->parts->start->patience, CLOCK_MONOTONIC,
                                           PATIENCE_USEC, 0, start_on_patience, book);
        if (r >= 0)
                r = store_load(book->core->store, &reader, book);
        if (r >= 0)
                r = start_load_drained(book);
        if (r < 0) {
                log_error("the reservations on disk cannot be read: %s", strerror(-r));
                return r;
        }
        buffers_recover(book->parts->buffers);
        /* A machine without CDM nodes wants to hear nothing of units. */
        if (pool_set_needs_fence(book->pools) || book->entries) {
                r = unit_checks_watch(book->parts->unit_checks);
                if (r < 0) {
                        log_error("systemd cannot be watched: %s", strerror(-r));
                        return r;
                }
        }
        start_watch_nodes(book);
        start_check_tenants(book, false, start_on_checked);
        return 0;
}

int start_new(Book *book, Start **ret)
{
        Start *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->book = book;
        int r = entry_walk_new(book->core->event, book->ledger, start_check_tenant, start_on_walked, book,
                               &s->walk);
        if (r < 0) {
                free(s);
                return r;
        }
        *ret = s;
        return 0;
}

Start *start_free(Start *s)
{
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->patience);
        sd_event_source_disable_unref(s->names_wait);
        entry_walk_free(s->walk);
        free(s);
        return NULL;
}
