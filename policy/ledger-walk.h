/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Walks over a ledger's entries. Other files include policy/ledger.h, which includes this header. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/reservation.h"

typedef struct Ledger Ledger;

/* Calls fn for every reservation with a higher id, in order of id. Stops when fn returns a value other than
 * 0, and returns that value. fn must not change the ledger. The first one is found in O(log n). */
int ledger_foreach_after(const Ledger *l, uint32_t id, int (*fn)(Reservation *r, void *userdata),
                         void *userdata);

/* The oldest reservation of the cgroup or of its nearest ancestor with a reservation; NULL: there is none.
 * Costs one lookup per level. */
const Reservation *ledger_find_above(const Ledger *l, const char *cgroup);

/* True if a unit with this cgroup has a reservation. Costs as much as ledger_find_above(). */
bool ledger_has_unit_at(const Ledger *l, const char *cgroup);

/* The number of entries that ledger_foreach_*() and ledger_find_above() have visited so far. Tests use it to
 * prove that a caller does not walk everything. */
size_t ledger_visited(const Ledger *l);

/* Like ledger_foreach_after(), for the reservations of a tenant, or for the tenants of a node (with their
 * key, and their bytes on the node). */
int ledger_foreach_of_tenant(const Ledger *l, const char *tenant, int (*fn)(Reservation *r, void *userdata),
                             void *userdata);
int ledger_foreach_tenant_of_node(const Ledger *l, int node,
                                  int (*fn)(const char *tenant, uint64_t bytes, void *userdata),
                                  void *userdata);
/* The oldest reservation of the tenant; NULL: it has none. */
Reservation *ledger_first_of_tenant(const Ledger *l, const char *tenant);
/* Reservation.base of the tenant. Empty: none of its reservations has been granted. */
NodeSet ledger_base_of_tenant(const Ledger *l, const char *tenant);
/* Like ledger_foreach_tenant_of_node(), in portions of at most max tenants. 1: there are more; 0: that was the
 * last portion; or what fn returned (< 0). all false: only tenants without an observation on that node. The
 * ledger may change between portions; tenants added meanwhile may be left out. Each node has one such walk at
 * a time. */
void ledger_walk_begin(Ledger *l, int node);
int ledger_walk_tenants_of_node(Ledger *l, int node, bool all, size_t max,
                                int (*fn)(const char *tenant, uint64_t bytes, void *userdata),
                                void *userdata);

/* Only for the files that include policy/ledger-data.h: */
struct LedgerEntry;
struct LedgerHolding;
struct LedgerPath;
struct LedgerTenant;

struct LedgerTenant *ledger_tenant_find(const Ledger *l, const char *key);
struct LedgerHolding *ledger_holding(const Ledger *l, const char *tenant, int node);

/* Finds or creates a path. NULL: out of memory. */
struct LedgerPath *ledger_path_get(Ledger *l, const char *name);
/* Frees a path without entries. p may be NULL. */
void ledger_path_prune(Ledger *l, struct LedgerPath *p);
void ledger_path_enter(struct LedgerEntry *e, struct LedgerPath *p);
void ledger_path_leave(Ledger *l, struct LedgerEntry *e);

/* Reserves a slot, so that ledger_slots_add() cannot fail. */
int ledger_slots_reserve(Ledger *l);
void ledger_slots_add(Ledger *l, struct LedgerEntry *e);
void ledger_slots_remove(Ledger *l, const struct LedgerEntry *e);
