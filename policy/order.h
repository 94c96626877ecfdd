/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A set in order: by priority, the lowest first, and within one by id, the highest first. A treap: a search
 * tree by (priority, id) and a heap by a mixed id, so that its depth stays close to that of a balanced tree.
 * The nodes are the caller's, so nothing here can fail. Several may have the same key. */

#include <stdint.h>

typedef struct OrderNode OrderNode;
struct OrderNode {
        int32_t priority;
        uint32_t id;
        void *data;
        OrderNode *left, *right;
};

/* O(log n). The key of a node must not change while it is in. */
void order_add(OrderNode **root, OrderNode *n);
void order_remove(OrderNode **root, OrderNode *n);

/* In order, until fn returns something else than 0, which is returned. fn must not change the set. */
int order_foreach(const OrderNode *root, int (*fn)(const OrderNode *n, void *userdata), void *userdata);
