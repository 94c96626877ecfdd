/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one place that answers a request: the input is topology, pools, rules, ledger and the request, the
 * output is a record. decide() changes nothing: the caller acts on the record. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/macro.h"
#include "policy/preempt.h"
#include "policy/request.h"
#include "policy/rule.h"
#include "policy/snapshot.h"

typedef enum Verdict {
        VERDICT_GRANTED,
        VERDICT_QUEUED,
        VERDICT_DENIED,  /* by policy */
        VERDICT_FULL,    /* would be allowed, but there is no room */
        VERDICT_NO_POOL, /* no such pool */
        VERDICT_INVALID, /* the request makes no sense (size 0, nodes outside the pool) */
        VERDICT_STALE,   /* the reservation cannot be changed now */
        _VERDICT_MAX,
} Verdict;

const char *verdict_to_string(Verdict v);

typedef struct Decision {
        Verdict verdict;
        char *reason;     /* one sentence for the user, with the rule's FILE:LINE where one decided */
        const Rule *rule; /* the rule that decided, borrowed from the config; NULL: none matched */
        unsigned line;    /* in rule->file: the key that decided, else [Match] */

        /* The change, when granted: */
        uint64_t size_bytes; /* rounded up; for exclusive the whole nodes */
        uint64_t lease_usec;
        uint64_t expires_usec; /* CLOCK_BOOTTIME */
        int32_t priority;      /* as asked for, or the rule's default; when queued as well */
        Share shares[SHARES_MAX];
        size_t n_shares;

        /* When queued: */
        NodeSet claims; /* nodes that it could use, closed to later waiters; empty: it waits for its quota */
        Victim *victims; /* reservations to preempt, without those that already leave */
        size_t n_victims;
} Decision;

Decision *decision_free(Decision *d);
DEFINE_CLEANUP(Decision, decision_free);

/* -ENOMEM, or 0 with a record. The order: request makes sense, pool exists, first rule that matches, Deny=,
 * Nodes=, Limit=, Lease=, Priority=, Exclusive=, MaxPerUser= (for everybody but root), Quota=,
 * QuotaPerUser=, room. An exclusive request must stay within Limit=, Quota= and QuotaPerUser= with the whole
 * nodes that it is charged. Queued: asked for,
 * allowed by OnFull=, and it would fit if others released; or OnFull=preempt, and it will fit once the
 * leaving reservations and the victims have left. Nodes that earlier waiters claim count as full.
 *
 * Placement: one node that holds all of it and has no other tenant; else one node that holds it; else
 * several nodes, those without other tenants first. Among equals the one nearest to request->near, then the
 * faster, then the one that fits tightest, then the lowest number. An exclusive node is not given to others,
 * even when room appears there. */
int decide(const Snapshot *s, const Request *request, Decision **ret);

/* A change of the size of a reservation. */
typedef struct ResizeRequest {
        const Reservation *reservation;
        uint64_t size_bytes;
        const Subject *subject; /* its target, with the owner's groups; to shrink it may be NULL */
        const Share *buffers;   /* what its exact buffers hold of each node */
        size_t n_buffers;
} ResizeRequest;

/* As decide(): granted with the shares that it has then. Smaller: the nodes that are shut give up theirs first, then
 * the last ones; none less than its buffers have there. Larger: as if the target asked anew for all of it under the
 * rule that matches now, which it belongs to from then on; what it has counts once. More of its nodes comes first,
 * then others. Never queued, and nobody is displaced. */
int decide_resize(const Snapshot *s, const ResizeRequest *request, Decision **ret);

/* Those of the pool that both the request and the rule name; rule: NULL where none is known. */
NodeSet decide_allowed_nodes(const Request *request, const Pool *pool, const Rule *rule);

/* The memory that backs the reservation now. */
Strength decide_strength(const Snapshot *s, const Reservation *r);
