/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Handles nodes that are shut. A node without memory is shut: the ledger opens it to no tenant. Its
 * reservations keep their terms and become `degraded`, and the node is removed from their cgroups. When the
 * memory of the node is back (perhaps less of it), the cgroups are widened and verified before the
 * reservations are `active` again. A node that an administrator drains is shut in the same way. */

#include "daemon/tenant/degrade.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/loop/log.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/entry-walk.h"
#include "daemon/tenant/follow.h"
#include "policy/topology.h"

#define RESTORED_A_SLICE 8

/* A tenant whose cgroup the walk in progress has already made follow. */
typedef struct Followed {
        UT_hash_handle hh;
        char tenant[];
} Followed;

/* Reservations of a tenant whose cgroup has been verified. */
typedef struct Restoration Restoration;
struct Restoration {
        unsigned judgement; /* the value of Degrades.judgement for which the cgroup was verified */
        size_t n, next;
        Restoration *prev, *after;
        uint32_t ids[];
};

struct Degrades {
        Book *book;
        FollowSet *follows;
        BufferSet *buffers;
        EntryWalk *walk;
        bool follow;        /* argument of the walk in progress */
        unsigned judgement; /* how often the nodes have changed */
        NodeSet shut;       /* as they were when the walk in progress, or the last one, began */
        NodeSet opened;     /* no longer shut; the walk in progress makes the cgroups follow */
        Followed *followed;
        Restoration *restorations;
        Slice *restoring;
};

void degrade_shut_nodes(Book *book)
{
        NodeSet memory = topology_memory_nodes(book->topology), shut = book->drained;

        for (int node = 0; node < NODE_MAX; node++)
                if (!nodeset_contains(&memory, node))
                        nodeset_add(&shut, node);
        ledger_shut(book->ledger, &shut);
}

/* The reservation's nodes that are shut, or have less memory than is reserved there. */
static NodeSet degrade_lost_nodes(const Book *book, const Reservation *r)
{
        NodeSet nodes = reservation_nodes(r), shut = ledger_shut_nodes(book->ledger),
                lost = nodeset_intersect(&nodes, &shut);

        NODESET_FOREACH (node, &nodes) {
                const Node *n = topology_find(book->topology, node);

                if (!n || n->size_bytes < ledger_node_reserved(book->ledger, node))
                        nodeset_add(&lost, node);
        }
        return lost;
}

static void degrade_set_state(Entry *e, ReservationState state)
{
        book_set_state(e, state);
        int r = book_store(e);
        if (r < 0)
                log_error("cannot store the state of reservation %" PRIu32 ": %s", e->id, strerror(-r));
}

static void degrade_tell(Entry *e, const NodeSet *lost)
{
        char nodes[NODESET_STR_MAX], list[NODESET_STR_MAX], policy[512], reason[NODESET_STR_MAX + 64];
        Book *book = e->book;
        Event ev = book_event(e, EVENT_DEGRADED, nodes, policy);

        nodeset_format(lost, list);
        snprintf(reason, sizeof(reason), "node %s %s", list,
                 nodeset_is_subset(lost, &book->drained) ? "is drained" : "has lost memory");
        ev.reason = reason;
        if (e->r->state == RESERVATION_ACTIVE)
                degrade_set_state(e, RESERVATION_DEGRADED);
        event_emit(book->core->notify, &ev, "reservation %" PRIu32 " of %s is degraded: %s", e->id,
                   ledger_tenant_key(e->r->target), reason);
}

static void degrade_restore(Entry *e)
{
        char nodes[NODESET_STR_MAX], policy[512];
        Event ev = book_event(e, EVENT_RESTORED, nodes, policy);

        e->degraded &= ~(unsigned)DEGRADED_NODES;
        if (e->r->state == RESERVATION_DEGRADED)
                degrade_set_state(e, RESERVATION_ACTIVE);
        event_emit(e->book->core->notify, &ev, "reservation %" PRIu32 " of %s is whole again, on node %s",
                   e->id, ledger_tenant_key(e->r->target), nodes);
}

/* A revoked reservation keeps its state, and may be kept later: leases.c then looks at `degraded`. */
static bool degrade_is_degraded(const Entry *e)
{
        return e->r->state == RESERVATION_DEGRADED ||
               (e->r->state == RESERVATION_REVOKING && e->degraded & DEGRADED_NODES);
}

static bool degrade_is_whole(Entry *e)
{
        NodeSet lost = degrade_lost_nodes(e->book, e->r);

        return e->phase == STORE_GRANTED && degrade_is_degraded(e) &&
               !(e->degraded & ~(unsigned)DEGRADED_NODES) && nodeset_is_empty(&lost);
}

/* --- what follows when a cgroup has been verified ------------------------------------------------------ */

static void degrade_follow(Degrades *s, const char *tenant);

static void degrade_drop_restoration(Degrades *s)
{
        Restoration *c = s->restorations;

        DL_DELETE2(s->restorations, c, prev, after);
        free(c);
}

/* If the nodes have changed since the cgroup was verified, the cgroup is verified again. */
static void degrade_on_restoring(void *userdata)
{
        Degrades *s = userdata;

        for (unsigned n = 0; s->restorations && n < RESTORED_A_SLICE; n++) {
                Restoration *c = s->restorations;
                Entry *e = book_find(s->book, c->ids[c->next++]);

                if (e && degrade_is_whole(e)) {
                        if (c->judgement == s->judgement)
                                degrade_restore(e);
                        else
                                degrade_follow(s, ledger_tenant_key(e->r->target));
                }
                if (c->next == c->n)
                        degrade_drop_restoration(s);
        }
        slice_set(s->restoring, s->restorations != NULL);
}

static bool degrade_has_followed(const Degrades *s, const char *tenant)
{
        const Followed *f;

        HASH_FIND_STR(s->followed, tenant, f);
        return f;
}

typedef struct Whole {
        Book *book;
        Restoration *c;
} Whole;

static int degrade_collect(Reservation *r, void *userdata)
{
        Whole *w = userdata;
        Entry *e = book_find(w->book, r->id);

        if (e && degrade_is_whole(e))
                w->c->ids[w->c->n++] = r->id;
        return 0;
}

static void degrade_restore_tenant(Degrades *s, const char *tenant)
{
        size_t n = ledger_tenant_count(s->book->ledger, tenant);
        Whole w = { .book = s->book, .c = malloc(sizeof(Restoration) + n * sizeof(uint32_t)) };

        if (!w.c) {
                log_error("the reservations of %s stay degraded: %s; `cdmctl reload` tries again", tenant,
                          strerror(ENOMEM));
                return;
        }
        /* Until the walk reaches this tenant, its change may be older than the nodes: verify again. */
        bool stale = s->follow && !degrade_has_followed(s, tenant);
        *w.c = (Restoration){ .judgement = s->judgement - stale };
        ledger_foreach_of_tenant(s->book->ledger, tenant, degrade_collect, &w);
        if (w.c->n == 0) {
                free(w.c);
                return;
        }
        DL_APPEND2(s->restorations, w.c, prev, after);
        slice_set(s->restoring, true);
}

/* The tenant's cgroup has been verified against the ledger as it was when the change began. If the ledger
 * has changed since, another change waits, and its callback restores the reservations. */
static void degrade_on_followed(const ApplyResult *result, const char *tenant, void *userdata)
{
        Degrades *s = userdata;
        Event ev = { .kind = EVENT_FAILED, .unit = tenant, .reason = result->message };

        if (result->error < 0) {
                event_emit(s->book->core->notify, &ev,
                           "the nodes of %s could not be set as reserved: %s; `cdmctl reload` tries again",
                           tenant, result->message ? result->message : strerror(-result->error));
                return;
        }
        if (follows_is_due(s->follows, tenant))
                return;
        degrade_restore_tenant(s, tenant);
        buffers_look(s->buffers); /* their pages also move back */
}

static void degrade_follow(Degrades *s, const char *tenant)
{
        follows_add(s->follows, tenant, NULL, degrade_on_followed, s);
}

/* --- judging ------------------------------------------------------------------------------------------- */

/* True if the reservation's cgroup must follow the ledger. The loss of nodes is told once, whatever the state
 * says: a reservation that is fought over is `degraded` before, and a revoked one does not become so. */
static bool degrade_tell_if_lost(Entry *e)
{
        ReservationState state = e->r->state;

        if (e->phase != STORE_GRANTED ||
            (state != RESERVATION_ACTIVE && state != RESERVATION_DEGRADED && state != RESERVATION_REVOKING))
                return false;
        NodeSet lost = degrade_lost_nodes(e->book, e->r);
        bool whole = nodeset_is_empty(&lost), was_whole = !degrade_is_degraded(e);
        if (!whole && !(e->degraded & DEGRADED_NODES))
                degrade_tell(e, &lost);
        if (!whole)
                e->degraded |= DEGRADED_NODES;
        return was_whole != whole;
}

void degrade_judge(Degrades *s, Entry *e, bool follow)
{
        if (degrade_tell_if_lost(e) && follow)
                degrade_follow(s, ledger_tenant_key(e->r->target));
}

/* When the last other reason is cleared, degrade_judge() checks the nodes. */
void degrade_set(Degrades *s, Entry *e, Degraded why, bool on)
{
        unsigned now = on ? e->degraded | why : e->degraded & ~(unsigned)why;

        if (now == e->degraded)
                return;
        e->degraded = now;
        if (!(now & ~(unsigned)DEGRADED_NODES)) {
                degrade_judge(s, e, true);
                return;
        }
        if (e->r->state != RESERVATION_ACTIVE)
                return;
        book_set_state(e, RESERVATION_DEGRADED);
        int r = book_store(e);
        if (r < 0)
                log_error("cannot store the state of reservation %" PRIu32 ": %s", e->id, strerror(-r));
}

static void degrade_forget_followed(Degrades *s)
{
        Followed *f, *next;

        HASH_ITER (hh, s->followed, f, next) {
                HASH_DEL(s->followed, f);
                free(f);
        }
}

/* The nodes are the same for all reservations of a tenant, so one change is enough. */
static bool degrade_is_first_of_tenant(Degrades *s, const char *tenant)
{
        size_t n = strlen(tenant);

        if (degrade_has_followed(s, tenant))
                return false;
        Followed *f = calloc(1, sizeof(*f) + n + 1);
        if (f) { /* out of memory: a change more does no harm */
                memcpy(f->tenant, tenant, n + 1);
                HASH_ADD_STR(s->followed, tenant, f);
        }
        return true;
}

/* The cgroup may have been narrowed while the node was shut, even if no walk has come to the reservation. */
static bool degrade_is_opened(const Degrades *s, const Entry *e)
{
        NodeSet nodes = reservation_nodes(e->r);

        return e->phase == STORE_GRANTED && nodeset_intersects(&nodes, &s->opened);
}

static void degrade_judge_one(uint32_t id, void *userdata)
{
        Degrades *s = userdata;
        Entry *e = book_find(s->book, id);

        if (!e)
                return;
        unsigned before = e->degraded;
        const char *tenant = ledger_tenant_key(e->r->target);
        bool differs = degrade_tell_if_lost(e) || degrade_is_opened(s, e);
        bool follow = differs && s->follow && degrade_is_first_of_tenant(s, tenant);
        if (follow)
                degrade_follow(s, tenant);
        if (follow || e->degraded != before)
                entry_walk_changed(s->walk);
}

static void degrade_on_walked(int result _unused_, void *userdata)
{
        Degrades *s = userdata;

        s->follow = false;
        s->opened = NODESET_EMPTY;
        degrade_forget_followed(s);
}

void degrades_judge(Degrades *s, bool follow)
{
        NodeSet shut = ledger_shut_nodes(s->book->ledger), opened = nodeset_subtract(&s->shut, &shut);

        s->shut = shut;
        s->opened = nodeset_union(&s->opened, &opened);
        s->follow = s->follow || follow;
        s->judgement++;
        degrade_forget_followed(s);
        entry_walk_begin(s->walk);
}

/* --- beginning and end --------------------------------------------------------------------------------- */

int degrades_new(Book *book, FollowSet *follows, BufferSet *buffers, Degrades **ret)
{
        Degrades *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (Degrades){ .book = book, .follows = follows, .buffers = buffers };
        int r = entry_walk_new(book->core->event, book->ledger, degrade_judge_one, degrade_on_walked, s,
                               &s->walk);
        if (r >= 0)
                r = slice_new(book->core->event, degrade_on_restoring, s, &s->restoring);
        if (r < 0) {
                degrades_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

Degrades *degrades_free(Degrades *s)
{
        if (!s)
                return NULL;
        entry_walk_free(s->walk);
        slice_free(s->restoring);
        degrade_forget_followed(s);
        while (s->restorations)
                degrade_drop_restoration(s);
        free(s);
        return NULL;
}
