/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Preemption: chooses the reservations that a request displaces. Candidates have a strictly lower priority
 * and belong to other tenants. Of the sets that make enough room, one with few bytes is chosen. If all
 * candidates together do not make enough room, none is displaced. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ledger.h"
#include "policy/place.h"

/* A node that the request could use, in its current state. */
typedef struct PreemptNode {
        int node;
        /* capacity - headroom - foreign: what reservations may hold there. preempt() subtracts the
         * reservations that stay. */
        uint64_t capacity_bytes;
} PreemptNode;

typedef struct PreemptInput {
        const Ledger *ledger;
        const PreemptNode *nodes;
        size_t n_nodes;
        const char *tenant; /* the requesting tenant */
        int32_t priority;
        uint64_t size_bytes; /* in whole pages */
        uint64_t page_bytes;
        bool whole;           /* charges whole nodes, which must have no other tenants */
        size_t *ret_n_visits; /* may be NULL; receives the number of visited reservations */
} PreemptInput;

typedef struct Victim {
        uint32_t id;
        int32_t priority;
        uint64_t bytes;
} Victim;

typedef enum PreemptVerdict {
        PREEMPT_NO_ROOM, /* not even if all candidates were displaced */
        PREEMPT_WAIT,    /* the reservations that are already leaving are enough */
        PREEMPT_DISPLACE,
        _PREEMPT_VERDICT_MAX,
} PreemptVerdict;

/* Revoking and draining reservations make room without a victim, unless their residue is stuck. *ret: in
 * order of id, owned by the caller. -ENOMEM, or 0.
 *
 * The candidates are the reservations of the lowest priorities on each node, about 512 in all. From up to 16
 * candidates the smallest set is chosen (the search has a limit of steps, which only contrived cases reach).
 * From more, a set is chosen whose members are all needed. Among sets of the same size, the set with the
 * lower priorities is preferred, then the one with the younger members. */
int preempt(const PreemptInput *in, PreemptVerdict *ret_verdict, Victim **ret, size_t *ret_n);
