/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Cgroups that systemd does not own: of container managers with the cgroupfs driver, and whatever somebody
 * makes with mkdir. No unit file applies to them, so they are fenced by writing their cpuset.mems.
 *
 * The functions that write block, and are for worker threads; several may run at once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/loop/worker.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct Foreign Foreign;

/* directory: where it is kept what cpuset.mems was before. */
int foreign_new(const char *directory, Foreign **ret);
Foreign *foreign_free(Foreign *f);
DEFINE_CLEANUP(Foreign, foreign_free);

/* Who gets a reservation that is asked for path: the cgroup itself; below a delegated one that one, which
 * confines it and is the last that is written to. -ENOENT: there is no such cgroup. */
int foreign_tenant(const char *path, char **ret, uint64_t *ret_id);

/* Is a top one in a slice where cdmd had to enable the cpuset controller? Then systemd may disable it. */
bool foreign_is_in_slices(Foreign *f);

/* What is kept off everybody; cdm empty: nothing is, and nothing is written until that changes. Does not
 * block. */
void foreign_set_policy(Foreign *f, const NodeSet *ordinary, const NodeSet *cdm);
/* These CDM nodes are promised to a cgroup, too, without a word to the kernel: for what was loaded at start.
 * Does not block. */
int foreign_hold(Foreign *f, const char *path, const NodeSet *nodes);
/* What is promised to it, by itself or what is above or below it. Does not block. */
NodeSet foreign_nodes(Foreign *f, const char *path);

/* Before the cgroup is given these nodes: everybody beside the way to it gets a fence of his own, then those
 * above it are widened, from the top down. Its own cpuset.mems is the caller's to write. */
int foreign_open(Foreign *f, const char *path, const NodeSet *nodes);
/* After it was narrowed to these nodes: those above it are narrowed, from it up, to what others need. */
int foreign_close(Foreign *f, const char *path, const NodeSet *nodes);

typedef struct ForeignFound {
        NodeSet nodes; /* were open to somebody without a promise */
        char *cgroup;  /* to whom, the first one; owned by the caller */
        uint64_t drained_bytes;
        bool is_open; /* still: it could not be written */
} ForeignFound;

/* How far it is with what has much to be drained. NULL in the beginning. */
typedef struct ForeignSweep ForeignSweep;
ForeignSweep *foreign_sweep_free(ForeignSweep *s);

/* Fences one with those below it, or (NULL) all: what is open is drained and narrowed. found: is added to.
 *
 * sweep NULL: what has much is left as it is, and the answer is -EAGAIN; so nothing takes long. Else it is
 * drained, and the answer may be JOB_PAUSED: then this is to be called again with the same sweep. */
int foreign_fence(Foreign *f, const char *path, uint64_t bandwidth, Job *job, ForeignSweep **sweep,
                  ForeignFound *found);
/* Those directly in a slice, or the root. */
int foreign_fence_slice(Foreign *f, const char *slice, uint64_t bandwidth, Job *job, ForeignSweep **sweep,
                        ForeignFound *found);
/* A cgroup that may be one of them is written as if systemd owned it, to `set`; it has `was`. Should it turn
 * out to be one, it gets that back. */
void foreign_note(Foreign *f, const char *path, uint64_t id, const NodeSet *was, const NodeSet *set);
/* Gives all of them back what they had before; all: every memory node. */
int foreign_lift(Foreign *f, const NodeSet *all);
