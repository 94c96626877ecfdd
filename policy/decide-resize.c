/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Decides whether a reservation may get another size, and on which nodes. */

#include <errno.h>
#include <string.h>

#include "policy/decide-internal.h"

static uint64_t resize_buffer_bytes(const ResizeRequest *q, int node)
{
        for (size_t i = 0; i < q->n_buffers; i++)
                if (q->buffers[i].node == node)
                        return q->buffers[i].bytes;
        return 0;
}

static int resize_check(Case *c, const ResizeRequest *q)
{
        const Reservation *r = q->reservation;
        char held[SIZE_EXACT_MAX];
        uint64_t buffers = 0;

        for (size_t i = 0; i < q->n_buffers; i++)
                buffers += q->buffers[i].bytes;
        if (r->exclusive)
                return decide_answer(
                        c, VERDICT_INVALID,
                        "an exclusive reservation has whole nodes and cannot be resized; release it and ask for "
                        "a new one");
        if (r->state != RESERVATION_ACTIVE && r->state != RESERVATION_DEGRADED)
                return decide_answer(
                        c, VERDICT_STALE,
                        "the reservation is %s; only one that is active or degraded can be changed",
                        reservation_state_to_string(r->state));
        if (c->size_bytes < buffers)
                return decide_answer(
                        c, VERDICT_INVALID,
                        "its buffers hold %s; ask for that or more, or close some of them first",
                        decide_format_exact(buffers, held));
        return 0;
}

/* Cuts up to `bytes` off the share, but nothing that its buffers need. Returns the bytes still to cut. */
static uint64_t resize_cut(const ResizeRequest *q, Share *share, uint64_t bytes)
{
        uint64_t floor = resize_buffer_bytes(q, share->node);
        uint64_t free = share->bytes > floor ? share->bytes - floor : 0;
        uint64_t cut = free < bytes ? free : bytes;

        share->bytes -= cut;
        return bytes - cut;
}

static int resize_shrink(Case *c, const ResizeRequest *q)
{
        const Reservation *r = q->reservation;
        NodeSet shut = ledger_shut_nodes(c->s->ledger);
        uint64_t left = r->size_bytes - c->size_bytes;
        Share shares[SHARES_MAX];
        char size[SIZE_EXACT_MAX];
        Decision *d = c->d;

        memcpy(shares, r->shares, r->n_shares * sizeof(Share));
        for (int pass = 0; pass < 2; pass++)
                for (size_t i = r->n_shares; i > 0; i--)
                        if (pass == 1 || nodeset_contains(&shut, shares[i - 1].node))
                                left = resize_cut(q, &shares[i - 1], left);
        for (size_t i = 0; i < r->n_shares; i++)
                if (shares[i].bytes > 0)
                        d->shares[d->n_shares++] = shares[i];
        d->size_bytes = c->size_bytes + left;
        return decide_answer(c, VERDICT_GRANTED, "it has %s from now on",
                             decide_format_exact(d->size_bytes, size));
}

static int resize_grow(Case *c, const ResizeRequest *q)
{
        static const check_t checks[] = { decide_check_pool, decide_check_nodes, decide_check_policy,
                                          decide_room_more, decide_grant };

        c->grows = q->reservation;
        return decide_run(c, checks, ARRAY_SIZE(checks));
}

int decide_resize(const Snapshot *s, const ResizeRequest *request, Decision **ret)
{
        const Reservation *r = request->reservation;
        _cleanup_(decision_free_p) Decision *d = calloc(1, sizeof(Decision));
        /* A resize neither waits nor displaces others. */
        Request q = { .pool = r->pool,
                      .size_bytes = request->size_bytes,
                      .subject = request->subject ? request->subject : r->target,
                      .lease_usec = r->lease_usec,
                      .has_priority = true,
                      .priority = r->priority,
                      .at_once = true,
                      .nodes = r->asked };
        const char *tenant = ledger_tenant_key(r->target);
        Case c = { .s = s, .q = &q, .tenant = tenant, .booked = tenant, .d = d };

        if (!d)
                return -ENOMEM;
        int k = decide_check_size(&c);
        if (k >= 0 && !d->reason)
                k = resize_check(&c, request);
        if (k >= 0 && !d->reason)
                k = c.size_bytes > r->size_bytes ? resize_grow(&c, request) : resize_shrink(&c, request);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(d);
        return 0;
}
