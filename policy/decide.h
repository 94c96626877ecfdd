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
        int32_t priority;      /* requested, or the rule's default; also set when queued */
        Share shares[SHARES_MAX];
        size_t n_shares;

        /* When queued: */
        NodeSet claims;  /* usable nodes, closed to later waiters; empty: the request waits for its quota */
        Victim *victims; /* reservations to preempt, without those that are already leaving */
        size_t n_victims;
} Decision;

Decision *decision_free(Decision *d);
DEFINE_CLEANUP(Decision, decision_free);

/* -ENOMEM, or 0 with a record. The order of the checks: the request makes sense, the pool exists, the first
 * rule that matches, Deny=, Nodes=, Limit=, Lease=, Priority=, Exclusive=, MaxPerUser= (not for root),
 * Quota=, QuotaPerUser=, room. An exclusive request must stay within Limit=, Quota= and QuotaPerUser= with
 * the whole nodes that it is charged.
 *
 * VERDICT_QUEUED: the request asks for the queue, OnFull= allows it, and the request would fit if others
 * released; or OnFull=preempt, and it will fit once the leaving reservations and the victims have left.
 * Nodes that earlier waiters claim count as full.
 *
 * Placement: one node that holds all of it and has no other tenant; else one node that holds it; else
 * several nodes, those without other tenants first. Among equals the one nearest to request->near, then the
 * faster, then the one that fits tightest, then the lowest number. An exclusive node is not given to others,
 * even when room appears there. */
int decide(const Snapshot *s, const Request *request, Decision **ret);

/* The checks of decide() before that of room. They do not depend on what is used of the nodes, so s->use may be
 * out of date. *ret: the answer, which is a refusal unless the request waits already; NULL if only decide() can
 * answer. */
int decide_early(const Snapshot *s, const Request *request, Decision **ret);

/* True if a quota is less than the request and what is in use, or if there is no pool or rule for the request. */
bool decide_is_over_quota(const Snapshot *s, const Request *request);

/* A change of the size of a reservation. */
typedef struct ResizeRequest {
        const Reservation *reservation;
        uint64_t size_bytes;
        const Subject *subject; /* the target, with the owner's groups; may be NULL to shrink */
        const Share *buffers;   /* the bytes of its exact buffers on each node */
        size_t n_buffers;
} ResizeRequest;

/* As decide(). A granted record has all shares of the new size.
 *
 * Smaller: nodes that are shut give up their bytes first, then the last shares. No share becomes smaller
 * than the buffers on its node.
 *
 * Larger: judged like a new request of the target for the whole new size, under the rule that matches now.
 * The reservation belongs to that rule from then on. Its present bytes count once. Its own nodes are used if
 * they have enough room, else all allowed nodes.
 *
 * The verdict is never VERDICT_QUEUED, and no reservation is displaced. */
int decide_resize(const Snapshot *s, const ResizeRequest *request, Decision **ret);

/* The nodes of the pool that both the request and the rule allow. rule may be NULL. */
NodeSet decide_allowed_nodes(const Request *request, const Pool *pool, const Rule *rule);

/* The guarantee that the reservation has now. */
Strength decide_strength(const Snapshot *s, const Reservation *r);
