/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Foreign cgroups, which systemd does not own: created by container managers with the cgroupfs driver, or by
 * mkdir. No unit file applies to them, so cdmd fences them by writing their cpuset.mems.
 *
 * The functions that write block, and are for worker threads; several may run concurrently. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/loop/worker.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct Foreign Foreign;

/* directory: the place of the files with the previous sets. */
int foreign_new(const char *directory, Foreign **ret);
Foreign *foreign_free(Foreign *f);
DEFINE_CLEANUP(Foreign, foreign_free);

/* Finds the tenant of a reservation for path: the cgroup itself, or its uppermost delegated ancestor, which
 * confines it and below which nothing is written. -ENOENT: there is no such cgroup. */
int foreign_tenant(const char *path, char **ret, uint64_t *ret_id);

/* True if cdmd has enabled the cpuset controller in a slice for a top cgroup. systemd may disable it
 * again. */
bool foreign_is_in_slices(Foreign *f);

/* Sets the nodes that the fence denies. cdm empty: there is no fence, and nothing is written until the next
 * call. Does not block. */
void foreign_set_policy(Foreign *f, const NodeSet *ordinary, const NodeSet *cdm);
/* Adds promised CDM nodes to a cgroup without writing to the kernel: for reservations loaded at startup.
 * Does not block. */
int foreign_hold(Foreign *f, const char *path, const NodeSet *nodes);
/* The nodes promised to the cgroup itself, its ancestors or its descendants. Does not block. */
NodeSet foreign_nodes(Foreign *f, const char *path);

/* Called before the cgroup gets these nodes. First fences every sibling of the cgroup and of each ancestor,
 * then widens the ancestors from the top. The caller writes cpuset.mems of the cgroup itself. */
int foreign_open(Foreign *f, const char *path, const NodeSet *nodes);
/* Called after the cgroup was narrowed to these nodes: narrows the ancestors, bottom up, to the nodes that
 * other descendants need. */
int foreign_close(Foreign *f, const char *path, const NodeSet *nodes);

typedef struct ForeignFound {
        NodeSet nodes; /* nodes that were open to a cgroup without a promise */
        char *cgroup;  /* the first such cgroup; owned by the caller */
        uid_t owner;   /* of its cpuset.mems */
        uint64_t drained_bytes;
        bool is_open; /* at least one cgroup is still open: a write failed */
} ForeignFound;

/* The progress of long drains. NULL at the beginning. */
typedef struct ForeignSweep ForeignSweep;
ForeignSweep *foreign_sweep_free(ForeignSweep *s);

/* Fences one foreign cgroup and its descendants, or all (path NULL): drains and narrows open cgroups. Adds
 * to *found.
 *
 * sweep NULL: skips cgroups with many pages to move and returns -EAGAIN, so the call is short. Otherwise
 * these are drained, and the call may return JOB_PAUSED: then it must be repeated with the same sweep. */
int foreign_fence(Foreign *f, const char *path, uint64_t bandwidth, Job *job, ForeignSweep **sweep,
                  ForeignFound *found);
/* The same for the top cgroups directly in a slice, or in the root. */
int foreign_fence_slice(Foreign *f, const char *slice, uint64_t bandwidth, Job *job, ForeignSweep **sweep,
                        ForeignFound *found);
/* Records that `set` is written to a cgroup that has `was`, as if systemd owned it. If it turns out to be a
 * foreign cgroup, lifting the fence restores `was`. */
void foreign_note(Foreign *f, const char *path, uint64_t id, const NodeSet *was, const NodeSet *set);
/* Restores the previous sets of all foreign cgroups. all: every memory node. */
int foreign_lift(Foreign *f, const NodeSet *all);
