/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The fence: every leaf is denied the CDM nodes unless a reservation opens them. Two halves: drop-in files
 * that systemd applies to whatever it starts (fence-files, shared with the generator), and the closing of
 * what already runs. */

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
        FENCE_CLOSING, /* under way */
        FENCE_CLOSED,  /* every leaf was read back */
        FENCE_LEAKY,   /* closed but for the cgroups in `unfenced` */
        _FENCE_STATE_MAX,
} FenceState;

const char *fence_state_to_string(FenceState v);

/* A cgroup that is not fenced, and why. */
typedef struct Unfenced {
        char *cgroup;
        char *unit;
        char *reason;
} Unfenced;

typedef struct Fence Fence;

/* What fence_check() had to do to a cgroup. */
typedef struct FenceRepair {
        const char *cgroup;
        const char *unit; /* NULL: systemd does not own it */
        NodeSet nodes;    /* were open without a reservation */
        uint64_t drained_bytes;
        uint64_t usec; /* from the event to the last write */
        bool is_new;   /* the cgroup had just appeared */
        bool is_open;  /* still: something else keeps it open */
        /* It is a slice, of which the set had no ordinary node, which opened the nodes to all that is in it. */
        bool is_widened;
} FenceRepair;

/* What the fence needs to know while it works; all of it outlives the Fence. */
typedef struct FenceContext {
        sd_event *event;
        Gate *gate;
        Worker *worker; /* for what is short */
        Worker *mover;  /* for what moves pages */
        TurnQueue *turns;
        const Ledger *ledger;
        Foreign *foreign;
        const char *root;
        /* fence_check() had something to do; may be NULL */
        void (*repaired)(const FenceRepair *repair, void *userdata);
        void *userdata;
} FenceContext;

typedef void (*fence_done_t)(Fence *f, int error, void *userdata);

int fence_new(const FenceContext *context, Fence **ret);
Fence *fence_free(Fence *f);
DEFINE_CLEANUP(Fence, fence_free);

/* Closes it over everything that runs, in this order: leaves that hold CDM pages without a reservation are
 * drained and narrowed one by one; drop-ins are installed where missing and systemd reloaded; every leaf's
 * cpuset.mems.effective is read back, slices that systemd has not realised are poked, until all are fenced
 * or no poke helps any more. Units whose property names a CDM node without a reservation are set back. done
 * is called once. Where another fence is there, units that have just what it left them get what this one
 * leaves. On failure the state is leaky and `unfenced` says why. config and pools have to stay until the
 * next call of fence_close() or the end of fence_lift(): fence_check() needs them. */
int fence_close(Fence *f, const Config *config, const PoolSet *pools, fence_done_t done, void *userdata);

/* Configuration and pools were replaced while no fence is under way; single cgroups are judged by them from
 * now on, where the fence is closed. */
void fence_use(Fence *f, const Config *config, const PoolSet *pools);

/* The mirror image: drop-ins are removed, systemd reloaded, slices poked until leaves inherit again. pools
 * says which nodes they were kept off (it may be the last one that was closed with). -EBUSY from either: one
 * is under way. */
int fence_lift(Fence *f, const PoolSet *pools, fence_done_t done, void *userdata);

/* Looks at one cgroup, or the unit that it is part of: where CDM nodes are open to it without a reservation
 * it is drained and narrowed, systemd is told where it has another idea, and the context's `repaired` is
 * called. Waits for its tenant's turn, and while the fence is closed or lifted, for that. Nothing is done
 * where no fence is in force. since_usec: when it was noticed (CLOCK_MONOTONIC). */
int fence_check(Fence *f, const char *path, uint64_t since_usec, bool is_new);

FenceState fence_state(const Fence *f);
/* Is anything kept off any node, or may it be: by this cdmd, an earlier one, or the generator? */
bool fence_is_there(const Fence *f);
/* The cpuset controller had to be enabled while the system was running: CPU affinities that services had set
 * for themselves may have been reset. */
bool fence_enabled_cpuset(const Fence *f);
const Unfenced *fence_unfenced(const Fence *f, size_t *ret_n);
/* All is written, but systemd was too busy to be told: the fence is to be closed once more. */
bool fence_is_untold(const Fence *f);
uint64_t fence_intruder_bytes_drained(const Fence *f);
/* So much was drained elsewhere. */
void fence_count_drained(Fence *f, uint64_t bytes);
/* Those of which nobody was told yet. */
uint64_t fence_intruder_bytes_untold(const Fence *f);
void fence_intruders_were_told(Fence *f, uint64_t bytes);
