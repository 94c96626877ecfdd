/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The fence denies the CDM nodes to every leaf unless a reservation opens them. It has two halves: drop-in
 * files that systemd applies to every unit that it starts (fence-files, shared with the generator), and the
 * sequence that closes cgroups that already exist. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/fence/foreign.h"
#include "daemon/loop/turn.h"
#include "daemon/loop/worker.h"
#include "daemon/pid1/gate.h"
#include "policy/config.h"
#include "policy/ledger.h"
#include "policy/macro.h"
#include "policy/pool.h"

typedef enum FenceState {
        FENCE_OPEN,    /* Mode=off or observe, or nothing to fence */
        FENCE_CLOSING, /* a sequence is in flight */
        FENCE_CLOSED,  /* every leaf was verified */
        FENCE_LEAKY,   /* closed except for the cgroups in `unfenced` */
        _FENCE_STATE_MAX,
} FenceState;

const char *fence_state_to_string(FenceState v);

/* A cgroup that is not fenced, and the reason. */
typedef struct Unfenced {
        char *cgroup;
        char *unit;
        char *reason;
} Unfenced;

typedef struct Fence Fence;

/* The changes that fence_check() made to a cgroup. */
typedef struct FenceRepair {
        const char *cgroup;
        const char *unit; /* NULL: a foreign cgroup */
        NodeSet nodes;    /* nodes that were open without a reservation */
        uint64_t drained_bytes;
        uint64_t usec; /* from the event to the last write */
        uid_t owner;   /* of cpuset.mems of a foreign cgroup; a user who owns it can open it at any rate */
        bool is_new;   /* the cgroup had just appeared */
        bool is_open;  /* the repair failed: something else keeps the cgroup open */
        /* The cgroup is a slice whose set had no ordinary node, which opened the nodes to its whole
         * subtree. */
        bool is_widened;
} FenceRepair;

/* The environment of the fence. Every object here outlives the Fence. */
typedef struct FenceContext {
        sd_event *event;
        Gate *gate;
        Worker *worker; /* for short jobs */
        Worker *mover;  /* for jobs that move pages */
        TurnQueue *turns;
        const Ledger *ledger;
        Foreign *foreign;
        const char *root;
        /* called after fence_check() has changed something; may be NULL */
        void (*repaired)(const FenceRepair *repair, void *userdata);
        void *userdata;
} FenceContext;

typedef void (*fence_done_t)(Fence *f, int error, void *userdata);

int fence_new(const FenceContext *context, Fence **ret);
Fence *fence_free(Fence *f);
DEFINE_CLEANUP(Fence, fence_free);

/* Closes the fence over all existing cgroups, in this order: leaves that hold CDM pages without a
 * reservation are drained and narrowed one by one; properties that name a CDM node without a reservation are
 * reset; missing drop-ins are installed and systemd is reloaded; cpuset.mems.effective of every leaf is read
 * back, and slices that systemd has not realized are poked, until all leaves are fenced or pokes have no
 * more effect. done is called once. If an older fence is in force, units that still carry its node set are
 * updated to the new set. On failure the state is leaky and `unfenced` says why. config and pools must stay
 * valid until the next call of fence_close() or the end of fence_lift(): fence_check() uses them. */
int fence_close(Fence *f, const Config *config, const PoolSet *pools, fence_done_t done, void *userdata);

/* Replaces configuration and pools while no sequence is in flight. If a fence is in force, fence_check()
 * uses them from now on. */
void fence_use(Fence *f, const Config *config, const PoolSet *pools);

/* The inverse of fence_close(): drop-ins are removed, systemd is reloaded, and slices are poked until leaves
 * inherit again. pools tells which nodes the leaves were denied (it may be the pools of the last
 * fence_close()). Both functions return -EBUSY while a sequence is in flight. */
int fence_lift(Fence *f, const PoolSet *pools, fence_done_t done, void *userdata);

/* Checks one cgroup, or the unit that contains it. If CDM nodes are open to the cgroup without a
 * reservation, it is drained and narrowed, systemd is notified if its own set differs, and `repaired` of the
 * context is called. The check waits for the tenant's turn, and for the end of a sequence in flight. Without
 * a fence in force nothing happens. since_usec: time of the event (CLOCK_MONOTONIC). */
int fence_check(Fence *f, const char *path, uint64_t since_usec, bool is_new);

FenceState fence_state(const Fence *f);
/* True if a fence may deny nodes: a fence of this cdmd, of an earlier cdmd, or of the generator. */
bool fence_is_there(const Fence *f);
/* True if the cpuset controller was enabled while the system was running: this may have reset CPU affinities
 * that services had set for themselves. */
bool fence_enabled_cpuset(const Fence *f);
const Unfenced *fence_unfenced(const Fence *f, size_t *ret_n);
/* True if the last sequence failed for the moment, as when systemd was too busy to be notified or to reload:
 * the fence must be closed once more. */
bool fence_is_untold(const Fence *f);
uint64_t fence_intruder_bytes_drained(const Fence *f);
/* Adds bytes of intruders that were drained elsewhere. */
void fence_count_drained(Fence *f, uint64_t bytes);
/* The drained bytes that have not been reported yet. */
uint64_t fence_intruder_bytes_untold(const Fence *f);
void fence_intruders_were_told(Fence *f, uint64_t bytes);
