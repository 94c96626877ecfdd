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
        /* capacity - headroom - foreign: what reservations may hold there, of which those that stay are
         * taken off. */
        uint64_t capacity_bytes;
} PreemptNode;

typedef struct PreemptInput {
        const Ledger *ledger;
        const PreemptNode *nodes;
        size_t n_nodes;
        const char *tenant; /* the one that asks */
        int32_t priority;
        uint64_t size_bytes; /* in whole pages */
        uint64_t page_bytes;
        bool whole;           /* charges whole nodes, which must have no other tenants */
        size_t *ret_n_visits; /* NULL, or receives the number of visited reservations */
} PreemptInput;

typedef struct Victim {
        uint32_t id;
        int32_t priority;
        uint64_t bytes;
} Victim;

typedef enum PreemptVerdict {
        PREEMPT_NO_ROOM, /* not even with all of them gone */
        PREEMPT_WAIT,    /* the reservations that already leave are enough */
        PREEMPT_DISPLACE,
        _PREEMPT_VERDICT_MAX,
} PreemptVerdict;

/* Reservations that are revoking or draining are on their way out and make room without anybody being
 * displaced for it, unless what is left of them is stuck. *ret: in order of id, owned by the caller.
 * -ENOMEM, or 0.
 *
 * Of each node those of the lowest priorities are candidates, 512 in all. Up to 16 candidates the set is the
 * smallest there is, but for a limit of steps that only a made-up machine reaches; of more, one from which
 * nobody can be left out. Of sets of the same size the one whose members have the lower priorities, then the
 * younger members. */
int preempt(const PreemptInput *in, PreemptVerdict *ret_verdict, Victim **ret, size_t *ret_n);
