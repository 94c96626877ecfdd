/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An ordered set: by priority, the lowest first, and within a priority by id, the highest first. A treap: a
 * search tree by (priority, id) and a heap by a mixed id, so that its depth stays close to that of a
 * balanced tree. The caller owns the nodes, so nothing here can fail. Several nodes may have the same
 * key. */

#include <stdint.h>

typedef struct OrderNode OrderNode;
struct OrderNode {
        int32_t priority;
        uint32_t id;
        void *data;
        OrderNode *left, *right; /* the subtrees of what comes before and after */
};

/* Computes what the data of a node says about the subtree of the node. The subtrees left and right are
 * complete. */
typedef void (*order_sum_t)(OrderNode *n, void *userdata);

/* All zero: an empty set without sums. */
typedef struct Order {
        OrderNode *root;
        order_sum_t sum; /* called for each node whose subtree has changed, children first; or NULL */
        void *userdata;  /* for sum */
} Order;

/* O(log n). The key of a node must not change while the node is in the set. */
void order_add(Order *o, OrderNode *n);
void order_remove(Order *o, OrderNode *n);
/* The data of n has changed: computes the sums from n up to the root. */
void order_update(Order *o, OrderNode *n);

/* Calls fn for each node in order. Stops when fn returns a value other than 0, and returns that value. fn
 * must not change the set. */
int order_foreach(const Order *o, int (*fn)(const OrderNode *n, void *userdata), void *userdata);
