/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the fence share; for daemon/fence*.c alone. fence.c has the sequence. */

#include "daemon/fence/fence-names.h"
#include "daemon/fence/fence.h"
#include "daemon/fence/fence-scan.h"
#include "daemon/kernel/drain.h"
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
        PHASE_RESET,
        PHASE_INSTALL,
        PHASE_RELOAD,
        PHASE_READ,
        PHASE_POKE,
        PHASE_NARROW,
        PHASE_TELL,
        _PHASE_MAX,
} FencePhase;

typedef struct FenceJob FenceJob;
typedef struct FenceCheck FenceCheck;

struct Fence {
        FenceContext context;
        FenceState state;
        Unfenced *unfenced;
        size_t n_unfenced;
        uint64_t drained_bytes, told_bytes;

        FenceCheck *checks, *checks_by_path;
        void (*check_ended)(Fence *f); /* called by a check that is not at work any more */

        /* what is under way */
        FencePhase phase;
        /* Each step calls this one once, with 0 or an error; the Fence may be freed there. A function
         * fence_step_*() begins a step, and is called by the file that it is in to go on with it. */
        void (*step_ended)(Fence *f, int error);
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
        FenceNames startups; /* units whose StartupAllowedMemoryNodes= is reset */
        FenceNames names;    /* units to set back, slices to poke */
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
        FenceScan scan; /* result of SCAN and READ */
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

FenceJob *fence_job_free(FenceJob *j);
/* Owns j from then on; on failure the sequence ends. moves: it may move pages. */
void fence_job_start(Fence *f, FenceJob *j, bool moves, job_run_t run, job_done_t done);
/* The Fence of a job that has ended; NULL when it is gone. */
Fence *fence_job_ended(FenceJob *j);

/* systemd has been told something, or not: what it did not take for now makes the fence leaky, so that it is
 * closed anew. */
void fence_note_told(Fence *f, int error);

/* fence-judge.c */
/* Shall it have every node? */
bool fence_leaf_is_free(const Fence *f, const FenceLeaf *leaf);
/* Does a leaf that shall have every node have only what a fence has left it? */
bool fence_leaf_is_held_back(const Fence *f, const FenceLeaf *leaf);
/* Has the leaf exactly what an earlier fence left to everyone, and this one leaves something else? */
bool fence_leaf_is_outdated(const Fence *f, const FenceLeaf *leaf);
/* Counts the leaves that are not as they shall be (n_todo), and names their slices. */
int fence_judge(Fence *f);
void fence_unfenced_clear(Fence *f);
/* Fills `unfenced` from the last reading. */
int fence_report(Fence *f, int error);

/* fence-read.c */
void fence_step_scan(Fence *f);
void fence_step_read(Fence *f);
void fence_step_poke(Fence *f);

/* fence-check.c. None of them works: the fence may be changed. */
bool fence_checks_are_idle(const Fence *f);
/* Those that wait for their turn give way. */
void fence_checks_hold(Fence *f);
/* The fence is changed: those that waited for that go on, or are dropped where there is none. */
void fence_checks_release(Fence *f);
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
void fence_step_reset(Fence *f);
void fence_step_install(Fence *f);
void fence_step_reload(Fence *f);
/* The nodes that a fence, if there is one, leaves to everyone. */
NodeSet fence_ordinary_in_force(const Fence *f);
/* What was left to everyone before a change that has not ended; false: none is under way. */
bool fence_before_read(const Fence *f, NodeSet *ret);
void fence_before_forget(const Fence *f);
