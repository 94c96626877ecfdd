/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a ledger is made of; ledger.c changes it, ledger-read.c answers questions. */

#include <string.h>
#include <utlist.h>

#include "policy/ledger.h"
#include "policy/order.h"
#include "policy/tally.h"

typedef struct Tenant Tenant;
typedef struct Holding Holding;

typedef struct Entry Entry;
struct Entry {
        Reservation *r;
        Tenant *tenant;
        Entry *prev, *next; /* in its tenant */
        UT_hash_handle hh;  /* by id */
        OrderNode *slots;   /* one a share, in the order of its node */
        size_t n_slots;
        bool stays; /* as it was booked */
};

struct Holding {
        Tenant *tenant;
        int node;
        Sum bytes;
        size_t n_booked; /* reservations with bytes here */
        size_t n_open;   /* those of them that open the node */
        size_t n_stay, n_stay_exclusive;
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
        size_t n_tenants;
        size_t n_exclusive;
        Sum stay_bytes;
        size_t n_stay, n_stay_exclusive;
        OrderNode *displaceable;
        Holding *holdings;
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

static inline Tenant *tenant_find(const Ledger *l, const char *key)
{
        Tenant *t;

        HASH_FIND_STR(l->tenants, key, t);
        return t;
}

static inline Holding *holding_find(const Tenant *t, int node)
{
        Holding *h;

        DL_FOREACH (t->holdings, h)
                if (h->node == node)
                        return h;
        return NULL;
}

static inline Tally *user_find(const Ledger *l, uid_t uid)
{
        return tally_find(l->users, &uid, sizeof(uid));
}

/* With its NUL: an empty name is a key like any other. */
static inline Tally *rule_tally_find(const Ledger *l, const char *file)
{
        return file ? tally_find(l->rules, file, strlen(file) + 1) : NULL;
}

static inline Entry *entry_find(const Ledger *l, uint32_t id)
{
        Entry *e;

        HASH_FIND(hh, l->entries, &id, sizeof(id), e);
        return e;
}
