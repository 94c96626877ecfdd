/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the fence share; for daemon/fence*.c alone. fence.c has the sequence. */

#include "daemon/fence/fence-names.h"
#include "daemon/fence/fence.h"
#include "daemon/fence/fence-scan.h"
#include "daemon/kernel/drain.h"
#include "daemon/loop/slice.h"
#include "daemon/pid1/unit.h"

#define FENCE_DIR_RUNTIME   "/run/systemd/system"
#define FENCE_DIR_GENERATOR "/run/systemd/generator"

/* Each but the first two is one step; fence_phase_after() in fence.c says which one comes next. */
typedef enum FencePhase {
        PHASE_IDLE,
        PHASE_WAIT, /* for checks that are under way */
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

/* A property of a unit that systemd keeps in a file. */
typedef struct FenceProperty {
        char *unit;
        NodeSet nodes;
        bool startup; /* StartupAllowedMemoryNodes= */
} FenceProperty;

typedef struct FenceProperties {
        FenceProperty *list;
        size_t n;
} FenceProperties;

struct Fence {
        FenceContext context;
        FenceState state;
        FenceReport report; /* of the last sequence */
        uint64_t drained_bytes, told_bytes;

        FenceCheck *checks, *checks_by_path;
        size_t n_checks_at_work;
        FenceCheck *release; /* the next one that may go on; the slice is on while there is one */
        Slice *release_slice;
        void (*check_ended)(Fence *f); /* called by a check that is not at work any more */

        /* what is under way */
        FencePhase phase;
        /* Each step calls this one once, with 0 or an error; the Fence may be freed there. A function
         * fence_step_*() begins a step, and is called again to go on with it. */
        void (*step_ended)(Fence *f, int error);
        Slice *slice;
        size_t n_in_turn; /* that the step looked at in this turn of the event loop */
        int error;        /* of the step that has failed */
        bool lifting, reloaded, narrowed;
        bool to_reload;       /* what was installed has to be read by systemd */
        bool interrupted;     /* a cdmd before this one ended while it changed the fence */
        bool foreign_done;    /* cgroups that systemd does not own were fenced, or lifted */
        const Config *config; /* these two also in between, while a fence is in force */
        const PoolSet *pools;
        NodeSet before;   /* what the fence that was there left to everyone; empty: there was none */
        NodeSet kept_off; /* from which nodes a leaf is kept as long as the fence is not lifted */
        fence_done_t done;
        void *userdata;
        FenceScan scan;
        FenceProperties properties;
        FenceReport next_report;
        FenceNames names; /* slices to poke */
        FenceNames
                written; /* units whose cgroups a worker wrote, and what: systemd is to have the same idea */
        bool untold;     /* the last sequence ended with an untold_error, and nothing else was wrong */
        int untold_error;  /* systemd could not be told of one of them, or of a reset, for now */
        size_t next;       /* leaf or name that is next in this phase */
        size_t n_todo;     /* leaves that are not as they shall be, at the last reading */
        size_t poke_below; /* a poke is tried when fewer leaves than these are left */
        Job *job;
        FenceJob *job_data;
        UnitCall *call;
};

/* On a worker: moves what the cgroup has on `from` to `to`, narrows unit_path to target, evicts page cache
 * that stayed. Nothing is done to a cgroup with another inode. It pauses as drain_move_run() does. */
typedef struct FenceDrain {
        const char *path, *unit_path;
        uint64_t id;
        NodeSet from, to, target;
        uint64_t bandwidth;
        bool enable;      /* the cpuset controller above it, first */
        Foreign *foreign; /* it may be none of systemd's: then `was` is noted as its own; NULL: it is not */
        NodeSet was;
        /* how far it is */
        DrainMove *move;
        bool narrowed;
        uint64_t before_bytes;
        DrainEvict evict;
        uint64_t drained_bytes; /* when it has ended */
} FenceDrain;

/* What a job works on. It outlives the Fence when that is freed meanwhile: then fence is NULL. */
struct FenceJob {
        Fence *fence;
        Job *job;
        FenceScan scan;             /* SCAN and READ: the last one, which is freed, and the result */
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
        bool fence_foreign, lift_foreign; /* READ: those that systemd does not own, before */
        NodeSet all;
};

void fence_properties_clear(FenceProperties *p);
FenceJob *fence_job_free(FenceJob *j);
/* Owns j from then on; on failure the sequence ends. moves: it may move pages. */
void fence_job_start(Fence *f, FenceJob *j, bool moves, job_run_t run, job_done_t done);
/* The Fence of a job that has ended; NULL when it is gone. */
Fence *fence_job_ended(FenceJob *j);

/* For a step that looks at many: true for a number of them in each turn of the event loop. Else the step has
 * to return, and is called again in the next turn. */
bool fence_go_on(Fence *f);

/* systemd has been told something, or not: what it did not take for now makes the fence leaky, so that it is
 * closed anew. */
void fence_note_told(Fence *f, int error);

/* fence-judge.c */
/* Shall it have every node? */
bool fence_leaf_is_free(const Fence *f, const FenceLeaf *leaf);
/* Does a leaf that shall have every node have only what a fence has left it? */
bool fence_leaf_is_held_back(const Fence *f, const FenceLeaf *leaf);
/* What the leaf shall have, if these nodes are open to it: nodes that drain for somebody else's sake stay for now.
 */
NodeSet fence_leaf_closed(const Fence *f, const FenceLeaf *leaf, const NodeSet *open);
/* Has the leaf exactly what an earlier fence left to everyone, and this one leaves something else? */
bool fence_leaf_is_outdated(const Fence *f, const FenceLeaf *leaf);
/* Counts the leaves that are not as they shall be (n_todo), and names their slices. */
void fence_step_judge(Fence *f);
/* Fills `next_report` from the last reading. */
void fence_step_report(Fence *f);
void fence_report_clear(FenceReport *r);

/* fence-read.c */
void fence_step_scan(Fence *f);
void fence_step_read(Fence *f);
void fence_step_poke(Fence *f);

/* fence-check.c. None of them works: the fence may be changed. */
bool fence_checks_are_idle(const Fence *f);
/* Those that wait for their turn give way. */
void fence_checks_hold(Fence *f);
/* The fence is changed: those that waited for that go on, or are dropped where there is none. In slices: a
 * sequence that begins meanwhile holds the others again. */
void fence_checks_release(Fence *f);
void fence_checks_on_slice(void *userdata);
void fence_checks_free(Fence *f);

/* fence-owner.c */
void fence_step_ask(Fence *f);

/* fence-leaf.c */
int fence_leaf_drain(Job *job, FenceDrain *d);
/* Fills in the two fields for a leaf that is written as a unit's, and whose owner is not known. */
void fence_drain_note(const Fence *f, const FenceLeaf *leaf, FenceDrain *d);
/* Has systemd an idea of the unit that opens more than target? */
bool fence_unit_is_to_be_told(const UnitInfo *info, const NodeSet *target, const PoolSet *pools);
void fence_step_drain(Fence *f);
void fence_step_narrow(Fence *f);
void fence_step_tell(Fence *f);

/* fence-install.c */
void fence_step_properties(Fence *f);
void fence_step_reset(Fence *f);
void fence_step_install(Fence *f);
void fence_step_reload(Fence *f);
/* The nodes that a fence, if there is one, leaves to everyone. */
NodeSet fence_ordinary_in_force(const Fence *f);
/* What was left to everyone before a change that has not ended; false: none is under way. */
bool fence_before_read(const Fence *f, NodeSet *ret);
void fence_before_forget(const Fence *f);
