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

#include "daemon/loop/log.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/entry-walk.h"
#include "daemon/tenant/follow.h"

struct Degrades {
        Book *book;
        FollowSet *follows;
        BufferSet *buffers;
        EntryWalk *walk;
        bool follow; /* argument of the walk in progress */
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
static NodeSet degrade_lost_nodes(Book *book, const Reservation *r)
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
        degrade_set_state(e, RESERVATION_DEGRADED);
        event_emit(book->core->notify, &ev, "reservation %" PRIu32 " of %s is degraded: %s", e->id,
                   ledger_tenant_key(e->r->target), reason);
}

static void degrade_restore(Entry *e)
{
        char nodes[NODESET_STR_MAX], policy[512];
        Event ev = book_event(e, EVENT_RESTORED, nodes, policy);

        degrade_set_state(e, RESERVATION_ACTIVE);
        event_emit(e->book->core->notify, &ev, "reservation %" PRIu32 " of %s is whole again, on node %s",
                   e->id, ledger_tenant_key(e->r->target), nodes);
}

typedef struct Restoration {
        Book *book;
        size_t n;
        uint32_t *ids;
} Restoration;

static int degrade_collect(Reservation *r, void *userdata)
{
        Restoration *c = userdata;
        Entry *e = book_find(c->book, r->id);

        if (e && e->phase == STORE_GRANTED && r->state == RESERVATION_DEGRADED)
                c->ids[c->n++] = r->id;
        return 0;
}

/* The tenant's cgroup has been verified against the ledger as it was when the change began. If the ledger
 * has changed since, another change waits, and its callback restores the reservations. */
static void degrade_on_followed(const ApplyResult *result, const char *tenant, void *userdata)
{
        Degrades *s = userdata;
        Restoration c = { .book = s->book };
        Event ev = { .kind = EVENT_FAILED, .unit = tenant, .reason = result->message };

        if (result->error < 0) {
                event_emit(c.book->core->notify, &ev,
                           "the nodes of %s could not be set as reserved: %s; `cdmctl reload` tries again",
                           tenant, result->message ? result->message : strerror(-result->error));
                return;
        }
        if (follows_is_due(s->follows, tenant))
                return;
        c.ids = malloc(sizeof(uint32_t) * (ledger_tenant_count(c.book->ledger, tenant) + 1));
        if (!c.ids)
                return;
        ledger_foreach_of_tenant(c.book->ledger, tenant, degrade_collect, &c);
        for (size_t i = 0; i < c.n; i++) {
                Entry *e = book_find(c.book, c.ids[i]);
                NodeSet lost = degrade_lost_nodes(c.book, e->r);

                if (nodeset_is_empty(&lost) && !e->degraded)
                        degrade_restore(e);
        }
        free(c.ids);
        buffers_look(s->buffers); /* their pages also move back */
}

void degrade_judge(Degrades *s, Entry *e, bool follow)
{
        ReservationState before = e->r->state;

        if (e->phase != STORE_GRANTED || (before != RESERVATION_ACTIVE && before != RESERVATION_DEGRADED))
                return;
        NodeSet lost = degrade_lost_nodes(e->book, e->r);
        bool whole = nodeset_is_empty(&lost);
        if (before == RESERVATION_ACTIVE && whole)
                return;
        if (before == RESERVATION_ACTIVE)
                degrade_tell(e, &lost);
        else if (!whole)
                return;
        if (follow)
                follows_add(s->follows, ledger_tenant_key(e->r->target), NULL, degrade_on_followed, s);
}

/* When the last reason is cleared, degrade_judge() checks the nodes, which is the only other cause. */
void degrade_set(Degrades *s, Entry *e, Degraded why, bool on)
{
        unsigned now = on ? e->degraded | why : e->degraded & ~(unsigned)why;

        if (now == e->degraded)
                return;
        e->degraded = now;
        if (!now) {
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

static void degrade_judge_one(uint32_t id, void *userdata)
{
        Degrades *s = userdata;
        Entry *e = book_find(s->book, id);

        if (e)
                degrade_judge(s, e, s->follow);
}

static void degrade_on_walked(int result _unused_, void *userdata)
{
        Degrades *s = userdata;

        s->follow = false;
}

void degrades_judge(Degrades *s, bool follow)
{
        s->follow = s->follow || follow;
        entry_walk_begin(s->walk);
}

int degrades_new(Book *book, FollowSet *follows, BufferSet *buffers, Degrades **ret)
{
        Degrades *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (Degrades){ .book = book, .follows = follows, .buffers = buffers };
        int r = entry_walk_new(book->core->event, book->ledger, degrade_judge_one, degrade_on_walked, s,
                               &s->walk);
        if (r < 0) {
                free(s);
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
        free(s);
        return NULL;
}
