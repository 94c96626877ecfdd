/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Subtree=UNIT:TENANT[/LEVEL]: children of a delegated unit that are tenants of their own. Words only:
 * daemon/fence/subtenant.c knows the cgroups. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/macro.h"

typedef struct Subtree {
        char *unit;   /* a pattern of unit names */
        char *tenant; /* a pattern of one name: of a child of the unit's cgroup */
        char *level;  /* likewise, of a child of the tenant, where its nodes are set; NULL: of the tenant */
} Subtree;

/* NULL: the word is valid; else the rest of the sentence `"WORD" ...`. */
const char *subtree_check(const char *word);
/* Of a valid word. -ENOMEM. */
int subtree_parse(const char *word, Subtree *ret);
void subtree_clear(Subtree *s);
bool subtree_equal(const Subtree *a, const Subtree *b);

/* Does one of them make tenants of children of this unit? */
bool subtree_has_unit(const Subtree *array, size_t n, const char *unit);
/* Is the child of that name a tenant, if all else is so, too? */
bool subtree_has_tenant(const Subtree *array, size_t n, const char *unit, const char *tenant);
/* Is that child of the tenant one where its nodes are set? */
bool subtree_has_level(const Subtree *array, size_t n, const char *unit, const char *tenant,
                       const char *level);
