/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A change of one tenant's nodes as data: ordered steps, each with its inverse. daemon/fence/apply.c is the one
 * place that carries them out, and that undoes those already done when one fails.
 *
 * Why this order: widening is write, tell systemd, verify, then move pages up. Narrowing makes the writer of
 * cpuset.mems wait for every page, so pages are drained first; and the kernel remaps a policy's nodes by
 * position when a set of nodes is swapped for another in one write, so a change that does both widens first
 * and narrows last.
 *
 *      widen:   [open the way,] write, property, verify [, migrate]
 *      narrow:  drain, write, property, [close the way,] verify, evict, measure
 *      excess:  drain so many bytes, measure
 *
 * Excess is what a tenant has on a node that it keeps, above what it still holds there. Its page cache is
 * not evicted: the kernel evicts from a cgroup, on whatever node, and would take what may stay.
 *
 * "The way" means the ancestors of a cgroup that systemd does not own: these are fenced as well.
 *
 * Each write and each property holds an ordinary node. Widening has an inverse, narrowing has none: a closed
 * node is never reopened by an undo. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ledger.h"
#include "policy/macro.h"
#include "policy/nodeset.h"
#include "policy/reservation.h"

typedef enum StepKind {
        STEP_OPEN_WAY, /* widen the ancestors to include the CDM nodes of `nodes` */
        /* narrow the ancestors to the union of what other tenants and this one (`nodes`) still need */
        STEP_CLOSE_WAY,
        STEP_WRITE,    /* the worker writes the leaf's cpuset.mems */
        STEP_PROPERTY, /* systemd is told the same set (AllowedMemoryNodes=) */
        STEP_VERIFY,   /* cpuset.mems.effective is what `nodes` says, or a part of it that holds an ordinary
                           node */
        STEP_MIGRATE,  /* pages on `from` are moved to `nodes` */
        STEP_DRAIN,    /* pages on `from` are moved to `nodes` in paced chunks */
        STEP_EVICT,    /* page cache that stayed on `from` is evicted */
        STEP_MEASURE,  /* what is left on `from` is counted: the residue */
        _STEP_KIND_MAX,
} StepKind;

const char *step_kind_to_string(StepKind v);

typedef struct Step {
        StepKind kind;
        NodeSet nodes;
        NodeSet from;
        uint64_t bytes; /* STEP_DRAIN: no more than that; 0: all */
        bool has_inverse;
        StepKind inverse_kind; /* with inverse_nodes as its `nodes` */
        NodeSet inverse_nodes;
} Step;

/* Nodes beyond PLAN_EXCESS_MAX are measured only; the caller plans again while something is left. */
#define PLAN_EXCESS_MAX 16
#define PLAN_STEPS_MAX  (14 + PLAN_EXCESS_MAX)

typedef struct Plan {
        Step steps[PLAN_STEPS_MAX];
        size_t n_steps;
} Plan;

/* The current and the wanted state of a tenant. */
typedef struct PlanInput {
        NodeSet current; /* what its leaf allows (own setting, not effective) */
        NodeSet base;    /* ordinary nodes it keeps in any case; never empty */
        NodeSet wanted;  /* CDM nodes it shall have */
        NodeSet leaving; /* nodes it gives up: drained and measured even if `current` no longer has them */
        const Share *excess; /* bytes to drain from nodes that it keeps; of other nodes: ignored */
        size_t n_excess;
        bool migrate_up;   /* move its pages to the new nodes */
        bool has_way;      /* systemd does not own it: those above it carry a fence */
        bool has_property; /* systemd owns the cgroup: STEP_PROPERTY is needed */
        bool ended;        /* the unit is gone: only its property is reset to base */
        bool unborn;       /* the unit is about to start, and has no cgroup yet: only its property is set */
} PlanInput;

/* -EINVAL: base is empty or holds a wanted node (a set of CDM nodes alone would make the kernel fall back to
 * the parent's set, which is open). If the current state is the wanted one, the plan is only a verification.
 */
int plan(const PlanInput *in, Plan *ret);
