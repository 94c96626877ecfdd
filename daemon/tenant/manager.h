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

/* Sentences about the configuration and the fence; name is one of policy/warning.h. */
typedef struct ManagerWarning {
        const char *name;
        char *text;
} ManagerWarning;

typedef struct Manager Manager;
typedef struct Entry Entry;
typedef struct Change Change;
typedef struct Grant Grant;
typedef struct QueueServer QueueServer;
typedef struct Waiter Waiter;
typedef struct RequestCall RequestCall;
typedef struct HolderSet HolderSet;
typedef struct UnitCheck UnitCheck;
typedef struct MigrationSet MigrationSet;
typedef struct BufferSet BufferSet;
typedef struct Neighbours Neighbours;
typedef struct HoldSet HoldSet;
typedef struct Load Load;
typedef struct Reload Reload;
typedef struct Record Record;
typedef struct UserCount UserCount;
typedef struct StaticSet StaticSet;
typedef struct Drift Drift;
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
        Entry *settling;       /* see manager_revoke_soon() */
        Slice *settling_slice; /* NULL: was not needed yet */

        ManagerWarning *warnings; /* what is no fact about the machine */
        size_t n_warnings;
        uint64_t machine_read_usec;
        char *facts[_FACT_MAX]; /* sentences about the machine, as told last; NULL: nothing to tell */

        Record *record;

        bool serving;          /* recovery is over */
        RequestCall *requests; /* under way */
        size_t n_requests;
        UserCount *users;
        Grant *grants;
        HolderSet *holders;
        MigrationSet *migrations;
        StaticSet *statics;
        BufferSet *buffers;
        /* start.c; called by the parts that start.c uses itself */
        void (*fence_settled)(Manager *m, bool worked);
        void (*names_settled)(Manager *m);
        int (*release)(Entry *e); /* manager_release(), for what it uses itself */
        Overrun *overrun;
        HoldSet *holds;
        UnitCheck *checks, *checks_due; /* all; by unit, those that have not asked yet */
        UnitCall *unit_events;

        Usage *usage;
        UsageBuffers usage_buffers;
        Neighbours *neighbours;
        uint64_t page_bytes;

        /* those who wait */
        Queue *queue;
        QueueServer *queue_server;
        unsigned queue_pending; /* whose clients the start asks about */
        void (*queue_restored)(Manager *m);

        /* configuration and fence */
        bool fence_busy; /* config and pools must stay what they are */
        Reload *reloads;
        Load *load;            /* of what a reload has read */
        RuleNames *rule_names; /* of config */
        char *name_warnings;   /* lines about those */
        NodeSet drained;       /* by an admin; on disk */
        OwnerAsks *owner_asks;
        TreeEvents *tree_events;
        Drift *drift;
        NodeWatch *node_watch;
        NodeDrains *node_drains;
        FollowSet *follows;
        /* recovery */
        sd_event_source *patience; /* tells systemd that the start goes on */
        unsigned recovery_pending;
        sd_event_source *names_wait; /* all but the names of rules is there to serve */
        bool names_waited;
};

/* How calls end: error is NULL or one of CDM_ERROR_*, text a sentence for the user. */
typedef struct Answer {
        const char *error;
        const char *text;
} Answer;

/* An answer to one who asked for a buffer; fd: of it, stays the callee's. */
typedef void (*buffer_done_t)(const Answer *answer, int fd, void *userdata);

void manager_warn(Manager *m, const char *name, const char *format, ...) _printf_(3, 4);
/* That is no longer so. */
void manager_unwarn(Manager *m, const char *text);
void manager_clear_warnings(Manager *m);
/* What the machine is set to now: read again, judged, and told to the journal where it is news. */
void manager_look_at_machine(Manager *m);
/* Unless that was a moment ago. */
void manager_look_at_machine_again(Manager *m);
/* fence_state_to_string(), but "open (demotion)" where the kernel itself carries pages past a closed fence.
 * pool: of its nodes; NULL: of any pool. */
const char *manager_fence_state(const Manager *m, const Pool *pool);
uint64_t manager_realtime_usec(void);
uint64_t manager_boottime_usec(void);
uint64_t manager_monotonic_usec(void);

/* entries */
Entry *manager_find(Manager *m, uint32_t id);
int manager_add(Manager *m, Reservation *r, StorePhase phase, Entry **ret);
/* From everywhere: ledger, disk, bus. */
void manager_forget(Entry *e);
/* A revocation, or its end, that was to be stored and told soon is not: see manager_revoke_soon(). */
void manager_unsettle(Entry *e);
/* As cdmd stops: what is on disk stays. */
void manager_entries_free(Manager *m);
int manager_store(Entry *e);
void manager_set_state(Entry *e, ReservationState state);
/* Fills in what the reservation says; kind, numbers and reason are the caller's. */
Event manager_event(const Entry *e, EventKind kind, char nodes[static NODESET_STR_MAX],
                    char policy[static 512]);

/* snapshot.c. pool: of its nodes; NULL: of all. What is used of them is as observed last: to decide,
 * a look is asked for before. Valid until the next one is made. */
Snapshot manager_snapshot(Manager *m, const Pool *pool);
/* Reads MemFree of the pool's nodes, and begins a look where the last one is old (usage_show_node()). */
Snapshot manager_snapshot_to_show(Manager *m, const Pool *pool);
/* usage_look() at all CDM nodes; cgroup: at that as well. */
int manager_look(Manager *m, const char *cgroup,
                 void (*done)(int error, const UsageTarget *, void *userdata), void *userdata,
                 UsageLook **ret);

/* change.c. To be called within a turn of the tenant: makes its cgroup follow the ledger. */
typedef struct ChangeTerms {
        bool migrate;    /* move its pages up as well, at most what the reservation has room for */
        NodeSet leaving; /* what is given up: drained and measured. Of a node that another reservation keeps
                          * open only the excess is drained: what is above all that is still held there. */
} ChangeTerms;
/* changed: the kernel's state was not as wanted. Called from the event loop; the Change may be freed there.
 */
typedef void (*change_done_t)(const ApplyResult *result, bool changed, void *userdata);
int change_start(Manager *m, const Reservation *r, const ChangeTerms *terms, change_done_t done,
                 void *userdata, Change **ret);
Change *change_free(Change *c);

/* request.c */
typedef struct RequestArgs {
        char *pool;
        uint64_t size_bytes;
        IdentityQuery target;
        char *unit, *cgroup, *user; /* what `target` points to */
        char *client;               /* its name on the bus */
        bool client_left;           /* the client has left the bus since it asked */
        uint64_t lease_usec, queue_usec;
        int32_t priority;
        bool for_nobody;
        bool has_priority, queue, migrate, exclusive, bind, with_start;
        NodeSet nodes, near;
} RequestArgs;

/* What was decided as a reservation, granted or waiting; id: the one that it had while it waited, or 0. Its
 * state, times and nodes are left to the caller, as is to add it. */
int manager_reservation_new(Manager *m, const Identity *i, const RequestArgs *a, const Decision *d,
                            uint32_t id, Reservation **ret);
void request_args_clear(RequestArgs *a);

typedef struct RequestResult {
        uint32_t id;              /* Request: the new reservation */
        const Decision *decision; /* Explain */
} RequestResult;
typedef void (*request_done_t)(sd_bus_message *m, const Answer *answer, const RequestResult *result);
/* Takes what args own. done is called exactly once unless the client goes away before. */
int manager_request(Manager *m, sd_bus_message *call, RequestArgs *args, bool explain, request_done_t done);
/* Recovery is over: those that wait go on. */
void manager_requests_serve(Manager *m);
void manager_requests_free(Manager *m);

/* judgement.c. What was decided on a request, and whether its caller was authorised by then. */
typedef struct Judgement {
        Decision *decision;
        bool authorised;
} Judgement;
/* target: what a look that began for this request found of the target's cgroup. */
int request_decide(Manager *m, const Identity *i, const RequestArgs *a, const UsageTarget *target,
                   bool authorised, Judgement *ret);
void judgement_clear(Judgement *j);
bool judgement_is_refusal(const Judgement *j);
/* Granted or queued, and the caller was authorised: nothing else may be carried out. */
bool judgement_may_act(const Judgement *j);
/* To the journal and the bus. */
void request_tell_refused(Manager *m, const Identity *i, const RequestArgs *a, const Decision *d);
/* Turns what decide() said into an answer; NULL when granted or queued. */
const char *decision_error(Verdict v);

/* grant.c. Takes identity; args stay the caller's, until done or grant_abandon(). authorised: the
 * caller may have what policy allows. *ret is set before
 * done is called; done frees the Grant. */
typedef void (*grant_done_t)(const Answer *answer, uint32_t id, void *userdata);
int grant_start(Manager *m, Identity *identity, const RequestArgs *args, bool authorised, grant_done_t done,
                void *userdata, Grant **ret);
/* Drops interest of the caller; what is under way goes on and is undone if nobody wants it. */
void grant_abandon(Grant *g);
void manager_grants_free(Manager *m);
/* One that waited, and is out of the queue: it gets what was decided. Takes identity. */
void grant_waiting(Entry *e, Identity *identity, const Decision *d);
/* grant-reservation.c */
/* Makes what was decided for a grant. mems: the tenant's own cpuset.mems, or empty. id: the one that it had
 * while it waited, or 0. */
int grant_make_reservation(Manager *m, const Identity *i, const RequestArgs *a, const Decision *d,
                           const NodeSet *mems, uint32_t id, Reservation **ret);
/* waiter.c */
/* It waits, stored, when this returns 0. Takes identity. */
int manager_enqueue(Manager *m, Identity *identity, const RequestArgs *args, const Decision *d,
                    const NodeSet *near, uint32_t *ret_id);
/* It waits no more; error: what its client is told it failed with. The entry is gone. */
void manager_dequeue(Entry *e, const char *error, const char *reason);
/* After a restart: who of them still has a client? done is called when that is known. */
void manager_queue_restore(Manager *m, void (*done)(Manager *m));
Waiter *waiter_free(Waiter *w);
/* Its client went away while it was being granted. */
bool waiter_is_gone(const Waiter *w);
/* It needs nobody to leave any more. */
void waiter_done(Waiter *w);
/* It is next: out of the queue, and its time is not over any more. Its identity is the caller's. */
Identity *waiter_take(Waiter *w);
/* Those that are displaced for it. */
void waiter_revoke_victims(Waiter *w, const Decision *d);

/* release.c. Stored as draining when it returns 0; the rest is told by events. */
int manager_release(Entry *e);
/* The reservation's drain stops without further ado. */
void entry_stop(Entry *e);

/* leases.c. Times are of CLOCK_BOOTTIME. */
/* Sets the timer for what comes next for this one, as its lease and state have it; all that are granted. */
void manager_lease_arm(Entry *e);
void manager_leases_arm(Manager *m);
/* It is told, and drained at that time. for_id: the reservation that displaces it; 0: its lease ends. */
int manager_revoke(Entry *e, uint64_t drain_usec, uint32_t for_id);
/* For many at once: counts as revoked now, and is stored and told soon. It is not revoked if that fails. */
void manager_revoke_soon(Entry *e, uint64_t drain_usec, uint32_t for_id);
/* It is not revoked after all. */
void manager_keep(Entry *e);
void manager_keep_soon(Entry *e);
/* The lease goes on for usec from now. */
int manager_renew(Entry *e, uint64_t usec);
/* Why it was revoked, a phrase; NULL: it was not. */
#define REVOKED_WHY_MAX 80
const char *manager_revoked_why(const Reservation *r, char buf[static REVOKED_WHY_MAX]);

/* unit-check.c */
int manager_watch_units(Manager *m);
/* Has the tenant's unit (or, by its path, a cgroup without one) ended, or restarted? Looks, and acts on it.
 * repair: its nodes are compared with the ledger in any case. done may be NULL. */
typedef void (*unit_check_done_t)(Manager *m);
int manager_check_unit(Manager *m, const char *unit, bool repair, unit_check_done_t done);
void manager_checks_free(Manager *m);

/* reload.c. At start there is no policy to keep: a configuration that does not parse leaves one
 * without any rule, whose fence takes what Nodes=auto finds. */
int manager_load(Manager *m);
/* done is called when the new configuration is in force and the fence follows it, or when it was refused;
 * perhaps at once. It may be NULL. */
typedef void (*reload_done_t)(const Answer *answer, void *userdata);
void manager_reload(Manager *m, reload_done_t done, void *userdata);
void manager_reloads_serve(Manager *m);
void manager_reloads_free(Manager *m);
/* Makes the fence what the configuration says; m->fence_settled() is called when it is. */
void manager_fence(Manager *m);

/* Topology and pools are swapped in, and config if there is one: what was in force is handed back. Tells the
 * bus which objects came and went. Not while the fence is busy. */
typedef struct Adoption {
        Topology *topology;
        Config *config; /* NULL: stays */
        PoolSet *pools;
        char *faults;   /* with config: lines about files that were refused; may be NULL */
        char *warnings; /* likewise about what is odd */
} Adoption;
int manager_adopt(Manager *m, Adoption *a);
void adoption_clear(Adoption *a);

/* start.c */
int manager_start(Manager *m);
