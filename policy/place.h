/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Chooses the nodes of a reservation, given the free bytes of each node. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/reservation.h"

/* A node that may be used. */
typedef struct Candidate {
        int node;
        uint64_t available_bytes;
        size_t n_others;         /* tenants other than the requesting one */
        unsigned distance;       /* from the CPUs of the requesting tenant */
        uint64_t bandwidth_mbps; /* 0: unknown, counts as slowest */
        bool taken;              /* used by place() */
} Candidate;

typedef struct Placement {
        Share shares[SHARES_MAX];
        size_t n_shares;
        uint64_t total_bytes;
} Placement;

/* Chooses one node that holds size_bytes, else several. Nodes without other tenants come first, then the
 * nearest, the fastest, the one that fits tightest, the lowest number. With `whole` each node is charged
 * with all bytes that are available there. False: no room. Without `whole` that means that the candidates
 * together hold less than size_bytes, or that more than SHARES_MAX nodes would be needed. */
bool place(Candidate *candidates, size_t n, uint64_t size_bytes, bool whole, Placement *ret);
