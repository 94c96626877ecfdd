/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The only place where requests are judged. A request of an ordinary user is judged twice: before polkit is
 * asked, so that no user types a password for a request that policy refuses anyway, and again afterwards,
 * because the machine may have changed: polkit may take minutes. A judgement therefore records whether the
 * caller was authorised when it was made, and is carried out only if so. A refusal is reported as it was
 * judged, and is not judged again. */

#include "daemon/tenant/judgement.h"

#include <inttypes.h>
#include <stdio.h>

#include "daemon/loop/clock.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/machine-facts.h"
#include "daemon/tenant/request-args.h"
#include "daemon/tenant/snapshot.h"
#include "daemon/tenant/usage.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

static const char *const verdict_errors[_VERDICT_MAX] = {
        [VERDICT_GRANTED] = NULL,
        [VERDICT_QUEUED] = NULL,
        [VERDICT_DENIED] = CDM_ERROR_DENIED,
        [VERDICT_FULL] = CDM_ERROR_FULL,
        [VERDICT_NO_POOL] = CDM_ERROR_NO_SUCH_POOL,
        [VERDICT_INVALID] = CDM_ERROR_INVALID,
        [VERDICT_STALE] = CDM_ERROR_STALE,
};

const char *decision_error(Verdict v)
{
        return v < _VERDICT_MAX ? verdict_errors[v] : CDM_ERROR_INVALID;
}

void judgement_clear(Judgement *j)
{
        decision_free(j->decision);
        *j = (Judgement){ 0 };
}

bool judgement_is_refusal(const Judgement *j)
{
        return decision_error(j->decision->verdict) != NULL;
}

bool judgement_may_act(const Judgement *j)
{
        return j->authorised && !judgement_is_refusal(j);
}

static Request judgement_request(const Identity *i, const RequestArgs *a, const NodeSet *near)
{
        return (Request){
                .pool = a->pool,
                .size_bytes = a->size_bytes,
                .subject = i->subject,
                .moves = i->move,
                .lease_usec = a->lease_usec,
                .has_priority = a->has_priority,
                .priority = a->priority,
                .queue = a->queue,
                .at_once = a->with_start,
                .exclusive = a->exclusive,
                .nodes = a->nodes,
                .near = nodeset_is_empty(&a->near) ? *near : a->near,
        };
}

int request_decide(Book *book, const Identity *i, const RequestArgs *a, const UsageTarget *target,
                   bool authorised, Judgement *ret)
{
        Snapshot s = snapshot_take(book, pool_set_find(book->pools, a->pool));
        Request q = judgement_request(i, a, &target->near);

        *ret = (Judgement){ .authorised = authorised };
        return decide(&s, &q, &ret->decision);
}

int request_decide_early(Book *book, const Identity *i, const RequestArgs *a, Decision **ret)
{
        Snapshot s = snapshot_take(book, pool_set_find(book->pools, a->pool));
        Request q = judgement_request(i, a, &(NodeSet){ 0 });

        return decide_early(&s, &q, ret);
}

void request_tell_refused(Book *book, const Identity *i, const RequestArgs *a, const Decision *d)
{
        char policy[512], size[SIZE_STR_MAX], number[12];
        Event ev = { .kind = d->verdict == VERDICT_FULL ? EVENT_FULL : EVENT_DENIED,
                     .has = EVENT_HAS_SIZE | EVENT_HAS_UID,
                     .pool = a->pool,
                     .unit = i->subject->unit,
                     .cgroup = i->subject->cgroup,
                     .reason = d->reason,
                     .size_bytes = a->size_bytes,
                     .uid = i->subject->uid };

        if (d->verdict != VERDICT_FULL && d->verdict != VERDICT_DENIED)
                return;
        if (d->rule) {
                snprintf(policy, sizeof(policy), "%s:%u", d->rule->file, d->line);
                ev.policy = policy;
        }
        snprintf(number, sizeof(number), "%u", ev.uid);
        event_emit_limited(book->core->notify, book->core->event_limit, clock_monotonic_usec(), NULL, &ev,
                           "%s of %s for %s, asked by user %s: %s", size_format(a->size_bytes, size),
                           a->pool, ledger_tenant_key(i->subject),
                           i->subject->user ? i->subject->user : number, d->reason);
}

int judgement_reservation_new(Book *book, const Identity *i, const RequestArgs *a, const Decision *d,
                              uint32_t id, Reservation **ret)
{
        _cleanup_(reservation_free_p) Reservation *r = NULL;

        int k = reservation_new(&r);
        if (k < 0)
                return k;
        r->id = id;
        if (id == 0)
                k = store_next_id(book->core->store, &r->id);
        if (k < 0)
                return k;
        r->target = subject_free(r->target);
        k = subject_copy(i->subject, &r->target);
        if (k < 0)
                return k;
        r->pool = strdup(a->pool);
        r->rule_file = d->rule ? strdup(d->rule->file) : NULL;
        if (!r->pool || (d->rule && !r->rule_file))
                return -ENOMEM;
        r->requester = i->sender_uid;
        r->rule_line = d->line;
        r->size_bytes = d->size_bytes;
        r->priority = d->priority;
        r->exclusive = a->exclusive;
        r->asked = a->nodes;
        *ret = TAKE_PTR(r);
        return 0;
}
