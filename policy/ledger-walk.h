/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Walks over a ledger's entries. Users of a ledger include policy/ledger.h. */

#include <stddef.h>
#include <stdint.h>

#include "policy/reservation.h"

typedef struct Ledger Ledger;

/* Calls fn for every reservation with a higher id, in order of id, until it returns something else than 0,
 * and returns that. fn must not change the ledger. The first is found in O(log n). */
int ledger_foreach_after(const Ledger *l, uint32_t id, int (*fn)(Reservation *r, void *userdata),
                         void *userdata);

/* The oldest reservation of the cgroup, or of the nearest cgroup above it that has one; NULL: none has. One
 * look-up a level. */
const Reservation *ledger_find_above(const Ledger *l, const char *cgroup);

/* How many entries the walks (ledger_foreach_*) and ledger_find_above() have looked at so far: tests prove
 * with it that a caller does not walk everything. */
size_t ledger_visited(const Ledger *l);

/* Like ledger_foreach_after() over one tenant's reservations, or over one node's tenants (key and bytes
 * there). */
int ledger_foreach_of_tenant(const Ledger *l, const char *tenant, int (*fn)(Reservation *r, void *userdata),
                             void *userdata);
int ledger_foreach_tenant_of_node(const Ledger *l, int node,
                                  int (*fn)(const char *tenant, uint64_t bytes, void *userdata),
                                  void *userdata);
/* Likewise, those only that ledger_observe() has not been told of yet. O(those). */
int ledger_foreach_new_tenant_of_node(const Ledger *l, int node,
                                      int (*fn)(const char *tenant, uint64_t bytes, void *userdata),
                                      void *userdata);

/* For the files of the ledger only (policy/ledger-data.h): */
struct Entry;
struct Holding;
struct Path;
struct Tenant;

struct Tenant *ledger_tenant_find(const Ledger *l, const char *key);
struct Holding *ledger_holding(const Ledger *l, const char *tenant, int node);

/* Makes the path when there is none; NULL: out of memory. */
struct Path *ledger_path_get(Ledger *l, const char *name);
/* Forgets it when nothing is there; NULL is fine. */
void ledger_path_prune(Ledger *l, struct Path *p);
void ledger_path_enter(struct Entry *e, struct Path *p);
void ledger_path_leave(Ledger *l, struct Entry *e);

/* Room for one more, so that adding cannot fail. */
int ledger_slots_reserve(Ledger *l);
void ledger_slots_add(Ledger *l, struct Entry *e);
void ledger_slots_remove(Ledger *l, const struct Entry *e);
