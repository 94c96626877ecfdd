/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Bytes of a pool that are reserved for one cgroup. A plain record; the ledger keeps the sums. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/macro.h"
#include "policy/nodeset.h"
#include "policy/subject.h"

typedef enum ReservationState {
        RESERVATION_QUEUED,
        RESERVATION_ACTIVE,
        RESERVATION_DEGRADED, /* one of its nodes is offline, or its grant was found missing */
        RESERVATION_REVOKING, /* revoked; drained when the grace period is over */
        RESERVATION_DRAINING, /* released; its pages have not left the nodes yet */
        _RESERVATION_STATE_MAX,
} ReservationState;

const char *reservation_state_to_string(ReservationState v);
int reservation_state_from_string(const char *s, ReservationState *ret);

typedef enum Strength {
        STRENGTH_EXCLUSIVE, /* the only tenant of its nodes */
        STRENGTH_WATCHED,
        STRENGTH_CAPPED, /* its scope has a MemoryMax= of this size */
        STRENGTH_EXACT,
        STRENGTH_ADVISORY, /* Mode= is not enforce */
        _STRENGTH_MAX,
} Strength;

const char *strength_to_string(Strength v);

/* The bytes of one node that a reservation holds. */
typedef struct Share {
        int node;
        uint64_t bytes;
} Share;

#define SHARES_MAX 64

/* The client of a waiting reservation, and its request as far as Reservation has no field for it. */
typedef struct Wait {
        NodeSet nodes, near;
        uint64_t deadline_usec; /* CLOCK_BOOTTIME; TIMESPAN_INFINITY */
        char *client;           /* its unique name on the bus and the bus's id; NULL: no client */
        pid_t pid;              /* the client and its start time, if the client is the target; else 0 */
        uint64_t pid_start;
        char *scope_slice; /* the slice of the scope that the client will be moved into; NULL: no scope */
        bool patient;      /* --queue: waits for any room, not only for displaced reservations */
        bool migrate, bind;
} Wait;

Wait *wait_free(Wait *w);

typedef struct Reservation {
        uint32_t id; /* never 0, never used twice until the next boot */
        char *pool;
        uint64_t size_bytes;
        ReservationState state;
        Subject *target; /* target->uid is the user who owns the reservation */
        uid_t requester; /* the user who sent the request, the owner or another user */
        int32_t priority;
        bool exclusive; /* --exclusive: charges its nodes whole */
        bool capped;
        bool scope;      /* cdmd made the unit for it (cdmctl run) */
        bool with_start; /* reserved by Static= when its unit started */
        char *rule_file;
        unsigned rule_line;
        uint64_t lease_usec;   /* as first requested; TIMESPAN_INFINITY */
        uint64_t term_usec;    /* of the current lease, since the grant or the last renewal */
        uint64_t expires_usec; /* CLOCK_BOOTTIME; TIMESPAN_INFINITY */
        uint64_t revoke_usec;  /* CLOCK_BOOTTIME: when a revoked reservation is drained; 0: not revoked */
        uint32_t revoked_for;  /* the reservation that displaces it; 0: its lease ends */
        bool stuck;            /* drained, but the residue could not be moved */
        NodeSet asked;         /* --nodes; empty: any of the pool */
        NodeSet base;          /* the ordinary nodes the unit had before its first grant */
        Wait *wait;            /* set while queued; lease_usec is then the requested lease, 0: none */
        Share *shares;         /* at most SHARES_MAX */
        size_t n_shares;
        uint64_t exact_bytes; /* bytes of exact buffers that are on their nodes; not stored */
} Reservation;

int reservation_new(Reservation **ret);
Reservation *reservation_free(Reservation *r);
DEFINE_CLEANUP(Reservation, reservation_free);

/* Replaces the reservation's shares by a copy of `shares`, which may be the array of the reservation itself.
 * -ENOMEM: the reservation keeps its shares. */
int reservation_set_shares(Reservation *r, const Share *shares, size_t n_shares);
/* The nodes on which the reservation holds bytes. */
NodeSet reservation_nodes(const Reservation *r);
/* Copies only the shares and the rule of the reservation; all other fields of the copy are 0. */
int reservation_copy_terms(const Reservation *r, Reservation **ret);
