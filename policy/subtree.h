/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Subtree=UNIT:TENANT[/LEVEL]: children of a delegated unit that are tenants. This module handles the text
 * only; daemon/fence/subtenant.c handles the cgroups. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/macro.h"

typedef struct Subtree {
        char *unit;   /* a pattern of unit names */
        char *tenant; /* a pattern for the name of a child of the unit's cgroup */
        char *level;  /* likewise for a child of the tenant, where the tenant's nodes are set; NULL: in the
                       * tenant */
} Subtree;

/* NULL: the word is valid; else the rest of the sentence `"WORD" ...`. */
const char *subtree_check(const char *word);
/* The word must be valid. -ENOMEM. */
int subtree_parse(const char *word, Subtree *ret);
void subtree_clear(Subtree *s);
bool subtree_equal(const Subtree *a, const Subtree *b);

/* True if children of this unit can be tenants. */
bool subtree_has_unit(const Subtree *array, size_t n, const char *unit);
/* True if the name of the child makes it a tenant; the caller checks the other conditions. */
bool subtree_has_tenant(const Subtree *array, size_t n, const char *unit, const char *tenant);
/* True if the tenant's nodes are set in its child `level`. */
bool subtree_has_level(const Subtree *array, size_t n, const char *unit, const char *tenant,
                       const char *level);
