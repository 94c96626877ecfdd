/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Ends reservations without a request of the tenant: a lease expires, or a reservation is displaced.
 *
 *   active ── warned: revoking, the time of its drain is on disk ── at that time: released, as by its owner
 *      ^                        │
 *      └── renewed, or the waiter does not need it any more: kept
 *
 * Each live reservation with an end has one timer, for the next of the two steps; sd-event wakes up for the
 * earliest timer only. The timers use CLOCK_BOOTTIME: see policy/lease.h. */

#include "daemon/tenant/leases.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/entry-walk.h"
#include "policy/config.h"
#include "policy/lease.h"
#include "policy/timespan.h"

#define ACCURACY   (UINT64_C(250) * 1000)
#define RETRY_USEC (UINT64_C(1) * 1000 * 1000)
/* Each costs a write to a file and a few messages. */
#define SETTLED_A_SLICE 8

/* For one entry, from its first timer or deferred write until it is forgotten. */
struct Lease {
        Leases *set;
        Entry *entry;
        sd_event_source *timer; /* for the next step */
        bool settling;          /* in the list of the set */
        Lease *prev, *next;
};

struct Leases {
        Book *book;
        entry_release_t release;
        void *userdata;
        Lease *settling; /* entries to be stored and reported: see lease_revoke_soon() */
        Slice *slice;    /* NULL: not needed yet */
        EntryWalk *arming;
};

static void lease_arm_granted(uint32_t id, void *userdata);

int leases_new(Book *book, entry_release_t release, void *userdata, Leases **ret)
{
        Leases *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (Leases){ .book = book, .release = release, .userdata = userdata };
        int r = entry_walk_new(book->core->event, book->ledger, lease_arm_granted, NULL, s, &s->arming);
        if (r < 0) {
                free(s);
                return r;
        }
        *ret = s;
        return 0;
}

Leases *leases_free(Leases *s)
{
        if (!s)
                return NULL;
        slice_free(s->slice);
        entry_walk_free(s->arming);
        free(s);
        return NULL;
}

/* NULL: out of memory. */
static Lease *lease_of(Leases *s, Entry *e)
{
        if (!e->lease)
                e->lease = calloc(1, sizeof(*e->lease));
        if (e->lease) {
                e->lease->set = s;
                e->lease->entry = e;
        }
        return e->lease;
}

static bool lease_is_live(const Reservation *r)
{
        return r->state == RESERVATION_ACTIVE || r->state == RESERVATION_DEGRADED;
}

const char *lease_revoked_why(const Reservation *r, char buf[static REVOKED_WHY_MAX])
{
        if (r->revoke_usec == 0)
                return NULL;
        if (r->revoked_for == 0)
                return "its lease ended";
        snprintf(buf, REVOKED_WHY_MAX, "reservation %" PRIu32 " of higher priority displaced it",
                 r->revoked_for);
        return buf;
}

static void lease_tell_revoking(Entry *e, uint64_t now)
{
        char nodes[NODESET_STR_MAX], policy[512], span[TIMESPAN_STR_MAX], why[128];
        const Reservation *r = e->r;
        uint64_t left = r->revoke_usec > now ? r->revoke_usec - now : 0;
        Event ev = book_event(e, EVENT_REVOKING, nodes, policy);

        if (r->revoked_for)
                snprintf(why, sizeof(why), "reservation %" PRIu32 " of higher priority displaces it",
                         r->revoked_for);
        else
                snprintf(why, sizeof(why), "its lease ends");
        ev.reason = why;
        ev.has |= EVENT_HAS_LEFT;
        ev.left_usec = left;
        /* Whole seconds are easier to read, and rounding down promises nothing. */
        timespan_format(left < 1000000 ? left : left - left % 1000000, span);
        event_emit_limited(
                e->book->core->notify, e->book->core->event_limit, clock_monotonic_usec(), EVENT_ALL_CLIENTS,
                &ev, "reservation %" PRIu32 " of %s will be drained in %s: %s%s", e->id,
                ledger_tenant_key(r->target), span, why, r->revoked_for ? "" : "; `cdmctl renew` keeps it");
        if (e->phase == STORE_GRANTED)
                notify_tell(e->book->core->notify, &(Notice){ .kind = NOTICE_RESERVATION_REVOKING,
                                                              .id = e->id,
                                                              .reason = why,
                                                              .usec = left });
}

static void lease_settle(Leases *s, Entry *e);

int lease_revoke(Leases *s, Entry *e, uint64_t drain_usec, uint32_t for_id)
{
        lease_settle(s, e);
        Reservation *r = e->r;
        ReservationState before = r->state;
        uint64_t usec_before = r->revoke_usec;
        uint32_t for_before = r->revoked_for;

        r->revoke_usec = drain_usec;
        r->revoked_for = for_id;
        book_set_state(e, RESERVATION_REVOKING);
        /* A reservation that is still being granted is stored by the grant. */
        int k = e->phase == STORE_GRANTED ? book_store(e) : 0;
        if (k < 0) {
                r->revoke_usec = usec_before;
                r->revoked_for = for_before;
                book_set_state(e, before);
                return k;
        }
        lease_arm(s, e);
        lease_tell_revoking(e, clock_boottime_usec());
        return 0;
}

static void lease_on_kept(Leases *s, Entry *e)
{
        if (e->known)
                notify_reservation_changed(e->book->core->notify, e->id, RESERVATION_CHANGED_STATE);
        lease_arm(s, e);
        notify_room(e->book->core->notify); /* a waiter may have counted on its bytes */
}

/* --- deferred writes ------------------------------------------------------------------------------------ */

/* One reservation may displace hundreds of others, and one decision may keep them again. The ledger is
 * updated immediately; files, timers and messages follow in slices, in the same order. A crash in between
 * breaks no promise: the waiters choose again which reservations to displace. */

/* A loss of nodes that degrade.c has not told yet is not looked at: degrade.c then finds an active
 * reservation, and degrades it with all that belongs to it. */
static void lease_put_back(Entry *e)
{
        e->r->revoke_usec = 0;
        e->r->revoked_for = 0;
        ledger_set_state(e->book->ledger, e->r, e->degraded ? RESERVATION_DEGRADED : RESERVATION_ACTIVE);
}

static void lease_settle_revoked(Leases *s, Entry *e, int error)
{
        if (error < 0) {
                log_error("reservation %" PRIu32 " cannot be displaced now: %s", e->id, strerror(-error));
                lease_put_back(e);
                return;
        }
        if (e->known)
                notify_reservation_changed(e->book->core->notify, e->id, RESERVATION_CHANGED_STATE);
        lease_arm(s, e);
        lease_tell_revoking(e, clock_boottime_usec());
}

static void lease_settle_kept(Leases *s, Entry *e, int error)
{
        if (error < 0)
                log_error("cannot store that reservation %" PRIu32 " is kept: %s", e->id, strerror(-error));
        lease_on_kept(s, e);
}

/* Removes the entry from the list. True: it was in the list. */
static bool lease_unsettle(Entry *e)
{
        Lease *l = e->lease;

        if (!l || !l->settling)
                return false;
        DL_DELETE(l->set->settling, l);
        l->settling = false;
        return true;
}

void lease_disarm(Entry *e)
{
        if (e->lease)
                e->lease->timer = sd_event_source_disable_unref(e->lease->timer);
}

void lease_forget(Entry *e)
{
        lease_unsettle(e);
        lease_disarm(e);
        free(e->lease);
        e->lease = NULL;
}

static void lease_settle_now(Leases *s, Entry *e)
{
        bool revoking = e->r->state == RESERVATION_REVOKING;

        if (!revoking && !lease_is_live(e->r)) /* draining: already reported and stored */
                return;
        /* A reservation that is still being granted is stored by the grant. */
        int k = e->phase == STORE_GRANTED ? book_store(e) : 0;
        if (revoking)
                lease_settle_revoked(s, e, k);
        else
                lease_settle_kept(s, e, k);
}

static void lease_settle(Leases *s, Entry *e)
{
        if (lease_unsettle(e))
                lease_settle_now(s, e);
}

static void leases_on_slice(void *userdata)
{
        Leases *s = userdata;

        for (unsigned i = 0; s->settling && i < SETTLED_A_SLICE; i++)
                lease_settle(s, s->settling->entry);
        slice_set(s->slice, s->settling);
}

static void lease_settle_soon(Leases *s, Entry *e)
{
        Lease *l = lease_of(s, e);

        if (!l || (!s->slice && slice_new(s->book->core->event, leases_on_slice, s, &s->slice) < 0)) {
                lease_unsettle(e);
                lease_settle_now(s, e);
                return;
        }
        if (!l->settling)
                DL_APPEND(s->settling, l);
        l->settling = true;
        slice_set(s->slice, true);
}

void lease_revoke_soon(Leases *s, Entry *e, uint64_t drain_usec, uint32_t for_id)
{
        e->r->revoke_usec = drain_usec;
        e->r->revoked_for = for_id;
        ledger_set_state(e->book->ledger, e->r, RESERVATION_REVOKING);
        lease_settle_soon(s, e);
}

void lease_keep(Leases *s, Entry *e)
{
        lease_keep_soon(s, e);
        lease_settle(s, e);
}

void lease_keep_soon(Leases *s, Entry *e)
{
        lease_put_back(e);
        lease_settle_soon(s, e);
}

/* --- the timer ------------------------------------------------------------------------------------------ */

static void lease_warn(Leases *s, Entry *e, uint64_t now)
{
        const Reservation *r = e->r;
        uint64_t grace = e->book->config->grace_usec;

        int k = lease_revoke(s, e, lease_drain(r->expires_usec, r->term_usec, grace, now), 0);
        if (k < 0)
                log_error("cannot store that the lease of reservation %" PRIu32 " ends: %s", e->id,
                          strerror(-k));
}

static int lease_on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
        Lease *l = userdata;
        Leases *s = l->set;
        Entry *e = l->entry;
        uint64_t now = clock_boottime_usec();
        int k = 0;

        l->timer = sd_event_source_disable_unref(l->timer);
        if (lease_is_live(e->r))
                lease_warn(s, e, now);
        else if (e->r->state == RESERVATION_REVOKING)
                k = s->release(e, s->userdata);
        if (k < 0)
                log_error("draining reservation %" PRIu32 " failed, and is tried again: %s", e->id,
                          strerror(-k));
        /* Retry after a failure. */
        if (!l->timer && e->r->state != RESERVATION_DRAINING)
                (void)sd_event_add_time_relative(e->book->core->event, &l->timer, CLOCK_BOOTTIME, RETRY_USEC,
                                                 ACCURACY, lease_on_due, l);
        return 0;
}

void lease_arm(Leases *s, Entry *e)
{
        const Reservation *r = e->r;
        uint64_t due = TIMESPAN_INFINITY;

        lease_disarm(e);
        if (lease_is_live(r))
                due = lease_warning(r->expires_usec, r->term_usec, e->book->config->grace_usec);
        else if (r->state == RESERVATION_REVOKING)
                due = r->revoke_usec;
        if (due == TIMESPAN_INFINITY)
                return;
        Lease *l = lease_of(s, e);
        int k = l ? sd_event_add_time(s->book->core->event, &l->timer, CLOCK_BOOTTIME, due, ACCURACY,
                                      lease_on_due, l)
                  : -ENOMEM;
        if (k < 0)
                log_error("cannot set the timer of reservation %" PRIu32 ": %s", e->id, strerror(-k));
}

static void lease_arm_granted(uint32_t id, void *userdata)
{
        Leases *s = userdata;
        Entry *e = book_find(s->book, id);

        if (e && e->phase == STORE_GRANTED)
                lease_arm(s, e);
}

void leases_arm(Leases *s)
{
        entry_walk_begin(s->arming);
}

int lease_renew(Leases *s, Entry *e, uint64_t usec)
{
        lease_settle(s, e);
        Ledger *ledger = e->book->ledger;
        Reservation *r = e->r;
        uint64_t term_before = r->term_usec, expires_before = r->expires_usec;
        uint64_t revoke_before = r->revoke_usec;
        uint32_t for_before = r->revoked_for;
        bool revoking = r->state == RESERVATION_REVOKING;

        r->term_usec = usec;
        r->expires_usec = lease_end(clock_boottime_usec(), usec);
        if (revoking)
                lease_put_back(e);
        int k = book_store(e);
        if (k < 0) {
                r->term_usec = term_before;
                r->expires_usec = expires_before;
                if (revoking) {
                        r->revoke_usec = revoke_before;
                        r->revoked_for = for_before;
                        ledger_set_state(ledger, r, RESERVATION_REVOKING);
                }
                return k;
        }
        if (revoking)
                lease_on_kept(s, e);
        else
                lease_arm(s, e);
        notify_reservation_changed(e->book->core->notify, e->id, RESERVATION_CHANGED_EXPIRES);
        return 0;
}
