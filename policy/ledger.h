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

/* Takes ownership of r on success; from then on its id, target (except target->cgroup_id), rule_file,
 * exclusive, size, shares and state change only through the ledger. -EEXIST: the id is taken; -EINVAL: id 0,
 * no target, or a share of a node that cannot exist; -ENOMEM: nothing changed. O(shares). */
int ledger_add(Ledger *l, Reservation *r);

/* Removes the reservation and returns it to the caller; NULL: unknown id. O(shares). */
Reservation *ledger_take(Ledger *l, uint32_t id);

/* Replaces the shares of a reservation and their sum, the size: for a resize, and for residue, which holds
 * only what could not be moved. Shares of 0 bytes hold nothing. -ENOMEM: nothing changed; only possible with
 * nodes that the tenant did not hold before. -EINVAL: not in this ledger. */
int ledger_set_shares(Ledger *l, Reservation *r, const Share *shares, size_t n_shares);

/* Sets the rule under which the reservation counts. file may be NULL. -ENOMEM: nothing changed. -EINVAL: not
 * in this ledger. */
int ledger_set_rule(Ledger *l, Reservation *r, const char *file, unsigned line);

Reservation *ledger_find(const Ledger *l, uint32_t id);
size_t ledger_count(const Ledger *l);
size_t ledger_count_user(const Ledger *l, uid_t uid);

/* All live bytes under the rule of that file: for Quota=. */
uint64_t ledger_rule_bytes(const Ledger *l, const char *rule_file);
/* The live bytes of one owner under that rule: for QuotaPerUser=. O(1). */
uint64_t ledger_rule_user_bytes(const Ledger *l, const char *rule_file, uid_t uid);

/* The reserved bytes of a node, and its number of tenants. O(1). */
uint64_t ledger_node_reserved(const Ledger *l, int node);
size_t ledger_node_tenants(const Ledger *l, int node);
/* True if an exclusive reservation holds the node. Then no other reservation is placed there, even when room
 * appears. A stuck residue of one does not hold the node: see LedgerStay. */
bool ledger_node_is_exclusive(const Ledger *l, int node);

/* The key under which a tenant's reservations add up: its unit, or its cgroup if there is no unit. */
const char *ledger_tenant_key(const Subject *target);

/* What a tenant holds: its bytes on one node, and all nodes that are open to it. O(1). Draining reservations
 * count in bytes, but open no node. A shut node is open to no tenant. */
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
/* The number of the tenant's reservations that hold bytes of the node. */
size_t ledger_tenant_shares(const Ledger *l, const char *tenant, int node);

/* Sets the cgroup of a reservation's unit, once it is known. -ENOMEM: nothing changed. -EINVAL: not in this
 * ledger, or no unit. */
int ledger_set_cgroup(Ledger *l, Reservation *r, const char *cgroup, uint64_t cgroup_id);
/* What stays on a node, as seen by a tenant: all reservations except the leaving ones, which are revoking,
 * or draining and not stuck. A change of `stuck` takes effect with the next change of state or shares.
 * O(1). */
typedef struct LedgerStay {
        unsigned __int128 bytes;
        size_t n_others;    /* reservations of other tenants */
        size_t n_exclusive; /* the exclusive ones among them */
} LedgerStay;
LedgerStay ledger_node_staying(const Ledger *l, int node, const char *tenant);

/* Calls fn for the active and degraded reservations of a node, the lowest priority first, and within a
 * priority the youngest first. Stops when fn returns a value other than 0, and returns that value. O(log n)
 * plus the visited reservations. */
int ledger_foreach_displaceable(const Ledger *l, int node, int (*fn)(Reservation *r, void *userdata),
                                void *userdata);

/* True if the reservation's tenant is the only tenant of all its nodes. */
bool ledger_is_alone(const Ledger *l, const Reservation *r);

/* Queued reservations count for their user only. -ENOMEM: nothing changed; only possible when a reservation
 * leaves the queue. -EINVAL: not in this ledger. */
int ledger_set_state(Ledger *l, Reservation *r, ReservationState state);
