/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The ledger knows every live reservation and the reserved bytes of every node. It never overcommits:
 * available = capacity - headroom - all reservations - all foreign bytes, at least 0.
 *
 * A reservation counts in full from the decision on, before cpuset.mems is written, so that two concurrent
 * requests cannot both get the last bytes. A released reservation is `draining` and counts until its bytes
 * have left the node.
 *
 * A tenant is a cgroup with reservations. Its reservations add up; a node is open to it while one of them
 * holds it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/ledger-walk.h"
#include "policy/macro.h"
#include "policy/nodeset.h"
#include "policy/reservation.h"
#include "policy/subject.h"

int ledger_new(Ledger **ret);
Ledger *ledger_free(Ledger *l);
DEFINE_CLEANUP(Ledger, ledger_free);

/* Takes ownership of r on success; from then on its id, target, rule_file, exclusive, size, shares and state
 * change only through the ledger. -EEXIST: the id is taken; -EINVAL: id 0, no target, or a share of a node
 * that cannot exist; -ENOMEM: nothing changed. O(shares). */
int ledger_add(Ledger *l, Reservation *r);

/* Removes the reservation and returns it to the caller; NULL: unknown id. O(shares). */
Reservation *ledger_take(Ledger *l, uint32_t id);

/* Replaces what a reservation holds (shares and their sum, the size): for residue, which holds only what
 * could not be moved. Shares of 0 bytes hold nothing. -ENOMEM, and nothing changed: only with nodes that its
 * tenant did not hold before. -EINVAL: not in this ledger. */
int ledger_set_shares(Ledger *l, Reservation *r, const Share *shares, size_t n_shares);

/* The rule under which it counts from now on; file may be NULL. -ENOMEM, and nothing changed. -EINVAL: not in this
 * ledger. */
int ledger_set_rule(Ledger *l, Reservation *r, const char *file, unsigned line);

Reservation *ledger_find(const Ledger *l, uint32_t id);
size_t ledger_count(const Ledger *l);
size_t ledger_count_user(const Ledger *l, uid_t uid);

/* All live bytes under the rule of that file: for Quota=. */
uint64_t ledger_rule_bytes(const Ledger *l, const char *rule_file);
/* Those of one owner: for QuotaPerUser=. O(1). */
uint64_t ledger_rule_user_bytes(const Ledger *l, const char *rule_file, uid_t uid);

/* The reserved bytes of a node, and its number of tenants. O(1). */
uint64_t ledger_node_reserved(const Ledger *l, int node);
size_t ledger_node_tenants(const Ledger *l, int node);
/* True if an exclusive reservation holds the node. Then no other reservation is placed there, even when room
 * appears. */
bool ledger_node_is_exclusive(const Ledger *l, int node);

/* The key under which a tenant's reservations add up: its unit, or the cgroup where there is none. */
const char *ledger_tenant_key(const Subject *target);

/* What a tenant holds: bytes of one node, and all nodes that are open to it. O(1). Reservations that are
 * draining count in bytes, but open no node; a node that is shut is open to nobody. */
uint64_t ledger_tenant_bytes(const Ledger *l, const char *tenant, int node);
NodeSet ledger_tenant_nodes(const Ledger *l, const char *tenant);
/* Closes nodes to all tenants, because their memory is offline or the admin drains them. Reservations of
 * these nodes continue. */
void ledger_shut(Ledger *l, const NodeSet *nodes);
NodeSet ledger_shut_nodes(const Ledger *l);
size_t ledger_tenant_count(const Ledger *l, const char *tenant);
/* Records the observed use of a tenant on a node. Unknown tenants and nodes without a reservation of the
 * tenant are ignored. The observation ends with the tenant's last reservation there. O(nodes of the tenant).
 */
void ledger_observe(Ledger *l, const char *tenant, int node, uint64_t used_bytes);
uint64_t ledger_tenant_used(const Ledger *l, const char *tenant, int node);
/* Sum over the node's tenants of min(reserved, observed use). It is updated with each change of the ledger,
 * without a new observation. O(1). */
uint64_t ledger_node_explained(const Ledger *l, int node);
/* How many of the tenant's reservations hold bytes of the node. */
size_t ledger_tenant_shares(const Ledger *l, const char *tenant, int node);

/* The cgroup of a reservation's unit, once it is known. -ENOMEM, and nothing changed. -EINVAL: not in this
 * ledger, or it has no unit. */
int ledger_set_cgroup(Ledger *l, Reservation *r, const char *cgroup, uint64_t cgroup_id);
/* What stays on a node, from the view of a tenant: all reservations that do not leave. Revoking ones leave,
 * and draining ones that are not stuck. A `stuck` that changes counts from the next change of state or
 * shares. O(1). */
typedef struct LedgerStay {
        unsigned __int128 bytes;
        size_t n_others;    /* reservations of others */
        size_t n_exclusive; /* those of them that keep the node for themselves */
} LedgerStay;
LedgerStay ledger_node_staying(const Ledger *l, int node, const char *tenant);

/* Calls fn for the active and degraded reservations of a node, the lowest priority first and the youngest
 * first within a priority, until fn returns something else than 0, and returns that. O(log n) and what is
 * visited. */
int ledger_foreach_displaceable(const Ledger *l, int node, int (*fn)(Reservation *r, void *userdata),
                                void *userdata);

/* True if the reservation's tenant is the only tenant of all its nodes. */
bool ledger_is_alone(const Ledger *l, const Reservation *r);

/* Queued reservations count for their user only. -ENOMEM, and nothing changed: only when leaving the queue.
 * -EINVAL: not in this ledger. */
int ledger_set_state(Ledger *l, Reservation *r, ReservationState state);
