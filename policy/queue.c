/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A treap: a search tree by (priority, id) and a heap by a mixed id, so that its depth stays close to that
 * of a balanced tree. Each waiter stores the number and the claims of its subtree, so that the claims before
 * a place are the union along one path from the root. */

#include "policy/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

typedef struct Waiting Waiting;
struct Waiting {
        const Request *request;
        uint32_t id;
        uint32_t heap;
        NodeSet claims;
        /* of the whole subtree */
        NodeSet below;
        size_t n;
        Waiting *left, *right;
        UT_hash_handle hh; /* by id */
};

struct Queue {
        Waiting *root;
        Waiting *by_id;
        size_t *n_visited; /* for tests; a pointer, so that const queries can count */
};

int queue_new(Queue **ret)
{
        _cleanup_(queue_free_p) Queue *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        q->n_visited = calloc(1, sizeof(*q->n_visited));
        if (!q->n_visited)
                return -ENOMEM;
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

/* --- the tree ------------------------------------------------------------------------------------------- */

/* True if a place comes before another. A new request (id 0) comes after all waiters of its priority. */
static bool queue_before(int32_t priority, uint32_t id, int32_t other_priority, uint32_t other_id)
{
        if (priority != other_priority)
                return priority > other_priority;
        return id != 0 && (other_id == 0 || id < other_id);
}

static bool queue_is_before(const Waiting *w, int32_t priority, uint32_t id)
{
        return queue_before(w->request->priority, w->id, priority, id);
}

/* Ids are consecutive. The finalizer of MurmurHash3 makes them look random. */
static uint32_t queue_heap(uint32_t id)
{
        id = (id ^ id >> 16) * UINT32_C(0x85ebca6b);
        id = (id ^ id >> 13) * UINT32_C(0xc2b2ae35);
        return id ^ id >> 16;
}

static void queue_sum(Queue *q, Waiting *w)
{
        ++*q->n_visited;
        w->n = 1;
        w->below = w->claims;
        if (w->left) {
                w->n += w->left->n;
                w->below = nodeset_union(&w->below, &w->left->below);
        }
        if (w->right) {
                w->n += w->right->n;
                w->below = nodeset_union(&w->below, &w->right->below);
        }
}

/* Splits the tree into the waiters before the place of w and the rest. */
static void queue_split(Queue *q, Waiting *t, const Waiting *w, Waiting **ret_less, Waiting **ret_rest)
{
        if (!t) {
                *ret_less = *ret_rest = NULL;
                return;
        }
        if (queue_is_before(t, w->request->priority, w->id)) {
                queue_split(q, t->right, w, &t->right, ret_rest);
                *ret_less = t;
        } else {
                queue_split(q, t->left, w, ret_less, &t->left);
                *ret_rest = t;
        }
        queue_sum(q, t);
}

static Waiting *queue_join(Queue *q, Waiting *a, Waiting *b)
{
        if (!a || !b)
                return a ? a : b;
        if (a->heap >= b->heap) {
                a->right = queue_join(q, a->right, b);
                queue_sum(q, a);
                return a;
        }
        b->left = queue_join(q, a, b->left);
        queue_sum(q, b);
        return b;
}

static Waiting *queue_insert(Queue *q, Waiting *t, Waiting *w)
{
        if (!t || t->heap < w->heap) {
                queue_split(q, t, w, &w->left, &w->right);
                queue_sum(q, w);
                return w;
        }
        if (queue_is_before(t, w->request->priority, w->id))
                t->right = queue_insert(q, t->right, w);
        else
                t->left = queue_insert(q, t->left, w);
        queue_sum(q, t);
        return t;
}

static Waiting *queue_delete(Queue *q, Waiting *t, const Waiting *w)
{
        if (t == w)
                return queue_join(q, t->left, t->right);
        if (queue_is_before(t, w->request->priority, w->id))
                t->right = queue_delete(q, t->right, w);
        else
                t->left = queue_delete(q, t->left, w);
        queue_sum(q, t);
        return t;
}

/* Updates the sums from w up to the root. */
static void queue_sum_way(Queue *q, Waiting *t, const Waiting *w)
{
        if (t != w)
                queue_sum_way(q, queue_is_before(t, w->request->priority, w->id) ? t->right : t->left, w);
        queue_sum(q, t);
}

/* --- waiters -------------------------------------------------------------------------------------------- */

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
        w->id = request->id;
        w->heap = queue_heap(w->id);
        w->claims = *claims;
        HASH_ADD(hh, q->by_id, id, sizeof(w->id), w);
        if (!w->hh.tbl) {
                free(w);
                return -ENOMEM;
        }
        q->root = queue_insert(q, q->root, w);
        return 0;
}

void queue_remove(Queue *q, uint32_t id)
{
        Waiting *w = queue_waiting(q, id);

        if (!w)
                return;
        q->root = queue_delete(q, q->root, w);
        HASH_DEL(q->by_id, w);
        free(w);
}

void queue_claim(Queue *q, uint32_t id, const NodeSet *claims)
{
        Waiting *w = queue_waiting(q, id);

        if (!w || nodeset_equal(&w->claims, claims))
                return;
        w->claims = *claims;
        queue_sum_way(q, q->root, w);
}

size_t queue_count(const Queue *q)
{
        return q->root ? q->root->n : 0;
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
        for (const Waiting *t = q->root; t;) {
                ++*q->n_visited;
                if (queue_is_before(t, w->request->priority, id)) {
                        n += 1 + (t->left ? t->left->n : 0);
                        t = t->right;
                } else
                        t = t->left;
        }
        return n;
}

const Request *queue_next(const Queue *q, int32_t priority, uint32_t id)
{
        const Request *next = NULL;

        for (const Waiting *t = q->root; t;) {
                ++*q->n_visited;
                if (id != 0 && (t->id == id || queue_is_before(t, priority, id)))
                        t = t->right;
                else {
                        next = t->request;
                        t = t->left;
                }
        }
        return next;
}

NodeSet queue_claimed(const Queue *q, int32_t priority, uint32_t id)
{
        NodeSet claimed = NODESET_EMPTY;

        for (const Waiting *t = q->root; t;) {
                ++*q->n_visited;
                if (!queue_is_before(t, priority, id)) {
                        t = t->left;
                        continue;
                }
                claimed = nodeset_union(&claimed, &t->claims);
                if (t->left)
                        claimed = nodeset_union(&claimed, &t->left->below);
                t = t->right;
        }
        return claimed;
}

size_t queue_visited(const Queue *q)
{
        return *q->n_visited;
}
