/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of foreign share; for daemon/foreign*.c alone. */

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/fence/foreign.h"
#include "daemon/fence/foreign-mark.h"
#include "daemon/fence/foreign-plan.h"

struct Foreign {
        pthread_mutex_t data; /* what follows; never held while something blocks */
        ForeignHold *holds;   /* in the order of compare_paths() */
        size_t n_holds, n_allocated;
        NodeSet ordinary, cdm;
        atomic_bool in_slices;
        pthread_mutex_t writing; /* one change of the tree at a time; held while marks is used */
        Marks *marks;
};

/* foreign.c: a consistent copy of what is promised. */
typedef struct Promises {
        ForeignHold *holds;
        size_t n_holds;
        NodeSet ordinary, cdm;
} Promises;

int promises_copy(Foreign *f, Promises *ret);
void promises_clear(Promises *p);

/* foreign-tree.c: the cgroups concerned, parents first. */
typedef struct Groups {
        Marks *marks;
        ForeignGroup *array;
        size_t n, size;
} Groups;

/* The marks stay. */
void groups_clear(Groups *g);
/* Those from the top one down to path, in that order, and what is below path; with everybody beside the way
 * if wanted. -ENOENT: path is gone, and what is above it was read. */
int groups_read_way(Groups *g, const char *path, bool beside);
void groups_decide(Groups *g, const Promises *p);
/* What gets less first, bottom up; then what gets more, top down. */
int groups_write(Groups *g, const Promises *p);
/* Notes what was there before, and the ordinary nodes that are set instead. Before the write, as intent.
 * Where it cannot be kept, the fence comes first all the same. */
void group_mark(Marks *marks, const ForeignGroup *g, const NodeSet *was, const NodeSet *set);
/* For a foreign cgroup right in a slice of which no unit needs the controller. */
void group_enable_cpuset(Foreign *f, const char *path);

typedef int (*top_t)(const char *path, void *userdata);
/* Every top cgroup in a slice ("" is the root), and in those below it if deep. Stops at the first value
 * other than 0 and returns it. */
int groups_foreach_top(const char *slice, bool deep, top_t fn, void *userdata);
