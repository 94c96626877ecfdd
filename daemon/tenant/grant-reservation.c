/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The reservation that a grant adds to the ledger. */

#include "daemon/tenant/grant-reservation.h"

#include "daemon/tenant/judgement.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/loop/notify.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/request-args.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

/* The ordinary nodes that the unit keeps: its base, if there is a grant; else those in mems; else all. */
static NodeSet grant_find_base(Book *book, const Subject *target, const NodeSet *mems)
{
        NodeSet base = ledger_base_of_tenant(book->ledger, ledger_tenant_key(target));

        if (!nodeset_is_empty(&base))
                return base;
        base = nodeset_intersect(mems, &book->pools->ordinary);
        return nodeset_is_empty(&base) ? book->pools->ordinary : base;
}

/* Makes the new scope the target of a caller that is moved. The scope does not exist yet. */
static int grant_scope_subject(Reservation *r, const Identity *i)
{
        Subject *s = r->target;

        r->scope = true;
        free(s->unit);
        free(s->slice);
        free(s->cgroup);
        s->cgroup = NULL;
        s->cgroup_id = 0;
        s->unit_uid = UID_NONE;
        s->slice = strdup(i->scope_slice);
        if (asprintf(&s->unit, CDM_SCOPE_PREFIX "%" PRIu32 ".scope", r->id) < 0)
                s->unit = NULL;
        return s->unit && s->slice ? 0 : -ENOMEM;
}

int grant_make_reservation(Book *book, const Identity *i, const RequestArgs *a, const Decision *d,
                           const NodeSet *mems, uint32_t id, Reservation **ret)
{
        _cleanup_(reservation_free_p) Reservation *r = NULL;

        int k = judgement_reservation_new(book, i, a, d, id, &r);
        if (k >= 0 && i->move)
                k = grant_scope_subject(r, i);
        if (k >= 0)
                k = reservation_set_shares(r, d->shares, d->n_shares);
        if (k < 0)
                return k;
        r->state = RESERVATION_ACTIVE;
        r->capped = i->move && a->bind;
        r->with_start = a->with_start;
        r->lease_usec = r->term_usec = d->lease_usec;
        r->expires_usec = d->expires_usec;
        r->base = grant_find_base(book, r->target, i->move ? &NODESET_EMPTY : mems);
        *ret = TAKE_PTR(r);
        return 0;
}

int grant_replace(Entry *e, Reservation *r)
{
        Ledger *l = e->book->ledger;
        Reservation *before = ledger_take(l, e->id);

        int k = ledger_add(l, r);
        if (k < 0) {
                if (ledger_add(l, before) < 0)
                        log_error("out of memory: reservation %" PRIu32 " is lost", e->id);
                return k;
        }
        e->r = r;
        e->phase = STORE_GRANTING;
        reservation_free(before);
        return 0;
}

void grant_tell_clients(Entry *e)
{
        if (!e->known) {
                e->known = true;
                notify_reservation_added(e->book->core->notify, e->id);
                return;
        }
        notify_reservation_changed(e->book->core->notify, e->id, RESERVATION_CHANGED_ALL);
}

void grant_tell_granted(const Entry *e, bool migrate, uint64_t moved_bytes, uint64_t failed_bytes)
{
        char nodes[NODESET_STR_MAX], policy[512], size[SIZE_STR_MAX];
        Event ev = book_event(e, EVENT_GRANTED, nodes, policy);
        Core *core = e->book->core;

        if (migrate) {
                ev.has |= EVENT_HAS_MOVED | EVENT_HAS_FAILED;
                ev.moved_bytes = moved_bytes;
                ev.failed_bytes = failed_bytes;
        }
        event_emit_limited(core->notify, core->event_limit, clock_monotonic_usec(), EVENT_ALL_CLIENTS, &ev,
                           "reservation %" PRIu32 ": %s of %s granted to %s on node %s, by %s", e->id,
                           size_format(e->r->size_bytes, size), e->r->pool, ledger_tenant_key(e->r->target),
                           ev.nodes, ev.policy ? ev.policy : "no rule");
}
