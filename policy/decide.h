/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one place that answers a request: the input is topology, pools, rules, ledger and the request, the
 * output is a record. decide() changes nothing: the caller acts on the record. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/config.h"
#include "policy/ledger.h"
#include "policy/macro.h"
#include "policy/pool.h"
#include "policy/preempt.h"
#include "policy/queue.h"
#include "policy/rule.h"
#include "policy/subject.h"
#include "policy/topology.h"

typedef enum Verdict {
        VERDICT_GRANTED,
        VERDICT_QUEUED,
        VERDICT_DENIED,  /* by policy */
        VERDICT_FULL,    /* would be allowed, but there is no room */
        VERDICT_NO_POOL, /* no such pool */
        VERDICT_INVALID, /* the request makes no sense (size 0, nodes outside the pool) */
        _VERDICT_MAX,
} Verdict;

const char *verdict_to_string(Verdict v);

struct Request {
        uint32_t id; /* of one that waits in the queue; 0: new */
        const char *pool;
        uint64_t size_bytes;
        const Subject *subject;
        uint64_t lease_usec; /* 0: not asked for */
        int32_t priority;
        bool queue;
        bool at_once; /* it cannot wait, and therefore cannot preempt: Static= */
        bool exclusive;
        NodeSet nodes; /* only these; empty: any of the pool */
        NodeSet near;  /* nodes whose CPUs the cgroup may use; empty: no preference */
};

/* One CDM node as observed just now. */
typedef struct NodeUse {
        int node;
        uint64_t
                foreign_bytes; /* used bytes that no reservation explains: intruders, residue, unattributed */
        bool closed;           /* offline or drained by the admin: no new grants */
} NodeUse;

typedef struct Snapshot {
        const Topology *topology;
        const PoolSet *pools;
        const Config *config;
        const Ledger *ledger;
        const Queue *queue; /* NULL: nobody waits */
        const NodeUse *use; /* nodes that are missing here have no foreign bytes */
        size_t n_use;
        uint64_t page_bytes;
        uint64_t now_usec; /* CLOCK_BOOTTIME */
} Snapshot;

typedef struct Decision {
        Verdict verdict;
        char *reason;     /* one sentence for the user, with the rule's FILE:LINE where one decided */
        const Rule *rule; /* the rule that decided, borrowed from the config; NULL: none matched */
        unsigned line;    /* in rule->file: the key that decided, else [Match] */

        /* The change, when granted: */
        uint64_t size_bytes; /* rounded up; for exclusive the whole nodes */
        uint64_t lease_usec;
        uint64_t expires_usec; /* CLOCK_BOOTTIME */
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
 * Limit=, Lease=, Priority=, Exclusive=, MaxPerUser= (for everybody but root), Quota=, room. An exclusive
 * request must stay within Limit= and Quota= with the whole nodes that it is charged. Queued: asked for,
 * allowed by OnFull=, and it would fit if others released; or OnFull=preempt, and it will fit once the
 * leaving reservations and the victims have left. Nodes that earlier waiters claim count as full.
 *
 * Placement: one node that holds all of it and has no other tenant; else one node that holds it; else
 * several nodes, those without other tenants first. Among equals the one nearest to request->near, then the
 * faster, then the one that fits tightest, then the lowest number. An exclusive node is not given to others,
 * even when room appears there. */
int decide(const Snapshot *s, const Request *request, Decision **ret);

/* Of the pool, or those that it names. */
NodeSet decide_allowed_nodes(const Request *request, const Pool *pool);

/* capacity - headroom - reserved - foreign, at least 0; 0 for a node that is closed or in no pool. */
uint64_t decide_node_available(const Snapshot *s, int node);
/* The same as if nothing were reserved. */
uint64_t decide_node_promisable(const Snapshot *s, int node);
uint64_t decide_pool_available(const Snapshot *s, const Pool *pool);

/* The memory that backs the reservation now. */
Strength decide_strength(const Snapshot *s, const Reservation *r);
