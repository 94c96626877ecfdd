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
        RESERVATION_REVOKING, /* told to leave, not drained yet */
        RESERVATION_DRAINING, /* released; its pages are still on the way out */
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

/* What a reservation holds of one node. */
typedef struct Share {
        int node;
        uint64_t bytes;
} Share;

#define SHARES_MAX 64

/* The request of a waiting reservation beyond the fields of Reservation, and its client. */
typedef struct Wait {
        NodeSet nodes, near;
        uint64_t deadline_usec; /* CLOCK_BOOTTIME; TIMESPAN_INFINITY */
        char *client;           /* its unique name on the bus and the bus's id; NULL: nobody's */
        pid_t pid;              /* where the client is the target, and when that process started; 0 */
        uint64_t pid_start;
        char *scope_slice; /* where the client is put into a scope of its own; NULL: it is not */
        bool patient;      /* --queue: waits for room, and not only for what is displaced for it */
        bool migrate, bind;
} Wait;

Wait *wait_free(Wait *w);

typedef struct Reservation {
        uint32_t id; /* never 0, never used twice until the next boot */
        char *pool;
        uint64_t size_bytes;
        ReservationState state;
        Subject *target; /* its target; target->uid is the user who owns it */
        uid_t requester; /* who asked, for himself or for the owner */
        int32_t priority;
        bool exclusive; /* --exclusive: charges its nodes whole */
        bool capped;
        bool scope;      /* cdmd made the unit for it (cdmctl run) */
        bool with_start; /* Static= reserved it as its unit started */
        char *rule_file;
        unsigned rule_line;
        uint64_t lease_usec;   /* as first asked for; TIMESPAN_INFINITY */
        uint64_t term_usec;    /* of the lease that runs: since the grant, or since it was renewed */
        uint64_t expires_usec; /* CLOCK_BOOTTIME; TIMESPAN_INFINITY */
        uint64_t revoke_usec;  /* CLOCK_BOOTTIME: when a revoking one is drained; 0: none */
        uint32_t revoked_for;  /* the reservation that displaces it; 0: its lease ends */
        bool stuck;            /* drained, and the rest of it could not be moved */
        NodeSet asked;         /* --nodes; empty: any of the pool */
        NodeSet base;          /* the ordinary nodes the unit had before its first grant */
        Wait *wait;            /* while it is queued; lease_usec is then what was asked for, 0: nothing */
        Share shares[SHARES_MAX];
        size_t n_shares;
        uint64_t exact_bytes; /* bytes of exact buffers that are on their nodes; not stored */
} Reservation;

int reservation_new(Reservation **ret);
Reservation *reservation_free(Reservation *r);
DEFINE_CLEANUP(Reservation, reservation_free);

/* The nodes on which it holds bytes. */
NodeSet reservation_nodes(const Reservation *r);
/* Its shares and rule, without all else. */
int reservation_copy_terms(const Reservation *r, Reservation **ret);
