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

/* Splits the tree into the nodes before n and the rest. */
static void order_split(OrderNode *t, const OrderNode *n, OrderNode **ret_less, OrderNode **ret_rest)
{
        while (t)
                if (order_before(t, n)) {
                        *ret_less = t;
                        ret_less = &t->right;
                        t = t->right;
                } else {
                        *ret_rest = t;
                        ret_rest = &t->left;
                        t = t->left;
                }
        *ret_less = *ret_rest = NULL;
}

void order_add(OrderNode **root, OrderNode *n)
{
        uint32_t heap = order_heap(n);

        while (*root && order_heap(*root) >= heap)
                root = order_before(*root, n) ? &(*root)->right : &(*root)->left;
        order_split(*root, n, &n->left, &n->right);
        *root = n;
}

void order_remove(OrderNode **root, OrderNode *n)
{
        OrderNode *a = n->left, *b = n->right;

        while (*root != n)
                root = order_before(*root, n) ? &(*root)->right : &(*root)->left;
        while (a && b)
                if (order_heap(a) >= order_heap(b)) {
                        *root = a;
                        root = &a->right;
                        a = a->right;
                } else {
                        *root = b;
                        root = &b->left;
                        b = b->left;
                }
        *root = a ? a : b;
        n->left = n->right = NULL;
}

int order_foreach(const OrderNode *root, int (*fn)(const OrderNode *n, void *userdata), void *userdata)
{
        for (; root; root = root->right) {
                int r = order_foreach(root->left, fn, userdata);

                if (r == 0)
                        r = fn(root, userdata);
                if (r != 0)
                        return r;
        }
        return 0;
}
