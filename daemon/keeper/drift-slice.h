/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What slices allow, and which of them enable the cpuset controller. */

#include <stdbool.h>

#include "daemon/fence/fence-names.h"
#include "daemon/keeper/fights.h"

typedef struct Book Book;
typedef struct Fence Fence;

typedef struct SliceLooks SliceLooks;

/* look_at_all: called where only a look at everything tells. */
int slice_looks_new(Book *book, Fence *fence, Fights *fights, void (*look_at_all)(void *userdata),
                    void *userdata, SliceLooks **ret);
SliceLooks *slice_looks_free(SliceLooks *s);
/* A slice of which something was heard. */
void slice_looks_add(SliceLooks *s, const char *path);
/* A leaf has CDM nodes of which its own set says nothing: it is closed by way of the slices that it is in, or
 * of its own set. */
void slice_looks_above(SliceLooks *s, const char *leaf);
/* A look at everything found these files cgroup.subtree_control, which do not enable the cpuset controller,
 * and what that opens. True: the fence is to be closed, which enables it. */
bool slice_looks_off(SliceLooks *s, const FenceNames *off);
