/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Subtenants: children of a delegated unit that are tenants of their own (Subtree= in cdmd.conf).
 * subtenant.c explains the model.
 *
 * There is one table per process, as there is one cgroup tree. All functions are thread safe. Functions that
 * are documented to block are for worker threads. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/macro.h"
#include "policy/nodeset.h"
#include "policy/subtree.h"

/* A unit with more subtenants is not opened. */
#define SUBTENANTS_MAX 1024

/* Sets the configuration, which is copied. cdm empty: there is no fence, and nothing is written. -ENOMEM:
 * nothing has changed. */
int subtenant_configure(const Subtree *subtrees, size_t n, const NodeSet *ordinary, const NodeSet *cdm);
/* Sets the inotify instance that watches cgroups below open units; the caller keeps ownership. -EBADF:
 * none. */
void subtenant_watch(int fd);
/* Forgets everything without writing to any cgroup. */
void subtenant_forget(void);

/* Finds the subtenant for a request for path, which is unit_path, the cgroup of the unit, or below it.
 * Returns the path and inode of the tenant. -ENOENT: the unit has no such tenant. -EACCES: others than root
 * can write there, so the cgroup cannot be a tenant and the unit confines it. -ESRCH: it has no process, or
 * is gone. Blocks. */
int subtenant_find(const char *unit, const char *unit_path, const char *path, char **ret, uint64_t *ret_id);
/* True if the tenant with this path, whose reservations have no unit, is a subtenant. */
bool subtenant_is_one(const char *path);

/* Adds promised CDM nodes to a tenant without writing to the kernel. id: its inode; 0: any. A new cgroup
 * with the same path has no promise. Does not block. */
int subtenant_hold(const char *path, uint64_t id, const NodeSet *nodes);
/* The nodes promised to the tenants of the unit with this cgroup. Does not block. */
NodeSet subtenant_nodes(const char *unit_path);
/* The same for units of this name. */
NodeSet subtenant_unit_nodes(const char *unit);
/* True if path is below a unit that has a tenant with a promise. ret: the nodes promised to the tenant that
 * contains path. Does not block. */
bool subtenant_promised(const char *path, NodeSet *ret);
/* True if a tenant of this unit has a promise. Then the unit no longer confines its children: each has its
 * own fence. */
bool subtenant_is_split(const char *unit_path);

/* The set of the unit's cgroup, for the notification of systemd. */
typedef struct SubtenantUnit {
        char *name; /* NULL: nothing has changed; owned by the caller */
        NodeSet nodes;
} SubtenantUnit;

/* Called before the tenant gets these nodes: fences all other children of the unit, then widens the unit.
 * The caller writes cpuset.mems of the tenant. ret_message: may be set on failure; owned by the caller.
 * Blocks. */
int subtenant_open(const char *path, uint64_t id, const NodeSet *nodes, SubtenantUnit *ret,
                   char **ret_message);
/* Called after the tenant was narrowed to these nodes: narrows its levels too, and narrows the unit to the
 * nodes that other tenants need. Blocks. */
int subtenant_close(const char *path, uint64_t id, const NodeSet *nodes, SubtenantUnit *ret);

/* Writes the set to the unit, plus the nodes promised to its tenants at this moment: no pass comes in between.
 * Blocks. */
int subtenant_write_unit(const char *unit_path, const NodeSet *nodes);

typedef struct SubtenantFound {
        NodeSet nodes; /* nodes that were open to a cgroup without a promise */
        char *cgroup;  /* the first such cgroup */
        uint64_t drained_bytes;
        bool is_open;  /* at least one cgroup is still open: a write failed */
        char *message; /* the first reason why a unit cannot be opened; NULL: none */
        char **ended;  /* tenants with a promise that are gone, or have no process left */
        size_t n_ended;
} SubtenantFound;

void subtenant_found_clear(SubtenantFound *found);

/* The set that the last pass has written to the unit of this name; `otherwise` if no tenant there has a
 * promise. Does not block. */
NodeSet subtenant_unit_written(const char *unit, const NodeSet *otherwise);

/* Runs a pass over all units that have tenants with promises: fences new or opened cgroups, and widens the
 * tenants' own. Adds to *found. Blocks. */
int subtenant_fence(SubtenantFound *found);
/* Writes all nodes to children that have only the ordinary nodes, also in units whose Subtree= was removed
 * since. Blocks. */
int subtenant_lift(const NodeSet *all);
