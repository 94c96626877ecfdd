/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The order of the waiters: by priority, and within a priority by id. Ids grow, so the oldest waiter is
 * served first.
 *
 * There is no overtaking. Each waiter claims the nodes that it could use, and no byte of those is given to a
 * later waiter or to a new request of the same or a lower priority. So small requests cannot starve a large
 * one at the head of the queue. The price is room that stays empty until it is large enough. Requests for
 * other nodes or pools, and requests of higher priority, are not blocked. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/macro.h"
#include "policy/nodeset.h"
#include "policy/request.h"

typedef struct Queue Queue;

int queue_new(Queue **ret);
Queue *queue_free(Queue *q);
DEFINE_CLEANUP(Queue, queue_free);

/* Everything below is O(log n).
 *
 * request->id and ->priority determine the place. The caller owns the request, and keeps it until the waiter
 * is removed. -EEXIST: that id waits already; -EINVAL: id 0; -ENOMEM. */
int queue_add(Queue *q, const Request *request, const NodeSet *claims);
void queue_remove(Queue *q, uint32_t id);
/* Sets the claims of a waiter. A waiter that does not wait for room claims nothing. */
void queue_claim(Queue *q, uint32_t id, const NodeSet *claims);

size_t queue_count(const Queue *q);
/* NULL: that id does not wait. */
const Request *queue_find(const Queue *q, uint32_t id);
/* The number of earlier waiters. */
size_t queue_position(const Queue *q, uint32_t id);
/* The first waiter after a place, NULL at the end. To walk the queue while it changes, start with id 0 and
 * continue with the priority and id of the previous waiter. */
const Request *queue_next(const Queue *q, int32_t priority, uint32_t id);

/* The union of the claims of all waiters before that place. id 0 is a new request, after all waiters of its
 * priority. */
NodeSet queue_claimed(const Queue *q, int32_t priority, uint32_t id);

/* The number of waiters that all calls have visited so far. Tests use it to prove that no call walks the
 * whole queue. */
size_t queue_visited(const Queue *q);
