/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The request that decide() judges. A request that must wait stays in the queue. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/nodeset.h"
#include "policy/subject.h"

typedef struct Request {
        uint32_t id; /* the id of a request that already waits; 0: new */
        const char *pool;
        uint64_t size_bytes;
        const Subject *subject;
        bool moves;          /* booked under a new unit, to which the subject moves (cdmctl run) */
        uint64_t lease_usec; /* 0: not requested */
        bool has_priority;   /* requested; else the rule's default counts */
        int32_t priority;
        bool queue;
        bool at_once; /* cannot wait, and therefore cannot preempt: Static= and resizes */
        bool exclusive;
        NodeSet nodes; /* only these; empty: any of the pool */
        NodeSet near;  /* nodes whose CPUs the cgroup may use; empty: no preference */
} Request;
