/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The nodes promised to subtenants: a table of units by the path of their cgroup, each with a table of its
 * tenants by name. A lookup takes constant time. Not thread safe. */

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "policy/nodeset.h"

typedef struct Promise {
        char *name;  /* of the tenant's cgroup */
        uint64_t id; /* its inode; 0: unknown */
        NodeSet nodes;
        bool is_alive; /* set by a pass: the cgroup exists and has a process */
        UT_hash_handle hh;
} Promise;

typedef struct PromiseUnit {
        char *path;
        Promise *tenants; /* hash table, never empty */
        NodeSet written;  /* the set that the last pass has written to the unit; empty: none has */
        UT_hash_handle hh;
} PromiseUnit;

/* An empty table is NULL. */
typedef PromiseUnit *PromiseTable;

/* path: the cgroup of a tenant, a child of its unit's cgroup. NULL: the tenant has no promise. */
const Promise *promise_find(const PromiseTable *t, const char *path);
/* Sets the promise of the tenant to exactly these nodes; add: adds them. A different inode is a different
 * tenant: with `add` it replaces the earlier one, without `add` the call belongs to an earlier tenant and is
 * ignored. -ENOMEM: nothing has changed. */
int promise_set(PromiseTable *t, const char *path, uint64_t id, const NodeSet *nodes, bool add);
/* NULL: no tenant of the unit has a promise. */
const PromiseUnit *promise_unit(const PromiseTable *t, const char *unit_path);
/* Returns the unit that has path as a descendant; NULL: none with a promise. ret: the nodes promised to the
 * tenant that contains path. */
const PromiseUnit *promise_above(const PromiseTable *t, const char *path, NodeSet *ret);
/* The union of the promises of all tenants of a unit. u may be NULL. */
NodeSet promise_unit_nodes(const PromiseUnit *u);
/* Records the set that was written to the unit, if a tenant there has a promise. */
void promise_unit_note(PromiseTable *t, const char *unit_path, const NodeSet *written);
/* If u is NULL, the copy is NULL. Fails with -ENOMEM. */
int promise_unit_copy(const PromiseUnit *u, PromiseUnit **ret);
PromiseUnit *promise_unit_free(PromiseUnit *u);
void promise_clear(PromiseTable *t);
