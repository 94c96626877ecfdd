/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Start and recovery, which use the same code: a first start has nothing to recover.
 *
 *   read the files → check every unit, drop the reservations of units that ended → close the fence
 *   → compare the nodes of every tenant with the ledger and repair them → resume drains → serve
 *
 * A reservation that was stored as `granting` was never acknowledged: it is drained like a released one.
 * Requests during the start wait. READY=1 is sent when the fence is closed and requests are served; until
 * then cdmd extends systemd's start timeout. */

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
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/degrade.h"
#include "daemon/tenant/entry-walk.h"
#include "daemon/tenant/holds.h"
#include "daemon/tenant/leases.h"
#include "daemon/tenant/machine-facts.h"
#include "daemon/tenant/overruns.h"
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
/* A working name service answers within this time; a broken one must not delay the start any longer. */
#define NAMES_USEC (UINT64_C(1) * 1000 * 1000)

struct Start {
        StartContext context;
        sd_event_source *patience; /* timer that extends systemd's start timeout */
        unsigned pending;
        EntryWalk *walk; /* checks every tenant's unit once */
        bool repair;
        done_t on_done;              /* called for each check, and for the end of the walk; may be NULL */
        sd_event_source *names_wait; /* timer: cdmd could serve, but names of rules are still missing */
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
        Start *s = userdata;
        Book *book = s->context.book;
        Entry *e;

        if (phase == STORE_GRANTING)
                r->state = RESERVATION_DRAINING;
        NodeSet nodes = reservation_nodes(r);
        int k = r->target->unit ? 0
                                : way_hold(s->context.foreign, r->target->cgroup, r->target->cgroup_id,
                                           r->target->below_unit, &nodes);
        if (k >= 0)
                k = book_add(book, r, phase, &e);
        if (k < 0)
                reservation_free(r);
        else if (r->state == RESERVATION_DEGRADED)
                e->degraded = DEGRADED_NODES; /* the loss was told before the restart */
        return k;
}

static int start_on_loaded_vouch(Vouch *v, void *userdata)
{
        return vouches_restore(((Start *)userdata)->context.vouches, v);
}

static void start_on_bad_file(const char *file, const char *reason, void *userdata)
{
        Start *s = userdata;
        Book *book = s->context.book;
        Event e = { .kind = EVENT_REPAIRED, .reason = reason };

        event_emit(book->core->notify, &e,
                   "the state file %s cannot be used: %s; it was renamed to %s.bad; what it reserved is "
                   "closed",
                   file, reason, file);
}

static void start_on_ids_lost(const char *reason, uint32_t next_id, void *userdata)
{
        Start *s = userdata;
        Book *book = s->context.book;
        Event e = { .kind = EVENT_REPAIRED, .reason = reason };

        event_emit(
                book->core->notify, &e,
                "the state file next-id cannot be used: %s; reservations are not affected; the ids of new "
                "ones continue from %" PRIu32 ", so that none is used twice",
                reason, next_id);
}

/* A tenant is checked once, for its first reservation. */
static void start_check_tenant(uint32_t id, void *userdata)
{
        Start *s = userdata;
        Book *book = s->context.book;
        const Entry *e = book_find(book, id);

        if (!e)
                return;
        const char *tenant = ledger_tenant_key(e->r->target);
        if (ledger_first_of_tenant(book->ledger, tenant) != e->r)
                return;
        int r = unit_checks_add(s->context.unit_checks, tenant, s->repair, s->on_done, s);
        if (r < 0)
                log_error("cannot check %s: %s", tenant, strerror(-r));
        else
                s->pending++;
}

static void start_on_walked(int result _unused_, void *userdata)
{
        Start *s = userdata;

        if (s->on_done)
                s->on_done(0, s);
}

/* on_done is called once for each tenant and once for the end of the walk, but never from within this
 * call. */
static void start_check_tenants(Start *s, bool repair, done_t on_done)
{
        s->repair = repair;
        s->on_done = on_done;
        s->pending = 1;
        entry_walk_begin(s->walk);
}

static void start_go_on_draining(Start *s)
{
        Book *book = s->context.book;
        Entry *e, *next;

        HASH_ITER (hh, book->entries, e, next) {
                if (e->r->state != RESERVATION_DRAINING)
                        continue;
                int r = release_start(s->context.releases, e);
                if (r < 0)
                        log_error("reservation %" PRIu32 " cannot continue to drain: %s", e->id,
                                  strerror(-r));
        }
}

static void start_tell_systemd(Start *s, const char *ready)
{
        Book *book = s->context.book;
        size_t n = book->pools->n_pools;

        (void)sd_notifyf(0, "%sSTATUS=Fence %s, %zu %s.", ready, machine_fence_state(s->context.facts, NULL),
                         n, n == 1 ? "pool" : "pools");
}

static int start_on_names_wait(sd_event_source *source, uint64_t usec, void *userdata);

/* Waits for the names of rules, because requests would be denied while a name is missing. The fence is
 * closed and the reservations are repaired by now. */
static bool start_wait_for_names(Start *s)
{
        Book *book = s->context.book;

        if (s->names_waited || reloads_names_are_ready(s->context.reloads))
                return false;
        s->names_waited = true;
        return sd_event_add_time_relative(book->core->event, &s->names_wait, CLOCK_MONOTONIC, NAMES_USEC, 0,
                                          start_on_names_wait, s) >= 0;
}

static void start_serve(void *userdata)
{
        Start *s = userdata;
        Book *book = s->context.book;
        size_t n = ledger_count(book->ledger);

        if (start_wait_for_names(s))
                return;

        s->patience = sd_event_source_disable_unref(s->patience);
        if (n > 0) {
                Event e = { .kind = EVENT_RECOVERED };
                event_emit(book->core->notify, &e,
                           n == 1 ? "%zu reservation was recovered" : "%zu reservations were recovered", n);
        }
        start_go_on_draining(s);
        node_drains_judge(s->context.node_drains);
        leases_arm(s->context.leases);
        if (!pool_set_needs_fence(book->pools))
                log_notice("this machine has no CDM nodes: there is nothing to manage");
        requests_serve(s->context.requests);
        statics_serve(s->context.statics);
        vouches_sweep(s->context.vouches);
        notify_room(book->core->notify);
        holds_settle(s->context.holds);
        (void)snapshot_look(book, NULL, NULL, NULL, NULL); /* for callers that only query the state */
        reloads_serve(s->context.reloads);
        drift_settled(s->context.drift);
        node_watch_serve(s->context.node_watch);
        drift_settled(s->context.drift);
        /* A start can have thousands of changes and calls in flight; normal operation needs less memory. */
        (void)malloc_trim(0);
        start_tell_systemd(s, "READY=1\n");
}

static void start_on_names_settled(void *userdata);

static int start_on_names_wait(sd_event_source *source, uint64_t usec, void *userdata)
{
        start_on_names_settled(userdata);
        return 0;
}

static void start_on_names_settled(void *userdata)
{
        Start *s = userdata;
        Book *book = s->context.book;

        if (s->names_wait) {
                s->names_wait = sd_event_source_disable_unref(s->names_wait);
                start_serve(s);
        } else if (book->serving)
                notify_room(book->core->notify);
}

static void start_on_repaired(int result _unused_, void *userdata)
{
        Start *s = userdata;

        if (--s->pending == 0)
                waiters_restore(s->context.waiters, start_serve, s);
}

/* Compares the reservations with the state of the kernel, and repairs the difference. */
static void start_repair_all(Start *s)
{
        Book *book = s->context.book;

        buffers_look(s->context.buffers); /* this also narrows and drains */
        if (book->serving) {
                holds_settle(s->context.holds);
                start_tell_systemd(s, "");
                /* A new configuration may have moved nodes between pools, or the fence. */
                start_check_tenants(s, true, NULL);
                drift_settled(s->context.drift);
                return;
        }
        start_check_tenants(s, true, start_on_repaired);
}

/* Resumes everything that waited for the fence. */
static void start_on_fence_settled(bool worked, void *userdata)
{
        Start *s = userdata;

        start_repair_all(s);
        if (!worked)
                return;
        overruns_arm(s->context.overrun);
        reloads_serve(s->context.reloads);
        node_watch_serve(s->context.node_watch);
}

static void start_on_checked(int result _unused_, void *userdata)
{
        Start *s = userdata;

        if (--s->pending == 0)
                reloads_fence(s->context.reloads);
}

static int start_load_drained(Start *s)
{
        Book *book = s->context.book;
        Event e = { .kind = EVENT_REPAIRED, .reason = "the list of drained nodes on disk was garbage" };

        int r = store_read_drained(book->core->store, &book->drained);
        if (r == -EBADMSG) {
                event_emit(book->core->notify, &e,
                           "the list of drained nodes on disk is garbage, so no node counts as drained; run "
                           "`cdmctl drain` again for those that must stay drained");
                r = store_write_drained(book->core->store, &book->drained);
        }
        degrade_shut_nodes(book);
        return r;
}

/* If nodes cannot be watched, cdmd starts anyway, with a warning. */
static void start_watch_nodes(Start *s)
{
        int r = node_watch_start(s->context.node_watch);

        if (r < 0)
                warnings_add(
                        s->context.warnings, WARNING_NODES_UNWATCHED,
                        "nodes that come and go are not noticed: %s; run `cdmctl reload` after a change",
                        strerror(-r));
}

int start_run(Start *s)
{
        static const ReloadListener listener = { start_on_fence_settled, start_on_names_settled };
        static const StoreReader reader = { start_on_loaded, start_on_bad_file, start_on_ids_lost,
                                            start_on_loaded_vouch };

        Book *book = s->context.book;

        reloads_listen(s->context.reloads, &listener, s);
        int r = sd_event_add_time_relative(book->core->event, &s->patience, CLOCK_MONOTONIC, PATIENCE_USEC,
                                           0, start_on_patience, s);
        if (r >= 0)
                r = store_load(book->core->store, &reader, s);
        if (r >= 0)
                r = start_load_drained(s);
        if (r < 0) {
                log_error("the reservations on disk cannot be read: %s", strerror(-r));
                return r;
        }
        buffers_recover(s->context.buffers);
        /* Without CDM nodes and reservations, events of units are of no use. */
        if (pool_set_needs_fence(book->pools) || book->entries) {
                r = unit_checks_watch(s->context.unit_checks);
                if (r < 0) {
                        log_error("systemd cannot be watched: %s", strerror(-r));
                        return r;
                }
        }
        start_watch_nodes(s);
        start_check_tenants(s, false, start_on_checked);
        return 0;
}

int start_new(const StartContext *context, Start **ret)
{
        Start *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->context = *context;
        int r = entry_walk_new(s->context.book->core->event, s->context.book->ledger, start_check_tenant,
                               start_on_walked, s, &s->walk);
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
