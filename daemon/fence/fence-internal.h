/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the parts of the fence, and private to daemon/fence/fence*.c. fence.c describes the sequence. */

#include "daemon/fence/fence-names.h"
#include "daemon/fence/fence.h"
#include "daemon/fence/fence-scan.h"
#include "daemon/kernel/drain.h"
#include "daemon/kernel/evict.h"
#include "daemon/loop/slice.h"
#include "daemon/pid1/unit.h"

#define FENCE_DIR_RUNTIME   "/run/systemd/system"
#define FENCE_DIR_GENERATOR "/run/systemd/generator"

/* Each phase except the first two is one step. fence_phase_after() in fence.c selects the next one. */
typedef enum FencePhase {
        PHASE_IDLE,
        PHASE_WAIT, /* for checks in flight */
        PHASE_SCAN,
        PHASE_ASK,
        PHASE_DRAIN,
        PHASE_PROPERTIES,
        PHASE_RESET,
        PHASE_INSTALL,
        PHASE_RELOAD,
        PHASE_READ,
        PHASE_JUDGE,
        PHASE_POKE,
        PHASE_NARROW,
        PHASE_TELL,
        PHASE_REPORT,
        _PHASE_MAX,
} FencePhase;

typedef struct FenceJob FenceJob;
typedef struct FenceCheck FenceCheck;

typedef struct FenceReport {
        Unfenced *unfenced;
        size_t n;
} FenceReport;

/* A property of a unit, as read from a file of systemd. */
typedef struct FenceProperty {
        char *unit;
        NodeSet nodes;
        bool startup; /* StartupAllowedMemoryNodes= */
} FenceProperty;

typedef struct FenceProperties {
        FenceProperty *list;
        size_t n;
} FenceProperties;

/* What the steps of one sequence together wait for turns that others hold. */
#define FENCE_PATIENCE_USEC (5 * UINT64_C(1000000))

struct Fence {
        FenceContext context;
        FenceState state;
        FenceReport report; /* of the last sequence */
        uint64_t drained_bytes, told_bytes;

        FenceCheck *checks, *checks_by_path;
        size_t n_checks_at_work;
        FenceCheck *release; /* the next check that may resume; the slice is enabled while there is one */
        Slice *release_slice;
        void (*check_ended)(Fence *f); /* called by a check that is no longer at work */

        /* the sequence in flight */
        FencePhase phase;
        /* Each step calls this function once, with 0 or an error; the Fence may be freed there. A function
         * fence_step_*() starts a step, and is called again to continue the step. */
        void (*step_ended)(Fence *f, int error);
        Slice *slice;
        size_t n_in_turn; /* items handled in this turn of the event loop */
        int error;        /* of the failed step */
        bool lifting, reloaded, narrowed;
        bool to_reload;       /* systemd must read the installed files; stays set until a reload succeeds */
        bool interrupted;     /* an earlier cdmd ended during a change of the fence */
        bool foreign_done;    /* foreign cgroups have been fenced, or lifted */
        const Config *config; /* these two stay set after a sequence, while a fence is in force */
        const PoolSet *pools;
        NodeSet before;   /* nodes that the previous fence allowed to all units; empty: no fence */
        NodeSet kept_off; /* nodes that the previous fence denied */
        fence_done_t done;
        void *userdata;
        FenceScan scan;
        FenceProperties properties;
        FenceReport next_report;
        FenceNames names;   /* slices to poke */
        FenceNames written; /* units whose cgroups a worker wrote, and the sets: systemd must get the same */
        bool untold;        /* the error of the last sequence was transient: closing it again may succeed */
        int untold_error;   /* a notification of systemd failed for the moment */
        size_t next;        /* index of the next leaf or name in this phase */
        size_t n_todo;      /* leaves not in the desired state at the last reading */
        size_t poke_below;  /* poke only if n_todo is smaller: the last poke helped */
        Job *job;
        FenceJob *job_data;
        UnitCall *call;
        Turn *turn; /* of the unit that the step changes */
        done_t turn_begin;
        sd_event_source *impatience; /* ends the wait for the turn */
        uint64_t patience_usec;      /* left for this sequence */
        uint64_t asked_usec;         /* when the turn was asked for */
};

/* A job on a worker: moves the pages of the cgroup from the nodes `from` to the nodes `to`, narrows
 * unit_path to target, and evicts the remaining page cache. A cgroup with another inode is left alone. The
 * job pauses like drain_move_run(). */
typedef struct FenceDrain {
        const char *path, *unit_path;
        uint64_t id;
        NodeSet from, to, target;
        NodeSet kept; /* nodes that stay if they are open: releases close them */
        uint64_t bandwidth;
        bool enable;      /* first enable the cpuset controller above it */
        Foreign *foreign; /* if systemd may not own it: records `was` as the original set; or NULL */
        NodeSet was;
        /* progress */
        DrainMove *move;
        bool narrowed;
        uint64_t before_bytes;
        Evict evict;
        uint64_t drained_bytes; /* set when the job has ended */
} FenceDrain;

/* The data of a job. It outlives a Fence that is freed meanwhile: then fence is NULL. */
struct FenceJob {
        Fence *fence;
        Job *job;
        FenceScan scan;             /* SCAN and READ: first the old scan, to be freed; then the result */
        FenceProperties properties; /* result of PROPERTIES */
        NodeSet cdm, from, to, target;
        char *path, *unit_path;
        uint64_t id;
        uint64_t bandwidth;
        FenceDrain drain;
        Foreign *foreign;
        ForeignSweep *sweep;
        ForeignFound found;
        bool doubtful_slices;             /* SCAN: see fence_scan_read() */
        bool fence_foreign, lift_foreign; /* READ: first handle foreign cgroups */
        NodeSet all;
};

void fence_properties_clear(FenceProperties *p);
FenceJob *fence_job_free(FenceJob *j);
/* Takes ownership of j. On failure the sequence ends. moves: the job may move pages. */
void fence_job_start(Fence *f, FenceJob *j, bool moves, job_run_t run, done_t done);
/* Returns the Fence of a job that has ended; NULL if the Fence was freed. */
Fence *fence_job_ended(FenceJob *j);

/* For steps with many items. Returns true for a limited number of items per turn of the event loop. On false
 * the step must return, and is called again in the next turn. */
bool fence_go_on(Fence *f);
/* Must be called once, before fence_take_turn(). */
int fence_turns_new(Fence *f);
/* Calls begin within the turn of the unit, which ends with the step or with the next call. If others hold the
 * turn for too long, the step is called instead in the next turn of the event loop, and goes on with what is
 * next; while the fence is lifted, begin is called without the turn. */
void fence_take_turn(Fence *f, const char *unit, done_t begin);

/* Records the result of a notification of systemd. A transient failure makes the fence leaky, so that it is
 * closed again. */
void fence_note_told(Fence *f, int error);

/* fence-judge.c */
/* True if the leaf must have every node. */
bool fence_leaf_is_free(const Fence *f, const FenceLeaf *leaf);
/* True if a free leaf is still restricted to the nodes that an old fence allowed. */
bool fence_leaf_is_held_back(const Fence *f, const FenceLeaf *leaf);
/* The target set of the leaf when the nodes `open` are closed. All other CDM nodes stay, including nodes
 * that a release still drains. */
NodeSet fence_leaf_closed(const Fence *f, const FenceLeaf *leaf, const NodeSet *open);
/* True if the leaf has exactly the set of the previous fence, and the new fence allows a different set. */
bool fence_leaf_is_outdated(const Fence *f, const FenceLeaf *leaf);
/* Counts the leaves that are not in the desired state (n_todo), and collects their slices. */
void fence_step_judge(Fence *f);
/* Fills `next_report` from the last reading. */
void fence_step_report(Fence *f);
void fence_report_clear(FenceReport *r);

/* fence-read.c */
void fence_step_scan(Fence *f);
void fence_step_read(Fence *f);
void fence_step_poke(Fence *f);

/* fence-check.c. True if no check is at work: the fence may be changed. */
bool fence_checks_are_idle(const Fence *f);
/* Checks that wait for their turn give up their place in the queue. */
void fence_checks_hold(Fence *f);
/* The change of the fence has ended: waiting checks resume, or are dropped if no fence is in force. They
 * resume in slices: a sequence that starts meanwhile holds the remaining checks again. */
void fence_checks_release(Fence *f);
void fence_checks_on_slice(void *userdata);
void fence_checks_free(Fence *f);

/* fence-owner.c */
void fence_step_ask(Fence *f);

/* fence-leaf.c */
int fence_leaf_drain(Job *job, FenceDrain *d);
/* Fills in `foreign` and `was` if the leaf is the cgroup of a unit by its name, but its owner is unknown. */
void fence_drain_note(const Fence *f, const FenceLeaf *leaf, FenceDrain *d);
/* True if systemd must be notified of target, because its own set of the unit opens other CDM nodes or
 * shares no node with target. For a slice: because its set lacks nodes of target. */
bool fence_unit_is_to_be_told(const UnitInfo *info, const NodeSet *target, const PoolSet *pools);
/* The set to tell systemd, within the unit's turn: the ordinary nodes of the set that was written, and the CDM
 * nodes of this moment. For a slice: the set that was written. */
NodeSet fence_unit_target(const Fence *f, const UnitInfo *info, const NodeSet *written);
void fence_step_drain(Fence *f);
void fence_step_narrow(Fence *f);
void fence_step_tell(Fence *f);

/* fence-install.c */
void fence_step_properties(Fence *f);
void fence_step_reset(Fence *f);
void fence_step_install(Fence *f);
void fence_step_reload(Fence *f);
/* The nodes that the installed fence allows to all units; empty: no fence. */
NodeSet fence_ordinary_in_force(const Fence *f);
/* The nodes that were allowed to all units before an interrupted change; false: no change was
 * interrupted. */
bool fence_before_read(const Fence *f, NodeSet *ret);
void fence_before_forget(const Fence *f);
