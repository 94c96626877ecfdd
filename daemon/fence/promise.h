/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is promised to tenants below delegated units: units by the path of their cgroup, and in each its tenants by
 * name. Finding one costs the same however many there are. Not thread safe. */

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "policy/nodeset.h"

typedef struct Promise {
        char *name;  /* of the tenant's cgroup */
        uint64_t id; /* its inode; 0: unknown */
        NodeSet nodes;
        bool is_alive; /* for a pass: it is there, and has a process */
        UT_hash_handle hh;
} Promise;

typedef struct PromiseUnit {
        char *path;
        Promise *tenants; /* at least one, in a table */
        UT_hash_handle hh;
} PromiseUnit;

/* An empty table is NULL. */
typedef PromiseUnit *PromiseTable;

/* path: of a tenant, a child of its unit's cgroup. NULL: it has no promise. */
const Promise *promise_find(const PromiseTable *t, const char *path);
/* The tenant gets exactly these nodes, or (add) these as well. Another inode than before is another tenant: to be
 * added, it takes the place of the earlier one; what ends for the earlier one leaves it alone. -ENOMEM: nothing has
 * changed. */
int promise_set(PromiseTable *t, const char *path, uint64_t id, const NodeSet *nodes, bool add);
/* Of a unit: NULL, if nothing is promised there. */
const PromiseUnit *promise_unit(const PromiseTable *t, const char *unit_path);
/* The unit that path is below, itself not included; ret: what is promised to the tenant that path is in. */
const PromiseUnit *promise_above(const PromiseTable *t, const char *path, NodeSet *ret);
/* Of all tenants of a unit, which may be NULL. */
NodeSet promise_unit_nodes(const PromiseUnit *u);
/* u may be NULL; then the copy is it, too. -ENOMEM. */
int promise_unit_copy(const PromiseUnit *u, PromiseUnit **ret);
PromiseUnit *promise_unit_free(PromiseUnit *u);
void promise_clear(PromiseTable *t);
