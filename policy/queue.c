/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A tree in the order of the queue. Each waiter stores the number and the claims of its subtree, so that the
 * claims before a place are the union along one path from the root. */

#include "policy/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "policy/order.h"

typedef struct Waiting Waiting;
struct Waiting {
        OrderNode place; /* by the priority and id of the request; the first of the queue comes last */
        const Request *request;
        NodeSet claims;
        /* of the whole subtree */
        NodeSet below;
        size_t n;
        UT_hash_handle hh; /* by place.id */
};

struct Queue {
        Order order;
        Waiting *by_id;
        size_t *n_visited; /* for tests; a pointer, so that const queries can count */
};

static Waiting *queue_at(const OrderNode *n)
{
        return n ? n->data : NULL;
}

static void queue_sum(OrderNode *n, void *userdata)
{
        const Waiting *children[] = { queue_at(n->left), queue_at(n->right) };
        Waiting *w = queue_at(n);
        size_t *n_visited = userdata;

        ++*n_visited;
        w->n = 1;
        w->below = w->claims;
        for (size_t i = 0; i < ARRAY_SIZE(children); i++)
                if (children[i]) {
                        w->n += children[i]->n;
                        w->below = nodeset_union(&w->below, &children[i]->below);
                }
}

int queue_new(Queue **ret)
{
        _cleanup_(queue_free_p) Queue *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        q->n_visited = calloc(1, sizeof(*q->n_visited));
        if (!q->n_visited)
                return -ENOMEM;
        q->order = (Order){ .sum = queue_sum, .userdata = q->n_visited };
        *ret = TAKE_PTR(q);
        return 0;
}

Queue *queue_free(Queue *q)
{
        Waiting *w, *next;

        if (!q)
                return NULL;
        HASH_ITER (hh, q->by_id, w, next) {
                HASH_DEL(q->by_id, w);
                free(w);
        }
        free(q->n_visited);
        free(q);
        return NULL;
}

/* True if w comes before a place. A new request (id 0) comes after all waiters of its priority. */
static bool queue_is_before(const Waiting *w, int32_t priority, uint32_t id)
{
        if (w->place.priority != priority)
                return w->place.priority > priority;
        return id == 0 || w->place.id < id;
}

static Waiting *queue_waiting(const Queue *q, uint32_t id)
{
        Waiting *w;

        HASH_FIND(hh, q->by_id, &id, sizeof(id), w);
        return w;
}

int queue_add(Queue *q, const Request *request, const NodeSet *claims)
{
        if (request->id == 0)
                return -EINVAL;
        if (queue_waiting(q, request->id))
                return -EEXIST;
        Waiting *w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->request = request;
        w->claims = *claims;
        w->place = (OrderNode){ .priority = request->priority, .id = request->id, .data = w };
        HASH_ADD(hh, q->by_id, place.id, sizeof(w->place.id), w);
        if (!w->hh.tbl) {
                free(w);
                return -ENOMEM;
        }
        order_add(&q->order, &w->place);
        return 0;
}

void queue_remove(Queue *q, uint32_t id)
{
        Waiting *w = queue_waiting(q, id);

        if (!w)
                return;
        order_remove(&q->order, &w->place);
        HASH_DEL(q->by_id, w);
        free(w);
}

void queue_claim(Queue *q, uint32_t id, const NodeSet *claims)
{
        Waiting *w = queue_waiting(q, id);

        if (!w || nodeset_equal(&w->claims, claims))
                return;
        w->claims = *claims;
        order_update(&q->order, &w->place);
}

size_t queue_count(const Queue *q)
{
        return q->order.root ? queue_at(q->order.root)->n : 0;
}

const Request *queue_find(const Queue *q, uint32_t id)
{
        Waiting *w = queue_waiting(q, id);

        return w ? w->request : NULL;
}

size_t queue_position(const Queue *q, uint32_t id)
{
        const Waiting *w = queue_waiting(q, id);
        size_t n = 0;

        if (!w)
                return queue_count(q);
        for (const OrderNode *t = q->order.root; t;) {
                ++*q->n_visited;
                if (queue_is_before(queue_at(t), w->request->priority, id)) {
                        n += 1 + (t->right ? queue_at(t->right)->n : 0);
                        t = t->left;
                } else
                        t = t->right;
        }
        return n;
}

const Request *queue_next(const Queue *q, int32_t priority, uint32_t id)
{
        const Request *next = NULL;

        for (const OrderNode *t = q->order.root; t;) {
                const Waiting *w = queue_at(t);

                ++*q->n_visited;
                if (id != 0 && (w->place.id == id || queue_is_before(w, priority, id)))
                        t = t->left;
                else {
                        next = w->request;
                        t = t->right;
                }
        }
        return next;
}

NodeSet queue_claimed(const Queue *q, int32_t priority, uint32_t id)
{
        NodeSet claimed = NODESET_EMPTY;

        for (const OrderNode *t = q->order.root; t;) {
                const Waiting *w = queue_at(t);

                ++*q->n_visited;
                if (!queue_is_before(w, priority, id)) {
                        t = t->right;
                        continue;
                }
                claimed = nodeset_union(&claimed, &w->claims);
                if (t->right)
                        claimed = nodeset_union(&claimed, &queue_at(t->right)->below);
                t = t->left;
        }
        return claimed;
}

size_t queue_visited(const Queue *q)
{
        return *q->n_visited;
}
