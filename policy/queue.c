/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An array in order, with the union of the claims up to each place: a new request asks for one of them,
 * which must be quick, while the queue changes seldom and is as long as QueueMax= at most. */

#include "policy/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decide.h"

typedef struct Waiting {
        const Request *request;
        NodeSet claims;
        NodeSet upto; /* its own claims and those of all before it */
} Waiting;

struct Queue {
        Waiting *waiting;
        size_t n, n_allocated;
};

int queue_new(Queue **ret)
{
        Queue *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        *ret = q;
        return 0;
}

Queue *queue_free(Queue *q)
{
        if (!q)
                return NULL;
        free(q->waiting);
        free(q);
        return NULL;
}

/* Does a place come before another? A new request (id 0) comes behind all of its priority. */
static bool before(int32_t priority, uint32_t id, int32_t other_priority, uint32_t other_id)
{
        if (priority != other_priority)
                return priority > other_priority;
        return id != 0 && (other_id == 0 || id < other_id);
}

/* How many come before that place. */
static size_t count_before(const Queue *q, int32_t priority, uint32_t id)
{
        size_t low = 0, high = q->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const Request *r = q->waiting[middle].request;

                if (before(r->priority, r->id, priority, id))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static Waiting *find(const Queue *q, uint32_t id)
{
        for (size_t i = 0; i < q->n; i++)
                if (q->waiting[i].request->id == id)
                        return &q->waiting[i];
        return NULL;
}

static void add_up(Queue *q, size_t from)
{
        for (size_t i = from; i < q->n; i++)
                q->waiting[i].upto = i == 0 ? q->waiting[i].claims
                                            : nodeset_union(&q->waiting[i - 1].upto, &q->waiting[i].claims);
}

int queue_add(Queue *q, const Request *request, const NodeSet *claims)
{
        if (request->id == 0)
                return -EINVAL;
        if (find(q, request->id))
                return -EEXIST;
        if (q->n == q->n_allocated) {
                size_t n = q->n_allocated ? q->n_allocated * 2 : 16;
                Waiting *w = realloc(q->waiting, n * sizeof(*w));

                if (!w)
                        return -ENOMEM;
                q->waiting = w;
                q->n_allocated = n;
        }
        size_t at = count_before(q, request->priority, request->id);
        memmove(&q->waiting[at + 1], &q->waiting[at], (q->n - at) * sizeof(Waiting));
        q->waiting[at] = (Waiting){ .request = request, .claims = *claims };
        q->n++;
        add_up(q, at);
        return 0;
}

void queue_remove(Queue *q, uint32_t id)
{
        Waiting *w = find(q, id);

        if (!w)
                return;
        size_t at = (size_t)(w - q->waiting);
        memmove(w, w + 1, (q->n - at - 1) * sizeof(Waiting));
        q->n--;
        add_up(q, at);
}

void queue_claim(Queue *q, uint32_t id, const NodeSet *claims)
{
        Waiting *w = find(q, id);

        if (!w || nodeset_equal(&w->claims, claims))
                return;
        w->claims = *claims;
        add_up(q, (size_t)(w - q->waiting));
}

size_t queue_count(const Queue *q)
{
        return q->n;
}

const Request *queue_find(const Queue *q, uint32_t id)
{
        Waiting *w = find(q, id);

        return w ? w->request : NULL;
}

size_t queue_position(const Queue *q, uint32_t id)
{
        Waiting *w = find(q, id);

        return w ? (size_t)(w - q->waiting) : q->n;
}

const Request *queue_next(const Queue *q, int32_t priority, uint32_t id)
{
        for (size_t i = id == 0 ? 0 : count_before(q, priority, id); i < q->n; i++)
                if (q->waiting[i].request->id != id)
                        return q->waiting[i].request;
        return NULL;
}

NodeSet queue_claimed(const Queue *q, int32_t priority, uint32_t id)
{
        size_t n = count_before(q, priority, id);

        return n > 0 ? q->waiting[n - 1].upto : NODESET_EMPTY;
}
