/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the daemon knows and has promised: nodes, pools, rules, and reservations with what is done about each. */

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "daemon/loop/event.h"
#include "daemon/loop/store.h"
#include "policy/nodeset.h"
#include "policy/reservation.h"

typedef struct Book Book;
typedef struct Config Config;
typedef struct Core Core;
typedef struct Entry Entry;
typedef struct Lease Lease;
typedef struct Ledger Ledger;
typedef struct PoolSet PoolSet;
typedef struct Queue Queue;
typedef struct Release Release;
typedef struct Topology Topology;
typedef struct Usage Usage;
typedef struct Waiter Waiter;

/* One reservation with what the daemon does about it; the Reservation itself belongs to the ledger. */
struct Entry {
        Book *book;
        uint32_t id;
        Reservation *r;
        StorePhase phase;
        bool known;           /* clients see it: it was granted, or it waits */
        Waiter *waiter;       /* while it waits, and while what it waited for is being granted */
        Lease *lease;         /* its end; leases.c; NULL: nothing to be done about it */
        Release *release;     /* while it drains */
        uint64_t moved_bytes; /* by that */
        unsigned degraded;    /* Degraded */
        UT_hash_handle hh;
};

struct Book {
        Core *core;
        Topology *topology;
        Config *config;
        PoolSet *pools;
        NodeSet drained; /* by an admin; on disk */
        Ledger *ledger;
        Entry *entries;
        Queue *queue;
        Usage *usage;
        bool serving;    /* recovery is over */
        bool fence_busy; /* config and pools must stay what they are */
};

/* Ends a reservation as release_start() does, for parts that release.c uses itself. */
typedef int (*entry_release_t)(Entry *e, void *userdata);

Entry *book_find(const Book *book, uint32_t id);
int book_add(Book *book, Reservation *r, StorePhase phase, Entry **ret);
/* From everywhere: ledger, disk, bus. */
void book_forget(Entry *e);
/* As cdmd stops: what is on disk stays. */
void book_entries_free(Book *book);
int book_store(Entry *e);
void book_set_state(Entry *e, ReservationState state);
/* Fills in what the reservation says; kind, numbers and reason are the caller's. */
Event book_event(const Entry *e, EventKind kind, char nodes[static NODESET_STR_MAX],
                 char policy[static 512]);
