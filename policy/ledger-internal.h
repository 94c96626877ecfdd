/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files ledger*.c share: the ledger is told of at the top of ledger.c. */

#include "policy/ledger.h"
#include "policy/tally.h"

typedef struct Tenant Tenant;
typedef struct Holding Holding;

typedef struct Entry Entry;
struct Entry {
        Reservation *r;
        Tenant *tenant;
        Entry *prev, *next; /* in its tenant */
        UT_hash_handle hh;  /* by id */
};

struct Holding {
        Tenant *tenant;
        int node;
        Sum bytes;
        uint64_t used_bytes; /* as observed last */
        bool observed;
        size_t n_booked; /* reservations with bytes here */
        size_t n_open;   /* those of them that open the node */
        Holding *prev, *next;
        Holding *node_prev, *node_next;
};

struct Tenant {
        char *key;
        Entry *entries;
        bool unsorted;
        size_t n_entries;
        Holding *holdings;
        NodeSet open;
        UT_hash_handle hh;
};

typedef struct NodeSum {
        Sum bytes;
        Sum explained; /* of what its tenants use, what they have reserved */
        size_t n_tenants;
        size_t n_exclusive;
        Holding *holdings; /* those that were not observed yet first */
} NodeSum;

struct Ledger {
        Entry *entries;
        bool unsorted;
        uint32_t last_id; /* the highest that was ever added */
        Tenant *tenants;
        Tally *users; /* by uid */
        Tally *rules; /* by file name */
        NodeSum nodes[NODE_MAX];
        NodeSet shut;
};

static inline uint64_t saturate(Sum sum)
{
        return sum > UINT64_MAX ? UINT64_MAX : (uint64_t)sum;
}

/* Of what it uses, what is promised to it. */
static inline Sum holding_explained(const Holding *h)
{
        return h->bytes < h->used_bytes ? h->bytes : h->used_bytes;
}

Holding *ledger_holding(const Ledger *l, const char *tenant, int node);
