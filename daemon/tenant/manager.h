/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What all parts of the daemon share: the means (event loop, bus, threads, turns, disk), the book (nodes, pools, rules,
 * reservations), and one pointer to each part. A part is a file with a header of its own; its state is nobody
 * else's. manager.c has the entries of the book. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <uthash.h>

#include "daemon/caller/authorize.h"
#include "daemon/caller/identity.h"
#include "daemon/caller/sender.h"
#include "daemon/fence/apply.h"
#include "daemon/fence/fence.h"
#include "daemon/kernel/tenant-read.h"
#include "daemon/loop/event.h"
#include "daemon/loop/notify.h"
#include "daemon/loop/peers.h"
#include "daemon/loop/slice.h"
#include "daemon/loop/store.h"
#include "daemon/loop/turn.h"
#include "daemon/loop/worker.h"
#include "daemon/machine/names.h"
#include "daemon/machine/rule-names.h"
#include "daemon/pid1/unit.h"
#include "daemon/tenant/usage.h"
#include "policy/conf-read.h"
#include "policy/config.h"
#include "policy/decide.h"
#include "policy/facts.h"
#include "policy/ledger.h"
#include "policy/pool.h"
#include "policy/serve.h"

typedef struct BufferSet BufferSet;
typedef struct Change Change;
typedef struct Drift Drift;
typedef struct Entry Entry;
typedef struct FollowSet FollowSet;
typedef struct Grant Grant;
typedef struct HoldSet HoldSet;
typedef struct HolderSet HolderSet;
typedef struct Leases Leases;
typedef struct MachineFacts MachineFacts;
typedef struct Manager Manager;
typedef struct MigrationSet MigrationSet;
typedef struct Neighbours Neighbours;
typedef struct NodeDrains NodeDrains;
typedef struct NodeWatch NodeWatch;
typedef struct BelowUnits BelowUnits;
typedef struct Overrun Overrun;
typedef struct OwnerAsks OwnerAsks;
typedef struct QueueServer QueueServer;
typedef struct Record Record;
typedef struct Reloads Reloads;
typedef struct RequestSet RequestSet;
typedef struct ResizeSet ResizeSet;
typedef struct Start Start;
typedef struct StaticSet StaticSet;
typedef struct TreeEvents TreeEvents;
typedef struct UnitChecks UnitChecks;
typedef struct Waiter Waiter;
typedef struct Waiters Waiters;
typedef struct Warnings Warnings;
typedef struct VouchSet VouchSet;

/* One reservation with what the daemon does about it; the Reservation itself belongs to the ledger. */
struct Entry {
        Manager *manager;
        uint32_t id;
        Reservation *r;
        StorePhase phase;
        bool known;             /* clients see it: it was granted, or it waits */
        Waiter *waiter;         /* while it waits, and while what it waited for is being granted */
        sd_event_source *lease; /* the next step towards its end; leases.c */
        unsigned degraded;      /* Degraded */
        /* while it drains */
        Turn *turn;
        Change *change;
        sd_event_source *retry;
        uint64_t retry_usec;
        uint64_t moved_bytes, failed_bytes, evicted_bytes;
        bool settling; /* in the list of those whose revocation is to be stored and told */
        Entry *prev_settling, *next_settling;
        UT_hash_handle hh;
};

struct Manager {
        /* the means */
        char *root; /* "" for the machine */
        sd_event *event;
        sd_bus *bus;
        Worker *worker, *mover, *filler, *reader; /* see assembly.c */
        Notify *notify;
        EventLimit *event_limit; /* of what callers cause at will */
        TurnQueue *turns;
        Gate *gate; /* to PID 1 */
        UnitJobs *jobs;
        Names *names;
        SenderCache *senders;
        Peers *peers;
        Authorizer *authorizer;
        IdentityContext identity_context;
        Store *store;
        uint64_t page_bytes;

        /* the book */
        Topology *topology;
        Config *config;
        PoolSet *pools;
        NodeSet drained; /* by an admin; on disk */
        Ledger *ledger;
        Entry *entries;
        Queue *queue;
        Usage *usage;
        UsageBuffers usage_buffers;
        bool serving;    /* recovery is over */
        bool fence_busy; /* config and pools must stay what they are */

        /* the parts */
        Fence *fence;
        Foreign *foreign;
        BufferSet *buffers;
        Drift *drift;
        FollowSet *follows;
        Grant *grants;
        HolderSet *holders;
        HoldSet *holds;
        Leases *leases;
        MachineFacts *facts;
        MigrationSet *migrations;
        Neighbours *neighbours;
        NodeDrains *node_drains;
        NodeWatch *node_watch;
        Overrun *overrun;
        OwnerAsks *owner_asks;
        QueueServer *queue_server;
        Record *record;
        Reloads *reloads;
        RequestSet *requests;
        ResizeSet *resizes;
        Start *start;
        StaticSet *statics;
        TreeEvents *tree_events;
        UnitChecks *unit_checks;
        VouchSet *vouches;
        Waiters *waiters;
        Warnings *warnings;
        int (*release)(Entry *e); /* release_start(), for what it uses itself */
        BelowUnits *below_units;
};

/* How calls end: error is NULL or one of CDM_ERROR_*, text a sentence for the user. */
typedef struct Answer {
        const char *error;
        const char *text;
} Answer;

/* An answer to one who asked for a buffer; fd: of it, stays the callee's. */
typedef void (*buffer_done_t)(const Answer *answer, int fd, void *userdata);

uint64_t manager_realtime_usec(void);
uint64_t manager_boottime_usec(void);
uint64_t manager_monotonic_usec(void);

/* entries */
Entry *manager_find(Manager *m, uint32_t id);
int manager_add(Manager *m, Reservation *r, StorePhase phase, Entry **ret);
/* From everywhere: ledger, disk, bus. */
void manager_forget(Entry *e);
/* As cdmd stops: what is on disk stays. */
void manager_entries_free(Manager *m);
int manager_store(Entry *e);
void manager_set_state(Entry *e, ReservationState state);
/* Fills in what the reservation says; kind, numbers and reason are the caller's. */
Event manager_event(const Entry *e, EventKind kind, char nodes[static NODESET_STR_MAX],
                    char policy[static 512]);
