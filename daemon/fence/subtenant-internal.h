/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the two files of subtenant. */

#include <string.h>

#include "daemon/fence/promise.h"
#include "daemon/fence/subtenant.h"

/* One pass over one unit: a copy of its input, and its results. */
typedef struct Pass {
        Subtree *subtrees;
        size_t n_subtrees;
        NodeSet ordinary, cdm;
        PromiseUnit *unit; /* the promises in the unit; NULL: none */
        SubtenantFound *found;
        int *wds;
        size_t n_wds;
        int watch;
        size_t n_tenants;
        bool is_open;    /* CDM nodes are open to the unit */
        int error;       /* if negative, the unit must not be widened */
        NodeSet written; /* the set of the unit after the pass; empty: unknown */
        char *message;
} Pass;

/* For cgroups below a unit. For the cgroup of the unit itself see word_unit_of_path(). */
static inline const char *name_of(const char *path)
{
        return strrchr(path, '/') + 1;
}

/* True if path is a child of the cgroup that its first n bytes name. */
static inline bool is_child(const char *path, size_t n)
{
        return n > 0 && path[n] == '/' && path[n + 1] != '\0' && !strchr(path + n + 1, '/');
}

/* subtenant-pass.c */
/* given_up: nodes that possibly no tenant needs any more. ret: the set that was written to the unit; may be
 * NULL. */
int subtenant_pass_unit(Pass *p, const char *unit_path, const NodeSet *given_up, SubtenantUnit *ret);
/* Writes all nodes to the children and grandchildren that have only the ordinary nodes. */
void subtenant_pass_lift(Pass *p, const char *unit_path, int fd, const NodeSet *all);
