/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared nodes: how often to check them, and what has happened since the last check. The kernel has no limit
 * per cgroup and node, so a tenant can use more than it reserved until cdmd checks. */

#include <stdbool.h>
#include <stdint.h>

/* One tenant on one node. */
typedef enum OverrunState {
        OVERRUN_NONE, /* within its reservations */
        OVERRUN_OVER, /* above them */
        _OVERRUN_STATE_MAX,
} OverrunState;

const char *overrun_state_to_string(OverrunState v);

typedef struct OverrunEpisode {
        OverrunState state;
        uint64_t since_usec;    /* when the excess was first seen */
        uint64_t worst_bytes;   /* the largest excess */
        uint64_t duration_usec; /* until the excess was gone */
} OverrunEpisode;

typedef enum OverrunChange {
        OVERRUN_UNCHANGED,
        OVERRUN_BEGAN,
        OVERRUN_GOES_ON,
        OVERRUN_ENDED, /* worst_bytes and duration_usec describe the overrun that ended */
        _OVERRUN_CHANGE_MAX,
} OverrunChange;

/* The transition function, called with a tenant's bytes on a node. slack_bytes: the error of the kernel's
 * counter. An overrun begins when the excess is above slack_bytes, and ends when it is not. */
OverrunChange overrun_look(OverrunEpisode *e, uint64_t used_bytes, uint64_t held_bytes, uint64_t slack_bytes,
                           uint64_t now_usec);

/* The time until the next check. A tenant must fill the rest of its reservation before it can overrun, and
 * the pool's headroom before it harms others. The node's bandwidth gives the shortest time for that. While
 * no usage changes, each pause is twice the previous one, up to OVERRUN_PAUSE_MAX_USEC. A tenant that starts
 * to allocate after a long rest is detected that much later. */
#define OVERRUN_PAUSE_MIN_USEC (UINT64_C(50) * 1000)
#define OVERRUN_PAUSE_MAX_USEC (UINT64_C(2) * 1000 * 1000)
/* Used if HMAT has no value: the bandwidth of one DDR5 channel. */
#define OVERRUN_BANDWIDTH_MBPS UINT64_C(38400)

/* left_bytes: the smallest unused rest of any tenant. bandwidth_mbps 0: unknown. moving: usage has changed
 * since the last check. last_usec: the previous pause; 0: none. */
uint64_t overrun_pause_usec(uint64_t left_bytes, uint64_t headroom_bytes, uint64_t bandwidth_mbps,
                            bool moving, uint64_t last_usec);
