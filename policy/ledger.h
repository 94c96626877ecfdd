/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The ledger: every live reservation, and what is promised of every node. It never overcommits: available is
 * what is left of a node's capacity after headroom, all reservations and all foreign bytes; arithmetic
 * saturates at 0.
 *
 * A reservation counts in full from the decision on (before the kernel has been told), so that two requests
 * that are under way at once cannot both get the last bytes. A released one is `draining`, and counts, until
 * its bytes have left the node.
 *
 * A tenant is a cgroup with reservations. Its reservations add up; a node is open to it while one of them
 * holds it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/macro.h"
#include "policy/nodeset.h"
#include "policy/subject.h"

typedef enum ReservationState {
        RESERVATION_QUEUED,
        RESERVATION_ACTIVE,
        RESERVATION_DEGRADED, /* a node of it is offline, or its grant was found missing */
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

typedef struct Reservation {
        uint32_t id; /* never 0, never used twice until the next boot */
        char *pool;
        uint64_t size_bytes;
        ReservationState state;
        Subject *target; /* whom it is for; target->uid is the one who asked and owns it */
        int32_t priority;
        bool exclusive; /* --exclusive: charges its nodes whole */
        bool capped;
        bool scope; /* cdmd made the unit for it (cdmctl run) */
        char *rule_file;
        unsigned rule_line;
        uint64_t lease_usec;   /* as first asked for; TIMESPAN_INFINITY */
        uint64_t expires_usec; /* CLOCK_REALTIME; TIMESPAN_INFINITY */
        NodeSet base;          /* the ordinary nodes the unit had before its first grant */
        Share shares[SHARES_MAX];
        size_t n_shares;
} Reservation;

int reservation_new(Reservation **ret);
Reservation *reservation_free(Reservation *r);
DEFINE_CLEANUP(Reservation, reservation_free);

NodeSet reservation_nodes(const Reservation *r);

typedef struct Ledger Ledger;

int ledger_new(Ledger **ret);
Ledger *ledger_free(Ledger *l);
DEFINE_CLEANUP(Ledger, ledger_free);

/* Takes ownership of r on success. -EEXIST: the id is taken. O(shares). */
int ledger_add(Ledger *l, Reservation *r);

/* Forgets the reservation and hands it back to the caller; NULL when there is none. O(shares). */
Reservation *ledger_take(Ledger *l, uint32_t id);

/* Replaces what a reservation holds (size and shares): for residue, which holds only what could not be
 * moved. */
void ledger_set_shares(Ledger *l, Reservation *r, const Share *shares, size_t n_shares);

Reservation *ledger_find(const Ledger *l, uint32_t id);
size_t ledger_count(const Ledger *l);
size_t ledger_count_user(const Ledger *l, uid_t uid);

/* All live bytes under the rule of that file: for Quota=. */
uint64_t ledger_rule_bytes(const Ledger *l, const char *rule_file);

/* Calls fn for every reservation in order of id until it returns something else than 0, and returns that. fn
 * must not change the ledger. */
int ledger_foreach(const Ledger *l, int (*fn)(Reservation *r, void *userdata), void *userdata);

/* What is promised of a node, and to how many tenants. O(1). */
uint64_t ledger_node_reserved(const Ledger *l, int node);
size_t ledger_node_tenants(const Ledger *l, int node);

/* The key under which a tenant's reservations add up: its unit, or the cgroup where there is none. */
const char *ledger_tenant_key(const Subject *target);

/* What a tenant holds: bytes of one node, and all nodes that are open to it. O(1). Reservations that are
 * draining count in bytes, but open no node. */
uint64_t ledger_tenant_bytes(const Ledger *l, const char *tenant, int node);
NodeSet ledger_tenant_nodes(const Ledger *l, const char *tenant);
size_t ledger_tenant_count(const Ledger *l, const char *tenant);
/* Like ledger_foreach() over one tenant's reservations, or over one node's tenants (key and bytes there). */
int ledger_foreach_of_tenant(const Ledger *l, const char *tenant, int (*fn)(Reservation *r, void *userdata),
                             void *userdata);
int ledger_foreach_tenant_of_node(const Ledger *l, int node,
                                  int (*fn)(const char *tenant, uint64_t bytes, void *userdata),
                                  void *userdata);

/* Is it the only tenant of all its nodes? */
bool ledger_is_alone(const Ledger *l, const Reservation *r);

void ledger_set_state(Ledger *l, Reservation *r, ReservationState state);
