/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reservations that wait for room: how a waiter is queued, and what dequeues it.
 *
 *   request ── queued, on disk ─┬─ first, and there is room (queue-server.c): granted like any other request
 *                               ├─ OnFull=preempt: its victims are revoked (leases.c); it is granted when
 *                               │  they have left
 *                               └─ its timeout expires, its client disconnects, its unit ends, it is
 *                                  released, or the policy changes: dequeued, with the reason
 *
 * A reservation waits for as long as its client is on the bus. After a restart of cdmd the client is
 * identified by its unique name, which a bus never uses twice, and the bus by its id. If the target is a
 * process, it is opened again, and its start time must be the same as before. */

#include "daemon/tenant/waiter.h"

#include "daemon/tenant/judgement.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/loop/peers.h"
#include "daemon/machine/process.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/entry-walk.h"
#include "daemon/tenant/grant-reservation.h"
#include "daemon/tenant/leases.h"
#include "daemon/tenant/request-args.h"
#include "policy/cdm-names.h"
#include "policy/lease.h"
#include "policy/size.h"
#include "policy/timespan.h"

#define ACCURACY (UINT64_C(100) * 1000)
/* So many victims are stored and reported immediately, which is enough in nearly all cases; the others
 * follow soon. */
#define VICTIMS_AT_ONCE 8

/* The state of one waiting reservation. */
struct Waiter {
        Waiters *set;
        Entry *entry;
        Request request; /* in the queue; borrows from the reservation */
        Identity *identity;
        char *name; /* of its client; NULL: none */
        PeerWatch *client;
        sd_bus_slot *question;
        NamesCall *name_question; /* after a restart, for the groups of the target's user */
        sd_event_source *deadline;
        bool gone;  /* the client disconnected while the reservation was being granted */
        bool asked; /* the start waits for the answer whether the client is still there */
        uint32_t *victims;
        size_t n_victims;
};

struct Waiters {
        Book *book;
        Leases *leases;
        unsigned pending; /* clients still being checked during the start, plus one for the walk */
        void (*restored)(void *userdata);
        void *userdata;
        /* first over the waiters, then over their victims */
        EntryWalk *walk, *victims_walk;
};

static void waiter_restore_or_end(uint32_t id, void *userdata);
static void waiter_restore_victim(uint32_t id, void *userdata);
static void waiters_on_restored(int result _unused_, void *userdata);
static void waiters_on_victims_restored(int result _unused_, void *userdata);

/* Decrements the count that the start waits for. */
static void waiters_settled(Waiters *s)
{
        if (--s->pending == 0 && s->restored)
                s->restored(s->userdata);
}

int waiters_new(Book *book, Leases *leases, Waiters **ret)
{
        Waiters *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->book = book;
        s->leases = leases;
        int r = entry_walk_new(book->core->event, book->ledger, waiter_restore_or_end, waiters_on_restored,
                               s, &s->walk);
        if (r >= 0)
                r = entry_walk_new(book->core->event, book->ledger, waiter_restore_victim,
                                   waiters_on_victims_restored, s, &s->victims_walk);
        if (r < 0) {
                waiters_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

Waiters *waiters_free(Waiters *s)
{
        if (!s)
                return NULL;
        entry_walk_free(s->walk);
        entry_walk_free(s->victims_walk);
        free(s);
        return NULL;
}

void waiters_stop(Waiters *s)
{
        entry_walk_stop(s->walk);
        entry_walk_stop(s->victims_walk);
        s->restored = NULL;
}

Waiter *waiter_free(Waiter *w)
{
        if (!w)
                return NULL;
        queue_remove(w->entry->book->queue, w->entry->id);
        identity_free(w->identity);
        peer_watch_free(w->client);
        free(w->name);
        sd_bus_slot_unref(w->question);
        names_call_free(w->name_question);
        sd_event_source_disable_unref(w->deadline);
        free(w->victims);
        free(w);
        return NULL;
}

/* --- leaving ------------------------------------------------------------------------------------------ */

/* Cancels the revocations for this waiter that have not begun to drain. */
static void keep_victims(Waiter *w)
{
        Book *book = w->entry->book;

        for (size_t i = 0; i < w->n_victims; i++) {
                Entry *v = book_find(book, w->victims[i]);
                if (!v || v->r->state != RESERVATION_REVOKING || v->r->revoked_for != w->entry->id)
                        continue;
                if (i < VICTIMS_AT_ONCE)
                        lease_keep(w->set->leases, v);
                else
                        lease_keep_soon(w->set->leases, v);
        }
        w->n_victims = 0;
}

void waiter_dequeue(Entry *e, const char *error, const char *reason)
{
        Book *book = e->book;
        char nodes[NODESET_STR_MAX], policy[512], size[SIZE_STR_MAX];
        Event ev = book_event(e, EVENT_DEQUEUED, nodes, policy);

        ev.reason = reason;
        ev.error = error;
        event_emit_limited(book->core->notify, book->core->event_limit, clock_monotonic_usec(),
                           e->waiter ? e->waiter->name : NULL, &ev,
                           "reservation %" PRIu32 " (%s of %s for %s) waits no more: %s", e->id,
                           size_format(e->r->size_bytes, size), e->r->pool, ledger_tenant_key(e->r->target),
                           reason);
        if (e->waiter)
                keep_victims(e->waiter);
        Waiters *asked = e->waiter && e->waiter->asked ? e->waiter->set : NULL;
        book_forget(e);
        if (asked)
                waiters_settled(asked);
}

static int waiter_on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        Waiter *w = userdata;
        char text[256];

        snprintf(text, sizeof(text),
                 "timed out waiting for room in pool %s; ask again, for longer or for less",
                 w->entry->r->pool);
        waiter_dequeue(w->entry, CDM_ERROR_TIMEOUT, text);
        return 0;
}

static void client_gone(void *userdata)
{
        Waiter *w = userdata;

        if (w->entry->phase == STORE_QUEUED)
                waiter_dequeue(w->entry, CDM_ERROR_STALE,
                               "cancelled: the client that waited for it disconnected");
        else
                w->gone = true;
}

bool waiter_is_gone(const Waiter *w)
{
        return w->gone;
}

void waiter_done(Waiter *w)
{
        keep_victims(w);
}

Identity *waiter_take(Waiter *w)
{
        queue_remove(w->entry->book->queue, w->entry->id);
        w->deadline = sd_event_source_disable_unref(w->deadline);
        return TAKE_PTR(w->identity);
}

/* --- the client --------------------------------------------------------------------------------------- */

/* The client is stored with the id of the bus, because a restarted bus assigns the same names to other
 * clients. */
static int format_client(Book *book, const char *name, char **ret)
{
        sd_id128_t id = SD_ID128_NULL;
        char text[SD_ID128_STRING_MAX];

        (void)sd_bus_get_bus_id(book->core->bus, &id);
        if (asprintf(ret, "%s %s", name, sd_id128_to_string(id, text)) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 0;
}

/* --- entering ----------------------------------------------------------------------------------------- */

static int waiter_remember_victim(Waiter *w, uint32_t id)
{
        uint32_t *v = realloc(w->victims, (w->n_victims + 1) * sizeof(*v));

        if (!v)
                return -ENOMEM;
        w->victims = v;
        v[w->n_victims++] = id;
        return 0;
}

void waiter_revoke_victims(Waiter *w, const Decision *d)
{
        Book *book = w->entry->book;
        uint64_t due = lease_end(clock_boottime_usec(), book->config->grace_usec);

        for (size_t i = 0; i < d->n_victims; i++) {
                Entry *v = book_find(book, d->victims[i].id);
                int r = v ? waiter_remember_victim(w, v->id) : 0;
                if (v && r >= 0 && i < VICTIMS_AT_ONCE)
                        r = lease_revoke(w->set->leases, v, due, w->entry->id);
                else if (v && r >= 0)
                        lease_revoke_soon(w->set->leases, v, due, w->entry->id);
                if (r < 0)
                        log_error("reservation %" PRIu32 " cannot be displaced now: %s", d->victims[i].id,
                                  strerror(-r));
        }
}

static int make_wait(Book *book, const Identity *i, const RequestArgs *a, const NodeSet *near, Wait **ret)
{
        Wait *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        *ret = w;
        w->nodes = a->nodes;
        w->near = nodeset_is_empty(&a->near) ? *near : a->near;
        w->patient = a->queue;
        w->migrate = a->migrate;
        w->bind = a->bind;
        w->deadline_usec = a->queue ? lease_end(clock_boottime_usec(), a->queue_usec) : TIMESPAN_INFINITY;
        w->pid = i->pid;
        w->pid_start = i->pid_start;
        if (i->move && string_copy(i->scope_slice, &w->scope_slice) < 0)
                return -ENOMEM;
        return a->client ? format_client(book, a->client, &w->client) : 0;
}

static int make_reservation(Book *book, const Identity *i, const RequestArgs *a, const Decision *d,
                            const NodeSet *near, Reservation **ret)
{
        _cleanup_(reservation_free_p) Reservation *r = NULL;

        int k = judgement_reservation_new(book, i, a, d, 0, &r);
        if (k >= 0)
                k = make_wait(book, i, a, near, &r->wait);
        if (k < 0)
                return k;
        r->state = RESERVATION_QUEUED;
        r->lease_usec = a->lease_usec;
        r->expires_usec = TIMESPAN_INFINITY;
        *ret = TAKE_PTR(r);
        return 0;
}

/* Adds the entry to the queue, with its deadline and the watch of its client. name: of the client, or
 * NULL. */
static int waiter_new(Waiters *s, Entry *e, Identity *identity, const NodeSet *claims, const char *name)
{
        Book *book = e->book;
        const Reservation *r = e->r;
        Waiter *w = calloc(1, sizeof(*w));
        int k = 0;

        if (!w) {
                identity_free(identity);
                return -ENOMEM;
        }
        e->waiter = w;
        *w = (Waiter){ .set = s, .entry = e, .identity = identity };
        w->request = (Request){ .id = e->id,
                                .pool = r->pool,
                                .size_bytes = r->size_bytes,
                                .subject = r->target,
                                .moves = r->wait->scope_slice != NULL,
                                .lease_usec = r->lease_usec,
                                .has_priority = true,
                                .priority = r->priority,
                                .queue = r->wait->patient,
                                .exclusive = r->exclusive,
                                .nodes = r->wait->nodes,
                                .near = r->wait->near };
        if (r->wait->deadline_usec != TIMESPAN_INFINITY)
                k = sd_event_add_time(book->core->event, &w->deadline, CLOCK_BOOTTIME,
                                      r->wait->deadline_usec, ACCURACY, waiter_on_deadline, w);
        if (k >= 0)
                k = string_copy(name, &w->name);
        if (k >= 0 && name)
                k = peers_watch(book->core->peers, name, client_gone, w, &w->client);
        if (k >= 0)
                k = queue_add(book->queue, &w->request, claims);
        return k;
}

static void tell_queued(Entry *e, const Decision *d)
{
        char nodes[NODESET_STR_MAX], policy[512], size[SIZE_STR_MAX];
        Event ev = book_event(e, EVENT_QUEUED, nodes, policy);

        ev.reason = d->reason;
        Book *book = e->book;
        event_emit_limited(book->core->notify, book->core->event_limit, clock_monotonic_usec(), NULL, &ev,
                           "reservation %" PRIu32 " (%s of %s for %s) is queued as number %zu: %s", e->id,
                           size_format(e->r->size_bytes, size), e->r->pool, ledger_tenant_key(e->r->target),
                           queue_position(book->queue, e->id) + 1, d->reason);
}

int waiter_enqueue(Waiters *s, Identity *identity, const RequestArgs *args, const Decision *d,
                   const NodeSet *near, uint32_t *ret_id)
{
        _cleanup_(reservation_free_p) Reservation *r = NULL;
        Book *book = s->book;
        Entry *e;

        int k = make_reservation(book, identity, args, d, near, &r);
        if (k >= 0)
                k = book_add(book, r, STORE_QUEUED, &e);
        if (k < 0) {
                identity_free(identity);
                return k;
        }
        TAKE_PTR(r);
        k = waiter_new(s, e, identity, &d->claims, args->client);
        if (k >= 0)
                k = book_store(e);
        if (k < 0) {
                e->known = false;
                book_forget(e);
                return k;
        }
        *ret_id = e->id;
        notify_reservation_added(book->core->notify, e->id);
        tell_queued(e, d);
        waiter_revoke_victims(e->waiter, d);
        notify_room(book->core->notify);
        return 0;
}

/* --- after a restart ---------------------------------------------------------------------------------- */

static int reopen_process(Book *book, const Wait *w, Identity *i)
{
        uint64_t start = 0;

        if (w->pid == 0)
                return 0;
        i->pidfd = pidfd_open(w->pid, 0);
        if (i->pidfd < 0)
                return -errno;
        i->pid = w->pid;
        i->pid_start = w->pid_start;
        if (process_start_time(book->core->root, w->pid, &start) < 0)
                start = 0;
        return start == w->pid_start && process_is_alive(i->pidfd) ? 0 : -ESRCH;
}

static int waiter_reopen(Entry *e, Identity **ret)
{
        _cleanup_(identity_free_p) Identity *i = calloc(1, sizeof(*i));
        const Wait *w = e->r->wait;

        if (!i)
                return -ENOMEM;
        i->pidfd = -EBADF;
        i->sender_uid = e->r->requester;
        i->move = w->scope_slice != NULL;
        int r = subject_copy(e->r->target, &i->subject);
        if (r >= 0)
                r = string_copy(w->scope_slice, &i->scope_slice);
        if (r >= 0)
                r = reopen_process(e->book, w, i);
        if (r >= 0)
                *ret = TAKE_PTR(i);
        return r;
}

/* Reads the client's name; -ESTALE: another bus assigned it. */
static int read_client(Book *book, const Wait *w, char **ret)
{
        _cleanup_free_ char *name = NULL, *again = NULL;

        if (!w->client)
                return 0;
        name = strndup(w->client, strcspn(w->client, " "));
        if (!name)
                return -ENOMEM;
        int r = format_client(book, name, &again);
        if (r < 0)
                return r;
        if (strcmp(again, w->client) != 0)
                return -ESTALE;
        *ret = TAKE_PTR(name);
        return 0;
}

static void waiter_answered(Waiter *w)
{
        w->asked = false;
        waiters_settled(w->set);
}

static void waiter_on_owner(int error, const NameRecord *user, void *userdata)
{
        Waiter *w = userdata;
        Subject *s = w->entry->r->target;

        w->name_question = NULL;
        if (error >= 0 && !user->name)
                error = -ENOENT;
        if (error >= 0)
                error = subject_become(s, s->uid, user->name, user->gids, user->n_gids);
        if (error < 0)
                waiter_dequeue(w->entry, CDM_ERROR_STALE,
                               "cancelled: the groups of the user for whom it is cannot be looked up");
        else
                waiter_answered(w);
}

/* The reservation is for another user than the client's, and the bus does not know that user's groups. */
static void waiter_ask_owner(Waiter *w)
{
        const Subject *s = w->entry->r->target;
        char number[16];

        snprintf(number, sizeof(number), "%u", s->uid);
        int r = names_ask(w->entry->book->core->names, NAME_MEMBER, number, w->entry->r->requester,
                          waiter_on_owner, w, &w->name_question);
        if (r < 0)
                waiter_on_owner(r, NULL, w);
}

/* Reads the client's groups from the bus, because they are not stored. */
static void waiter_on_sender(int error, const Sender *sender, void *userdata)
{
        Waiter *w = userdata;
        Subject *s = w->entry->r->target;

        w->question = sd_bus_slot_unref(w->question);
        if (error < 0 || sender->uid != w->entry->r->requester) {
                client_gone(w);
                return;
        }
        if (!s->nobody && s->uid != sender->uid) {
                waiter_ask_owner(w);
                return;
        }
        free(s->gids);
        s->n_gids = 0;
        s->gids = sender->n_gids && !s->nobody ? malloc(sender->n_gids * sizeof(gid_t)) : NULL;
        if (s->gids) {
                memcpy(s->gids, sender->gids, sender->n_gids * sizeof(gid_t));
                s->n_gids = sender->n_gids;
        }
        waiter_answered(w);
}

static int waiter_restore(Waiters *s, Entry *e)
{
        _cleanup_free_ char *name = NULL;
        Book *book = e->book;
        Identity *identity;

        int r = read_client(book, e->r->wait, &name);
        if (r >= 0)
                r = waiter_reopen(e, &identity);
        if (r < 0)
                return r;
        const Pool *pool = pool_set_find(book->pools, e->r->pool);
        r = waiter_new(s, e, identity, pool ? &pool->nodes : &NODESET_EMPTY, name);
        if (r < 0 || !name)
                return r;
        /* The client may have left before the watch began. The bus does not count calls to itself as
         * pending. */
        r = sender_fetch(book->core->senders, name, waiter_on_sender, e->waiter, &e->waiter->question);
        if (r >= 0) {
                e->waiter->asked = true;
                s->pending++;
        }
        return r;
}

/* If the waiter of a revoked reservation is gone, cancels the revocation. */
static void waiter_restore_victim(uint32_t id, void *userdata)
{
        Waiters *s = userdata;
        Entry *e = book_find(s->book, id), *w;

        if (!e || e->r->state != RESERVATION_REVOKING || e->r->revoked_for == 0)
                return;
        w = book_find(s->book, e->r->revoked_for);
        if (!w || !w->waiter || waiter_remember_victim(w->waiter, e->id) < 0)
                lease_keep_soon(s->leases, e);
}

static void waiter_restore_or_end(uint32_t id, void *userdata)
{
        Waiters *s = userdata;
        Entry *e = book_find(s->book, id);

        if (e && e->phase == STORE_QUEUED && waiter_restore(s, e) < 0)
                waiter_dequeue(e, CDM_ERROR_STALE, "cancelled: the client that waited for it disconnected");
}

static void waiters_on_restored(int result _unused_, void *userdata)
{
        Waiters *s = userdata;

        entry_walk_begin(s->victims_walk);
}

static void waiters_on_victims_restored(int result _unused_, void *userdata)
{
        waiters_settled(userdata);
}

void waiters_restore(Waiters *s, void (*done)(void *userdata), void *userdata)
{
        s->restored = done;
        s->userdata = userdata;
        s->pending = 1;
        entry_walk_begin(s->walk);
}
