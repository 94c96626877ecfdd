/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who of those that wait is next, when something has changed: bytes came back, a reservation ended, nodes or
 * rules are others. The caller acts on each record before it asks for the next one. */

#include "policy/decide.h"
#include "policy/queue.h"

typedef enum ServeAction {
        SERVE_GRANT,    /* the decision says where; the caller takes it out of the queue and books it */
        SERVE_DISPLACE, /* the decision says whom; it goes on waiting */
        SERVE_END,      /* policy allows it no more, or it would wait in vain; the caller takes it out */
        _SERVE_ACTION_MAX,
} ServeAction;

typedef struct Served {
        ServeAction action;
        const Request *request;
        Decision *decision; /* owned by the caller */
} Served;

/* A walk through the queue, from the front to the end; it begins anew where a grant may have changed what
 * others claim. It is a place, not a waiter: waiters may come and go between two calls. */
typedef struct ServeWalk {
        int32_t priority;
        uint32_t id;
        unsigned cost; /* of this slice so far */
} ServeWalk;
#define SERVE_WALK_START ((ServeWalk){ .id = 0 })

/* The walk pauses after that much work. A waiter that is passed over costs 1, a decision SERVE_DECISION. */
#define SERVE_SLICE    64
#define SERVE_DECISION 8

/* 1: *ret is the next thing to do; 0: nothing more; -EAGAIN: this slice is over, and another call goes on with
 * the next one. Claims are brought up to date on the way. One whose nodes are all claimed by others before him
 * is passed over without being judged, so that a walk costs one decision for each that is served or has
 * something to wait for, not one for each that waits. */
int serve_next(const Snapshot *s, Queue *q, ServeWalk *walk, Served *ret);
