/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A change of one tenant's nodes as data: ordered steps, each with its inverse. Only daemon/fence/apply.c
 * carries the steps out, and undoes the steps already done when one fails.
 *
 * Why this order: widening is write, tell systemd, verify, then move pages up. Narrowing makes the writer of
 * cpuset.mems wait for every page, so pages are drained first. The kernel remaps a policy's nodes by
 * position when one write swaps a set of nodes for another, so a change that does both widens first and
 * narrows last.
 *
 *      widen:   [open the way,] write, property, verify [, migrate]
 *      narrow:  drain, write, property, [close the way,] verify, evict, measure
 *      excess:  evict so much page cache, drain so many bytes, measure
 *
 * Excess means the bytes of a tenant on a node that it keeps, above the bytes that it still holds there.
 * Page cache leaves first, because a drain moves mapped pages only: all mapped pages would leave, and the page
 * cache would stay. The kernel evicts from the whole cgroup, on any node, so no more is evicted than is in
 * excess.
 *
 * "The way" means the ancestors of a cgroup that systemd does not own. They are also fenced.
 *
 * Each write and each property contains an ordinary node. Widening has an inverse. Narrowing has none: no
 * undo reopens a closed node. */

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
        STEP_WRITE,    /* the worker sets the leaf's cpuset.mems */
        STEP_PROPERTY, /* sets AllowedMemoryNodes= of the unit to the same nodes */
        STEP_VERIFY,   /* cpuset.mems.effective is `nodes`, or a part with an ordinary node */
        STEP_MIGRATE,  /* moves pages from `from` to `nodes` */
        STEP_DRAIN,    /* moves pages from `from` to `nodes` in paced chunks */
        STEP_EVICT,    /* evicts page cache that is still on `from` */
        STEP_MEASURE,  /* counts what is left on `from`: the residue */
        _STEP_KIND_MAX,
} StepKind;

const char *step_kind_to_string(StepKind v);

typedef struct Step {
        StepKind kind;
        NodeSet nodes;
        NodeSet from;
        uint64_t bytes; /* STEP_DRAIN, STEP_EVICT: the upper bound; 0: all */
        bool has_inverse;
        StepKind inverse_kind; /* with inverse_nodes as its `nodes` */
        NodeSet inverse_nodes;
} Step;

/* Nodes beyond PLAN_EXCESS_MAX are measured only; the caller plans again while something is left. */
#define PLAN_EXCESS_MAX 16
#define PLAN_STEPS_MAX  (14 + 2 * PLAN_EXCESS_MAX)

typedef struct Plan {
        Step steps[PLAN_STEPS_MAX];
        size_t n_steps;
} Plan;

typedef struct PlanExcess {
        int node;
        uint64_t bytes;
        uint64_t file_bytes; /* page cache on the node */
} PlanExcess;

/* The current and the desired state of a tenant. */
typedef struct PlanInput {
        NodeSet current; /* what its leaf allows (own setting, not effective) */
        NodeSet base;    /* ordinary nodes it keeps in any case; never empty */
        NodeSet wanted;  /* desired CDM nodes */
        NodeSet leaving; /* nodes it gives up: drained and measured even if `current` no longer has them */
        const PlanExcess *excess; /* on nodes that it keeps; other nodes are ignored */
        size_t n_excess;
        bool migrate_up;   /* move its pages to the new nodes */
        bool has_way;      /* systemd does not own the cgroup: its ancestors are fenced */
        bool has_property; /* systemd owns the cgroup: STEP_PROPERTY is needed */
        bool ended;        /* the unit is gone: only its property is reset to base */
        bool unborn;       /* the unit is about to start, and has no cgroup yet: only its property is set */
} PlanInput;

/* -EINVAL: base is empty or contains a wanted node (the kernel would fall back from a set of CDM nodes alone
 * to the parent's set, which is open). If the current state is the desired one, the plan only verifies
 * it. */
int plan(const PlanInput *in, Plan *ret);
