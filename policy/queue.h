/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The order of those who wait: by priority, and within one by their ids, which grow, so that who came first
 * is served first.
 *
 * Nobody overtakes. Each who waits lays claim to the nodes that he could use, and no byte of those is given
 * to anybody behind him: not to others who wait, nor to a new request of the same or a lower priority. So a
 * large request at the head is not starved by small ones that would always fit; the price is room that stays
 * empty until it is large enough. Requests for other nodes or pools, and of higher priority, pass. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct Request Request;
typedef struct Queue Queue;

int queue_new(Queue **ret);
Queue *queue_free(Queue *q);
DEFINE_CLEANUP(Queue, queue_free);

/* Everything below is O(log n).
 *
 * request->id and ->priority give its place; the request stays the caller's, and there until it is removed.
 * -EEXIST: that id waits already; -EINVAL: id 0; -ENOMEM. */
int queue_add(Queue *q, const Request *request, const NodeSet *claims);
void queue_remove(Queue *q, uint32_t id);
/* What it claims from now on; one that waits for something else than room claims nothing. */
void queue_claim(Queue *q, uint32_t id, const NodeSet *claims);

size_t queue_count(const Queue *q);
/* NULL: that id does not wait. */
const Request *queue_find(const Queue *q, uint32_t id);
/* How many go before it. */
size_t queue_position(const Queue *q, uint32_t id);
/* The first behind a place, NULL at the end. To walk the queue while it changes: start with id 0, go on with
 * the priority and id of the one before. */
const Request *queue_next(const Queue *q, int32_t priority, uint32_t id);

/* All that is claimed by those who go before that place. id 0 is a new request, behind all of its priority.
 */
NodeSet queue_claimed(const Queue *q, int32_t priority, uint32_t id);

/* How many waiters all calls together have looked at so far: tests prove with it that nothing walks the
 * whole queue. */
size_t queue_visited(const Queue *q);
