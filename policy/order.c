/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/order.h"

#include <stdbool.h>
#include <stddef.h>

static bool order_before(const OrderNode *a, const OrderNode *b)
{
        if (a->priority != b->priority)
                return a->priority < b->priority;
        return a->id != b->id ? a->id > b->id : (uintptr_t)a < (uintptr_t)b;
}

/* Ids are consecutive. The finalizer of MurmurHash3 makes them look random. */
static uint32_t order_heap(const OrderNode *n)
{
        uint32_t h = n->id;

        h = (h ^ h >> 16) * UINT32_C(0x85ebca6b);
        h = (h ^ h >> 13) * UINT32_C(0xc2b2ae35);
        return h ^ h >> 16;
}

static OrderNode *order_summed(const Order *o, OrderNode *n)
{
        if (o->sum)
                o->sum(n, o->userdata);
        return n;
}

/* Splits the tree into the nodes before n and the rest. */
static void order_split(const Order *o, OrderNode *t, const OrderNode *n, OrderNode **ret_less,
                        OrderNode **ret_rest)
{
        if (!t) {
                *ret_less = *ret_rest = NULL;
        } else if (order_before(t, n)) {
                order_split(o, t->right, n, &t->right, ret_rest);
                *ret_less = order_summed(o, t);
        } else {
                order_split(o, t->left, n, ret_less, &t->left);
                *ret_rest = order_summed(o, t);
        }
}

/* All nodes of a come before those of b. */
static OrderNode *order_join(const Order *o, OrderNode *a, OrderNode *b)
{
        if (!a || !b)
                return a ? a : b;
        if (order_heap(a) >= order_heap(b)) {
                a->right = order_join(o, a->right, b);
                return order_summed(o, a);
        }
        b->left = order_join(o, a, b->left);
        return order_summed(o, b);
}

/* The subtree of t in which the path to n leads on. */
static OrderNode **order_way(OrderNode *t, const OrderNode *n)
{
        return order_before(t, n) ? &t->right : &t->left;
}

static OrderNode *order_insert(const Order *o, OrderNode *t, OrderNode *n)
{
        if (!t || order_heap(t) < order_heap(n)) {
                order_split(o, t, n, &n->left, &n->right);
                return order_summed(o, n);
        }
        OrderNode **way = order_way(t, n);
        *way = order_insert(o, *way, n);
        return order_summed(o, t);
}

static OrderNode *order_delete(const Order *o, OrderNode *t, const OrderNode *n)
{
        if (t == n)
                return order_join(o, t->left, t->right);
        OrderNode **way = order_way(t, n);
        *way = order_delete(o, *way, n);
        return order_summed(o, t);
}

static void order_sum_way(const Order *o, OrderNode *t, const OrderNode *n)
{
        if (t != n)
                order_sum_way(o, *order_way(t, n), n);
        (void)order_summed(o, t);
}

void order_add(Order *o, OrderNode *n)
{
        o->root = order_insert(o, o->root, n);
}

void order_remove(Order *o, OrderNode *n)
{
        o->root = order_delete(o, o->root, n);
        n->left = n->right = NULL;
}

void order_update(Order *o, OrderNode *n)
{
        order_sum_way(o, o->root, n);
}

static int order_visit(const OrderNode *t, int (*fn)(const OrderNode *n, void *userdata), void *userdata)
{
        for (; t; t = t->right) {
                int r = order_visit(t->left, fn, userdata);

                if (r == 0)
                        r = fn(t, userdata);
                if (r != 0)
                        return r;
        }
        return 0;
}

int order_foreach(const Order *o, int (*fn)(const OrderNode *n, void *userdata), void *userdata)
{
        return order_visit(o->root, fn, userdata);
}
