/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The end of a reservation:
 *
 *   active ── stored as draining ── turn ── plan, apply (drain, narrow, evict, measure)
 *                                                │
 *                                                ├── nothing left: the reservation is forgotten
 *                                                └── residue: the shares become what is left; the drain is
 *                                                    repeated after a pause that doubles from 1 s to 60 s
 *
 * A draining reservation counts in full: the ledger gets its bytes back only when they have left the
 * node. */

#include "daemon/tenant/release.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/loop/turn.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/change.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/holds.h"
#include "daemon/tenant/leases.h"
#include "daemon/tenant/unit-check.h"
#include "daemon/tenant/waiter.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

#define RETRY_FIRST_USEC (UINT64_C(1) * 1000 * 1000)
#define RETRY_LAST_USEC  (UINT64_C(60) * 1000 * 1000)
#define RETRY_ACCURACY   (UINT64_C(250) * 1000)

struct Releases {
        const ChangeContext *changes;
        HoldSet *holds;
        UnitChecks *unit_checks;
};

/* For one entry, from the first release_start() on. */
struct Release {
        Releases *set;
        Turn *turn;
        Change *change;
        sd_event_source *retry;
        uint64_t retry_usec;
        uint64_t failed_bytes, evicted_bytes;
};

int releases_new(const ChangeContext *changes, HoldSet *holds, UnitChecks *unit_checks, Releases **ret)
{
        Releases *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (Releases){ .changes = changes, .holds = holds, .unit_checks = unit_checks };
        *ret = s;
        return 0;
}

Releases *releases_free(Releases *s)
{
        free(s);
        return NULL;
}

static void release_on_turn(int begun _unused_, void *userdata);

Release *release_free(Release *l)
{
        if (!l)
                return NULL;
        change_free(l->change);
        sd_event_source_disable_unref(l->retry);
        turn_free(l->turn);
        free(l);
        return NULL;
}

static int release_on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        Entry *e = userdata;

        e->release->retry = sd_event_source_disable_unref(e->release->retry);
        int r = turn_take(e->book->core->turns, ledger_tenant_key(e->r->target), release_on_turn, e,
                          &e->release->turn);
        if (r < 0)
                log_error("reservation %" PRIu32 " cannot continue to drain: %s", e->id, strerror(-r));
        return 0;
}

static void try_later(Entry *e)
{
        e->release->retry_usec = e->release->retry_usec == 0 ? RETRY_FIRST_USEC : e->release->retry_usec * 2;
        if (e->release->retry_usec > RETRY_LAST_USEC)
                e->release->retry_usec = RETRY_LAST_USEC;
        e->release->retry = sd_event_source_disable_unref(e->release->retry);
        int r = sd_event_add_time_relative(e->book->core->event, &e->release->retry, CLOCK_MONOTONIC,
                                           e->release->retry_usec, RETRY_ACCURACY, release_on_retry, e);
        if (r < 0)
                log_error("cannot set the timer of reservation %" PRIu32 ": %s", e->id, strerror(-r));
}

static uint64_t own_bytes(const Reservation *r, int node)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < r->n_shares; i++)
                if (r->shares[i].node == node)
                        sum += r->shares[i].bytes;
        return sum;
}

/* The residue of this reservation is the part of the tenant's remaining bytes on a node that its other
 * reservations do not account for: those that are also draining, and live ones that keep the node open. If
 * the node stays open, the tenant may continue to use spare room, which is no residue, so the residue is at
 * most the reservation's own size. Kernel memory that is charged to the cgroup (slab, page tables: some KiB)
 * does not count, because it cannot be moved. It leaves with the tenant, and until then the snapshot counts
 * it as foreign. */
static size_t own_residue(Entry *e, const ApplyResult *result, Share out[static SHARES_MAX])
{
        Ledger *l = e->book->ledger;
        const char *tenant = ledger_tenant_key(e->r->target);
        NodeSet open = ledger_tenant_nodes(l, tenant);
        size_t n = 0;

        for (size_t i = 0; i < result->n_residue && n < SHARES_MAX; i++) {
                int node = result->residue[i].node;
                uint64_t own = own_bytes(e->r, node), others = ledger_tenant_bytes(l, tenant, node) - own;
                uint64_t bytes = numa_bytes_movable(&result->residue[i]);

                if (own == 0 || bytes <= others)
                        continue;
                bytes -= others;
                if (bytes > own && nodeset_contains(&open, node))
                        bytes = own;
                out[n++] = (Share){ node, bytes };
        }
        return n;
}

/* Adds the buffers that are still in use, because they are not moved. */
static size_t release_add_buffers(Entry *e, Share out[static SHARES_MAX], size_t n)
{
        Share buffers[SHARES_MAX];
        size_t n_buffers = buffers_shares(e->release->set->changes->buffers, e->id, buffers);

        for (size_t i = 0; i < n_buffers; i++) {
                size_t k = 0;

                while (k < n && out[k].node != buffers[i].node)
                        k++;
                if (k == n && n < SHARES_MAX)
                        out[n++] = (Share){ buffers[i].node, 0 };
                if (k < n)
                        out[k].bytes += buffers[i].bytes;
        }
        return n;
}

static size_t holders_of(Entry *e, const ApplyResult *result, EventHolder *out, size_t n_max)
{
        const char *cgroup = e->r->target->cgroup;
        uint64_t buffers = buffers_bytes(e->release->set->changes->buffers, e->id, -1, true);
        size_t n = 0;

        if (buffers > 0)
                out[n++] = (EventHolder){ cgroup, "buffer", buffers };
        for (size_t i = 0; i < result->n_residue; i++) {
                const NumaBytes *b = &result->residue[i];
                const EventHolder kinds[] = { { cgroup, "anon", b->anon },
                                              { cgroup, "file", b->file },
                                              { cgroup, "shmem", b->shmem },
                                              { cgroup, "other", b->other } };
                for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
                        if (kinds[k].bytes > 0 && n < n_max)
                                out[n++] = kinds[k];
        }
        return n;
}

static void release_tell(Entry *e, EventKind kind, const ApplyResult *result, uint64_t residue)
{
        char nodes[NODESET_STR_MAX], policy[512], size[SIZE_STR_MAX], left[SIZE_STR_MAX];
        char why[REVOKED_WHY_MAX];
        EventHolder holders[32];
        Event ev = book_event(e, kind, nodes, policy);

        ev.has |= EVENT_HAS_MOVED | EVENT_HAS_FAILED | EVENT_HAS_EVICTED | EVENT_HAS_RESIDUE;
        ev.reason = lease_revoked_why(e->r, why);
        ev.moved_bytes = e->moved_bytes;
        ev.failed_bytes = e->release->failed_bytes;
        ev.evicted_bytes = e->release->evicted_bytes;
        ev.residue_bytes = residue;
        ev.holders = holders;
        ev.n_holders = residue ? holders_of(e, result, holders, ARRAY_SIZE(holders)) : 0;
        size_format(e->r->size_bytes, size);
        /* Clients wait for it. The owner can have a residue told at any rate: see release_start(). */
        if (residue)
                event_emit_limited(e->book->core->notify, e->book->core->event_limit, clock_monotonic_usec(),
                                   EVENT_ALL_CLIENTS, &ev,
                                   "reservation %" PRIu32
                                   " (%s of %s for %s) is released, but %s could not be moved off yet",
                                   e->id, size, e->r->pool, ledger_tenant_key(e->r->target),
                                   size_format(residue, left));
        else
                event_emit_limited(e->book->core->notify, e->book->core->event_limit, clock_monotonic_usec(),
                                   EVENT_ALL_CLIENTS, &ev,
                                   "reservation %" PRIu32 " (%s of %s for %s) is released", e->id, size,
                                   e->r->pool, ledger_tenant_key(e->r->target));
}

static void keep_residue(Entry *e, const ApplyResult *result, const Share *shares, size_t n)
{
        uint64_t sum = 0, before = 0;

        for (size_t i = 0; i < n; i++)
                sum += shares[i].bytes;
        for (size_t i = 0; i < e->r->n_shares; i++)
                before += e->r->shares[i].bytes;
        e->r->stuck = true;
        int r = ledger_set_shares(e->book->ledger, e->r, shares, n);
        holds_settle(e->release->set->holds);
        if (r >= 0)
                r = book_store(e);
        if (r < 0)
                log_error("cannot store the residue of reservation %" PRIu32 ": %s", e->id, strerror(-r));
        notify_reservation_changed(e->book->core->notify, e->id,
                                   RESERVATION_CHANGED_SIZE | RESERVATION_CHANGED_NODES);
        notify_room(e->book->core->notify);
        /* Report the residue once, and again when it has shrunk, but not after each retry. */
        if (e->release->retry_usec == 0 || sum < before)
                release_tell(e, EVENT_RESIDUE, result, sum);
        try_later(e);
}

static void release_on_failed(Entry *e, const ApplyResult *result)
{
        char nodes[NODESET_STR_MAX], policy[512];

        if (result->error == -ENOENT || result->error == -ESTALE) {
                /* The cgroup is gone; PID 1 knows whether the unit has ended. */
                (void)unit_checks_add(e->release->set->unit_checks, ledger_tenant_key(e->r->target), false,
                                      NULL, NULL);
        } else {
                Event ev = book_event(e, EVENT_FAILED, nodes, policy);
                ev.reason = result->message;
                event_emit_limited(e->book->core->notify, e->book->core->event_limit, clock_monotonic_usec(),
                                   EVENT_ALL_CLIENTS, &ev,
                                   "draining reservation %" PRIu32 " failed, and is tried again: %s", e->id,
                                   result->message ? result->message : strerror(-result->error));
        }
        try_later(e);
}

static void release_on_changed(const ApplyResult *result, bool changed, void *userdata)
{
        Share shares[SHARES_MAX];
        Entry *e = userdata;

        e->moved_bytes += result->moved_bytes;
        e->release->failed_bytes = result->failed_bytes;
        e->release->evicted_bytes += result->evicted_bytes;
        if (result->error < 0) {
                release_on_failed(e, result);
                e->release->turn = turn_free(e->release->turn);
                e->release->change = change_free(e->release->change);
                return;
        }
        size_t n = release_add_buffers(e, shares, own_residue(e, result, shares));
        if (n > 0) {
                keep_residue(e, result, shares, n);
                e->release->turn = turn_free(e->release->turn);
                e->release->change = change_free(e->release->change);
                return;
        }
        /* Remove the file first, so that nothing of the reservation is left when clients are notified. */
        (void)store_remove(e->book->core->store, e->id);
        if (e->known)
                release_tell(e, EVENT_RELEASED, result, 0);
        book_forget(e); /* ends turn and change */
}

static void release_on_turn(int begun _unused_, void *userdata)
{
        Entry *e = userdata;
        ChangeTerms terms = { .leaving = reservation_nodes(e->r) };
        int r = change_start(e->release->set->changes, e->r, &terms, release_on_changed, e,
                             &e->release->change);
        if (r < 0) {
                ApplyResult result = { .error = r };
                release_on_failed(e, &result);
                e->release->turn = turn_free(e->release->turn);
        }
}

/* A queued reservation has nothing to drain. */
static void release_cancel(Entry *e)
{
        ApplyResult nothing = { 0 };

        release_tell(e, EVENT_RELEASED, &nothing, 0);
        waiter_dequeue(e, CDM_ERROR_STALE, "it was released");
}

int release_start(Releases *s, Entry *e)
{
        ReservationState before = e->r->state;
        char nodes[NODESET_STR_MAX], policy[512], why[REVOKED_WHY_MAX];

        if (!e->release)
                e->release = calloc(1, sizeof(*e->release));
        if (!e->release)
                return -ENOMEM;
        e->release->set = s;
        /* Whoever asks again is told of the residue again. */
        e->release->retry_usec = 0;
        if (e->release->turn)
                return 0; /* already in flight */
        if (e->phase == STORE_QUEUED) {
                release_cancel(e);
                return 0;
        }
        /* A new request during the pause before a retry: drain now. */
        e->release->retry = sd_event_source_disable_unref(e->release->retry);
        if (before != RESERVATION_DRAINING) {
                ledger_set_state(e->book->ledger, e->r, RESERVATION_DRAINING);
                int r = book_store(e);
                if (r < 0) {
                        ledger_set_state(e->book->ledger, e->r, before);
                        return r;
                }
                lease_disarm(e);
        }
        if (e->known && before != RESERVATION_DRAINING) {
                notify_reservation_changed(e->book->core->notify, e->id, RESERVATION_CHANGED_STATE);
                Event ev = book_event(e, EVENT_DRAINING, nodes, policy);
                ev.reason = lease_revoked_why(e->r, why);
                event_emit_limited(
                        e->book->core->notify, e->book->core->event_limit, clock_monotonic_usec(),
                        EVENT_ALL_CLIENTS, &ev, "reservation %" PRIu32 " of %s is being drained%s%s", e->id,
                        ledger_tenant_key(e->r->target), ev.reason ? ": " : "", ev.reason ? ev.reason : "");
        }
        return turn_take(e->book->core->turns, ledger_tenant_key(e->r->target), release_on_turn, e,
                         &e->release->turn);
}
