/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Children of a delegated unit that are tenants of their own (Subtree= in cdmd.conf). subtenant.c has the
 * model.
 *
 * There is one table for the process, as there is one cgroup tree. All functions are thread safe. Those that
 * say so block, and are for worker threads. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/macro.h"
#include "policy/nodeset.h"
#include "policy/subtree.h"

/* A unit with more of them is not opened. */
#define SUBTENANTS_MAX 1024

/* What counts from now on; copied. cdm empty: nothing is kept off anybody, and nothing is written. -ENOMEM:
 * nothing has changed. */
int subtenant_configure(const Subtree *subtrees, size_t n, const NodeSet *ordinary, const NodeSet *cdm);
/* What happens below open units is told to this inotify instance; it stays the caller's. -EBADF: to none. */
void subtenant_watch(int fd);
/* Forgets everything, and touches no cgroup. */
void subtenant_forget(void);

/* Who gets what is asked for path, which is in or below unit_path, the cgroup of this unit: a tenant, by its
 * path and inode. -ENOENT: the unit has no such tenant. -EACCES: it would be one, but not only root can write
 * there, so the unit confines it. -ESRCH: it has no process, or is gone. Blocks. */
int subtenant_find(const char *unit, const char *unit_path, const char *path, char **ret, uint64_t *ret_id);
/* Is a tenant of this path, whose reservations have no unit, one of these? */
bool subtenant_is_one(const char *path);

/* These CDM nodes are promised to a tenant, too, without a word to the kernel. id: its inode, 0: any; a cgroup that is
 * made anew with the same path has no promise. Does not block. */
int subtenant_hold(const char *path, uint64_t id, const NodeSet *nodes);
/* What is promised to tenants of the unit with this cgroup. Does not block. */
NodeSet subtenant_nodes(const char *unit_path);
/* Likewise, of a unit of this name. */
NodeSet subtenant_unit_nodes(const char *unit);
/* Is path below a unit of which a tenant has a promise? Then what is promised to the one that it is in. Does not
 * block. */
bool subtenant_promised(const char *path, NodeSet *ret);
/* Is anything? Then what is below the unit counts each for itself. */
bool subtenant_is_split(const char *unit_path);

/* What the unit's cgroup is set to, so that systemd can be told. */
typedef struct SubtenantUnit {
        char *name; /* NULL: there is nothing to tell; owned by the caller */
        NodeSet nodes;
} SubtenantUnit;

/* Before the tenant is given these nodes: all others get a fence of their own, then the unit is widened. The
 * tenant's own cpuset.mems is the caller's to write. ret_message: may be set on failure; owned by the caller.
 * Blocks. */
int subtenant_open(const char *path, uint64_t id, const NodeSet *nodes, SubtenantUnit *ret,
                   char **ret_message);
/* After it was narrowed to these nodes: so are its levels, and the unit to what others need. Blocks. */
int subtenant_close(const char *path, uint64_t id, const NodeSet *nodes, SubtenantUnit *ret);

typedef struct SubtenantFound {
        NodeSet nodes; /* were open to somebody without a promise */
        char *cgroup;  /* to whom, the first one */
        uint64_t drained_bytes;
        bool is_open;  /* still: it could not be written */
        char *message; /* why a unit cannot be kept as it shall be, the first one; NULL: all can */
        char **ended;  /* tenants with a promise that are gone, or have no process any more */
        size_t n_ended;
} SubtenantFound;

void subtenant_found_clear(SubtenantFound *found);

/* Looks at all units of which tenants have a promise: fences what is new or was opened, and widens what is
 * theirs. found: is added to. Blocks. */
int subtenant_fence(SubtenantFound *found);
/* Gives all nodes to those that have just the ordinary ones, also where Subtree= was taken away since. Blocks. */
int subtenant_lift(const NodeSet *all);
