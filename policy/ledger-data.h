/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of a ledger. ledger-walk.c finds and walks entries, ledger.c keeps the sums, ledger-read.c and
 * ledger-observe.c answer questions. Only these files include this header. */

#include <string.h>
#include <utlist.h>

#include "policy/nodeset.h"
#include "policy/order.h"
#include "policy/reservation.h"
#include "policy/tally.h"

typedef struct Ledger Ledger;
typedef struct LedgerTenant LedgerTenant;
typedef struct LedgerHolding LedgerHolding;

typedef struct LedgerEntry LedgerEntry;
typedef struct LedgerPath LedgerPath;
struct LedgerEntry {
        Reservation *r;
        LedgerTenant *tenant;
        LedgerPath *path;                   /* NULL: the cgroup is not known */
        size_t slot;                        /* in the array by id */
        LedgerEntry *prev, *next;           /* in its tenant */
        LedgerEntry *path_prev, *path_next; /* in its path */
        UT_hash_handle hh;                  /* by id */
        OrderNode *ranks;                   /* one per share: its place in NodeSum.displaceable */
        size_t n_ranks;
        bool stays, alone; /* whether it was booked as staying, and as the only tenant of its nodes */
};

/* The reservations of one cgroup's path. */
struct LedgerPath {
        char *name;
        LedgerEntry *entries;
        UT_hash_handle hh;
};

typedef struct LedgerSlot {
        uint32_t id;
        LedgerEntry *entry; /* NULL: removed */
} LedgerSlot;

struct LedgerHolding {
        LedgerTenant *tenant;
        int node;
        Sum bytes;
        uint64_t used_bytes; /* the last observation */
        bool observed;
        size_t n_booked; /* reservations with bytes here */
        size_t n_open;   /* reservations that open the node */
        size_t n_stay, n_stay_exclusive;
        LedgerHolding *prev, *next;
        LedgerHolding *node_prev, *node_next;
};

struct LedgerTenant {
        char *key;
        LedgerEntry *entries;
        bool unsorted;
        size_t n_entries;
        LedgerHolding *holdings;
        NodeSet open;
        UT_hash_handle hh;
};

typedef struct NodeSum {
        Sum bytes;
        Sum explained; /* sum over its tenants of min(used, reserved) */
        size_t n_tenants;
        size_t n_exclusive;
        Sum stay_bytes;
        size_t n_stay, n_stay_exclusive;
        Order displaceable;
        LedgerHolding *holdings; /* unobserved ones first */
        LedgerHolding *walk;     /* where ledger_walk_tenants_of_node() continues */
} NodeSum;

struct Ledger {
        LedgerEntry *entries;
        LedgerSlot *slots; /* by id, unless unsorted */
        size_t n_slots, n_gone, slots_size;
        bool unsorted;
        uint32_t last_id; /* the highest id ever added */
        size_t n_visited; /* entries that walks looked at, for tests */
        LedgerTenant *tenants;
        LedgerPath *paths;
        Tally *users; /* by uid */
        Tally *rules; /* by file name, and below by uid */
        NodeSum nodes[NODE_MAX];
        NodeSet shut;
};

static inline uint64_t sum_saturate(Sum sum)
{
        return sum > UINT64_MAX ? UINT64_MAX : (uint64_t)sum;
}

/* The part of the used bytes that the reservations explain. */
static inline Sum holding_explained(const LedgerHolding *h)
{
        return h->bytes < h->used_bytes ? h->bytes : h->used_bytes;
}

static inline LedgerHolding *holding_find(const LedgerTenant *t, int node)
{
        LedgerHolding *h;

        DL_FOREACH (t->holdings, h)
                if (h->node == node)
                        return h;
        return NULL;
}

static inline Tally *user_find(const Ledger *l, uid_t uid)
{
        return tally_find(l->users, &uid, sizeof(uid));
}

/* Must be called before the holding leaves or changes its place in the node's list: keeps a walk valid. */
static inline void ledger_walk_leaves(NodeSum *n, const LedgerHolding *h)
{
        if (n->walk == h)
                n->walk = h->node_next;
}

/* The key includes the NUL, so that an empty name is a valid key. */
static inline Tally *rule_tally_find(const Ledger *l, const char *file)
{
        return file ? tally_find(l->rules, file, strlen(file) + 1) : NULL;
}

/* rule may be NULL. */
static inline Tally *rule_user_find(const Tally *rule, uid_t uid)
{
        return rule ? tally_find(rule->below, &uid, sizeof(uid)) : NULL;
}

static inline LedgerEntry *entry_find(const Ledger *l, uint32_t id)
{
        LedgerEntry *e;

        HASH_FIND(hh, l->entries, &id, sizeof(id), e);
        return e;
}
