/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Nodes that tenants share: how often to look, and what has happened since the last look. The kernel has no
 * limit for a cgroup and a node, so one tenant can use more than it reserved until somebody looks. */

#include <stdbool.h>
#include <stdint.h>

/* One tenant on one node. */
typedef enum OverrunState {
        OVERRUN_NONE, /* within what it reserved */
        OVERRUN_OVER, /* above it */
        _OVERRUN_STATE_MAX,
} OverrunState;

const char *overrun_state_to_string(OverrunState v);

typedef struct OverrunEpisode {
        OverrunState state;
        uint64_t since_usec;    /* when it was first seen above */
        uint64_t worst_bytes;   /* the most that was seen above */
        uint64_t duration_usec; /* until it was seen within again */
} OverrunEpisode;

typedef enum OverrunChange {
        OVERRUN_UNCHANGED,
        OVERRUN_BEGAN,
        OVERRUN_GOES_ON,
        OVERRUN_ENDED, /* worst_bytes and duration_usec tell of what is over */
        _OVERRUN_CHANGE_MAX,
} OverrunChange;

/* The one transition: a look at a tenant's bytes on a node. slack_bytes: what the kernel's count may be off
 * by; an overrun begins above it, and ends when no byte is too many by more than that. */
OverrunChange overrun_look(OverrunEpisode *e, uint64_t used_bytes, uint64_t held_bytes, uint64_t slack_bytes,
                           uint64_t now_usec);

/* When to look again at the soonest. Nobody can use more than he reserved before he has filled what he has
 * left of it, and nobody else is harmed before the pool's headroom is full as well; how long that takes, the
 * node's bandwidth says. While nothing moves, each pause is twice the one before, up to
 * OVERRUN_PAUSE_MAX_USEC: a tenant that starts to allocate after a long rest is found that much later. */
#define OVERRUN_PAUSE_MIN_USEC (UINT64_C(50) * 1000)
#define OVERRUN_PAUSE_MAX_USEC (UINT64_C(2) * 1000 * 1000)
/* Where HMAT does not say: what one DDR5 channel does. */
#define OVERRUN_BANDWIDTH_MBPS UINT64_C(38400)

/* left_bytes: of the tenant that has least left. bandwidth_mbps 0: unknown. last_usec: the pause before. */
uint64_t overrun_pause_usec(uint64_t left_bytes, uint64_t headroom_bytes, uint64_t bandwidth_mbps,
                            bool moving, uint64_t last_usec);
