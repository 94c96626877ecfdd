/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the parts of foreign, and private to daemon/fence/foreign*.c. */

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/fence/foreign.h"
#include "daemon/fence/foreign-mark.h"
#include "daemon/fence/foreign-plan.h"

struct Foreign {
        pthread_mutex_t data; /* protects the fields up to cdm; never held while a call blocks */
        ForeignHold *holds;   /* sorted by compare_paths() */
        size_t n_holds, n_allocated;
        NodeSet ordinary, cdm;
        atomic_bool in_slices;
        pthread_mutex_t writing; /* serializes changes of the tree; protects marks */
        Marks *marks;
};

/* foreign.c: a consistent copy of the promises. */
typedef struct Promises {
        ForeignHold *holds;
        size_t n_holds;
        NodeSet ordinary, cdm;
} Promises;

int promises_copy(Foreign *f, Promises *ret);
void promises_clear(Promises *p);

/* foreign-tree.c: the affected cgroups, parents first. */
typedef struct Groups {
        Marks *marks;
        ForeignGroup *array;
        size_t n, size;
} Groups;

/* Does not change the marks. */
void groups_clear(Groups *g);
/* Reads the cgroups from the top one down to path, in that order, and the descendants of path; beside: also
 * the siblings of each cgroup on the path. -ENOENT: path is gone, but its ancestors were read. */
int groups_read_way(Groups *g, const char *path, bool beside);
void groups_decide(Groups *g, const Promises *p);
/* Writes narrowing changes first, bottom up, then widening changes, top down. */
int groups_write(Groups *g, const Promises *p);
/* Records the previous set, and the ordinary nodes of the new one. Called before the write, as an intent. If
 * the mark cannot be stored, the cgroup is fenced nevertheless. */
void group_mark(Marks *marks, const ForeignGroup *g, const NodeSet *was, const NodeSet *set);
/* For a foreign cgroup directly in a slice whose units do not need the controller. */
void group_enable_cpuset(Foreign *f, const char *path);

typedef int (*top_t)(const char *path, void *userdata);
/* Calls fn for every top cgroup in a slice ("" is the root); deep: also in the slices below. Stops at the
 * first value other than 0 and returns it. */
int groups_foreach_top(const char *slice, bool deep, top_t fn, void *userdata);
