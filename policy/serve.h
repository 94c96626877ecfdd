/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Serves the queue after a change: bytes were freed, a reservation ended, or nodes or rules changed. The
 * caller acts on each record before it asks for the next one. */

#include "policy/decide.h"
#include "policy/queue.h"

typedef enum ServeAction {
        SERVE_GRANT,    /* the decision has the nodes; the caller dequeues and books the request */
        SERVE_DISPLACE, /* the decision names the victims; the waiter keeps waiting */
        SERVE_END,      /* no longer allowed, or can never fit; the caller dequeues the request */
        _SERVE_ACTION_MAX,
} ServeAction;

typedef struct Served {
        ServeAction action;
        const Request *request;
        Decision *decision; /* owned by the caller */
} Served;

/* A walk from the front to the end of the queue. It restarts when a grant may have changed the claims of
 * others. It stores a place, not a waiter, because waiters may be added and removed between two calls. */
typedef struct ServeWalk {
        int32_t priority;
        uint32_t id;
        unsigned cost; /* of this slice so far */
} ServeWalk;
#define SERVE_WALK_START ((ServeWalk){ .id = 0 })

/* The walk pauses after SERVE_SLICE units of work. A skipped waiter costs 1, a decision SERVE_DECISION. */
#define SERVE_SLICE    64
#define SERVE_DECISION 8

/* 1: *ret is the next action; 0: there is none; -EAGAIN: the slice is over, and the next call continues the
 * walk. The walk updates the claims. It skips a waiter without a decision if earlier waiters claim all its
 * nodes. So a walk costs one decision for each waiter that is served or has unclaimed nodes, not one for
 * each waiter. */
int serve_next(const Snapshot *s, Queue *q, ServeWalk *walk, Served *ret);
