/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The state of the daemon: nodes, pools, rules, and reservations, each with the operations in flight for
 * it. */

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

/* A reservation with the operations in flight for it; the ledger owns the Reservation itself. */
struct Entry {
        Book *book;
        uint32_t id;
        Reservation *r;
        StorePhase phase;
        bool known;           /* visible to clients: granted or queued */
        bool granting;        /* a grant is under way, and only that grant may forget the entry */
        Waiter *waiter;       /* while queued, and while a queued reservation is being granted */
        Lease *lease;         /* leases.c; NULL: no timer is armed and nothing must be stored */
        Release *release;     /* while draining */
        uint64_t moved_bytes; /* by the drain */
        unsigned degraded;    /* bits of Degraded */
        UT_hash_handle hh;
};

struct Book {
        Core *core;
        Topology *topology;
        Config *config;
        PoolSet *pools;
        NodeSet drained; /* by an administrator; also on disk */
        Ledger *ledger;
        Entry *entries;
        Queue *queue;
        Usage *usage;
        bool serving;    /* recovery has completed */
        bool fence_busy; /* config and pools must not be replaced */
};

/* Same as release_start(), for files that release.c depends on. */
typedef int (*entry_release_t)(Entry *e, void *userdata);

Entry *book_find(const Book *book, uint32_t id);
int book_add(Book *book, Reservation *r, StorePhase phase, Entry **ret);
/* Removes the reservation from the ledger, the disk and the bus, and frees the entry. */
void book_forget(Entry *e);
/* Frees all entries when cdmd stops; files on disk stay. */
void book_entries_free(Book *book);
int book_store(Entry *e);
void book_set_state(Entry *e, ReservationState state);
/* Fills in the fields that the reservation has; the caller must add the reason and other numbers. */
Event book_event(const Entry *e, EventKind kind, char nodes[static NODESET_STR_MAX],
                 char policy[static 512]);
