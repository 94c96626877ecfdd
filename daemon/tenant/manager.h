/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The wiring: snapshot → decide → store the intent → apply → store the result → tell. What is here is shared
 * by the files of tenant/ and keeper/ and by the bus objects; each of these files knows one noun.
 *
 *   manager.c        what cdmd knows; entries; telling the bus and the journal
 *   snapshot.c       the moment at which decide() judges
 *   request.c        from a client's call to the permission
 *   judgement.c      judging a request
 *   grant.c          from the permission to open nodes
 *   overruns.c       watching nodes that tenants share
 *   machine-facts.c  what the machine is set to
 *   change.c         one change of a tenant's nodes
 *   leases.c         leases that end, reservations that are displaced
 *   waiter.c         those who wait for room
 *   release.c        draining, residue, forgetting
 *   migrate.c        moving pages up
 *   unit-check.c     units that end and restart
 *   reload.c         configuration and fence
 *   nodes.c          nodes that come and go
 *   degrade.c        what shut nodes mean for reservations
 *   node-drain.c     nodes that an admin takes away
 *   start.c          recovery
 *   statics.c        reserving as a unit starts
 *   tree-events.c    what is heard of the cgroup tree
 *   drift.c          what is no longer as it was decided
 *   drift-tenant.c   likewise, of tenants
 *   fights.c         and what others set again and again
 *   holds.c          keeping unreserved bytes (holds.h)
 *   holders.c        who has pages on CDM nodes (holders.h)
 *   buffers.c        exact buffers (buffers.h)
 */

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

typedef struct Manager Manager;
typedef struct Entry Entry;
typedef struct Change Change;
typedef struct Grant Grant;
typedef struct QueueServer QueueServer;
typedef struct Waiter Waiter;
typedef struct HolderSet HolderSet;
typedef struct MigrationSet MigrationSet;
typedef struct BufferSet BufferSet;
typedef struct Neighbours Neighbours;
typedef struct HoldSet HoldSet;
typedef struct Record Record;
typedef struct StaticSet StaticSet;
typedef struct Drift Drift;
typedef struct Leases Leases;
typedef struct MachineFacts MachineFacts;
typedef struct Reloads Reloads;
typedef struct RequestSet RequestSet;
typedef struct Start Start;
typedef struct UnitChecks UnitChecks;
typedef struct Waiters Waiters;
typedef struct Warnings Warnings;
typedef struct FollowSet FollowSet;
typedef struct NodeDrains NodeDrains;
typedef struct NodeWatch NodeWatch;
typedef struct OwnerAsks OwnerAsks;
typedef struct TreeEvents TreeEvents;

typedef struct Overrun Overrun;

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
        char *root; /* "" for the machine */
        sd_event *event;
        sd_bus *bus;
        Worker *worker, *mover, *filler, *reader; /* see manager.c */
        Notify *notify;
        SenderCache *senders;
        Peers *peers;
        EventLimit *event_limit; /* of what callers cause at will */
        Authorizer *authorizer;
        UnitJobs *jobs;
        Names *names;
        TurnQueue *turns;
        Gate *gate; /* to PID 1 */
        IdentityContext identity_context;
        Store *store;
        Fence *fence;
        FenceContext fence_context;
        Foreign *foreign;

        Topology *topology;
        Config *config;
        PoolSet *pools;
        Ledger *ledger;
        Entry *entries;

        Warnings *warnings;
        MachineFacts *facts;
        Record *record;

        bool serving; /* recovery is over */
        RequestSet *requests;
        Waiters *waiters;
        Leases *leases;
        Grant *grants;
        HolderSet *holders;
        MigrationSet *migrations;
        StaticSet *statics;
        BufferSet *buffers;
        int (*release)(Entry *e); /* release_start(), for what it uses itself */
        Overrun *overrun;
        HoldSet *holds;
        UnitChecks *unit_checks;

        Usage *usage;
        UsageBuffers usage_buffers;
        Neighbours *neighbours;
        uint64_t page_bytes;

        /* those who wait */
        Queue *queue;
        QueueServer *queue_server;

        /* configuration and fence */
        bool fence_busy; /* config and pools must stay what they are */
        NodeSet drained; /* by an admin; on disk */
        OwnerAsks *owner_asks;
        TreeEvents *tree_events;
        Drift *drift;
        NodeWatch *node_watch;
        NodeDrains *node_drains;
        FollowSet *follows;
        Reloads *reloads;
        Start *start;
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
