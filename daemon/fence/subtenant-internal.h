/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the two files of subtenant share. */

#include <string.h>

#include "daemon/fence/promise.h"
#include "daemon/fence/subtenant.h"

/* One pass over one unit: a copy of what counts, and what came of it. */
typedef struct Pass {
        Subtree *subtrees;
        size_t n_subtrees;
        NodeSet ordinary, cdm;
        PromiseUnit *unit; /* what is promised there; NULL: nothing */
        SubtenantFound *found;
        int *wds;
        size_t n_wds;
        int watch;
        size_t n_tenants;
        bool is_open; /* the unit */
        int error;    /* the unit must not be widened */
        char *message;
} Pass;

static inline const char *name_of(const char *path)
{
        return strrchr(path, '/') + 1;
}

/* Is path a child of the cgroup that the first n bytes of it name? */
static inline bool is_child(const char *path, size_t n)
{
        return n > 0 && path[n] == '/' && path[n + 1] != '\0' && !strchr(path + n + 1, '/');
}

/* subtenant-pass.c */
/* given_up: what nobody may need any more. ret: what the unit was set to; may be NULL. */
int subtenant_pass_unit(Pass *p, const char *unit_path, const NodeSet *given_up, SubtenantUnit *ret);
/* Gives all nodes to the children and grandchildren that have just the ordinary ones. */
void subtenant_pass_lift(Pass *p, const char *unit_path, int fd, const NodeSet *all);
