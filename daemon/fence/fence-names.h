/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "policy/nodeset.h"

/* A set of units, slices or cgroups, each with the nodes to write. */
typedef struct FenceNames {
        char **names;
        NodeSet *sets;
        size_t n, n_allocated;
        struct FenceName *by_name;
} FenceNames;

void fence_names_clear(FenceNames *names);
/* set may be NULL. If the name exists already, its first set stays. */
int fence_names_add(FenceNames *names, const char *name, const NodeSet *set);
bool fence_names_has(const FenceNames *names, const char *name);
