/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tenants whose cgroups are to follow the ledger. */

#include <stdbool.h>

#include "daemon/fence/apply.h"
#include "policy/nodeset.h"

typedef struct Book Book;
typedef struct ChangeContext ChangeContext;
typedef struct FollowSet FollowSet;
typedef struct UnitChecks UnitChecks;

int follows_new(Book *book, const ChangeContext *changes, UnitChecks *unit_checks, FollowSet **ret);
FollowSet *follows_free(FollowSet *s);
/* Takes a turn of the tenant and makes its cgroup follow the ledger; leaving may be NULL. A cgroup that is
 * gone is no error. done is called once, perhaps at once; not after follows_free(), and not where another one
 * without `leaving` waits for its turn, which does the same. */
typedef void (*follow_done_t)(const ApplyResult *result, const char *tenant, void *userdata);
void follows_add(FollowSet *s, const char *tenant, const NodeSet *leaving, follow_done_t done,
                 void *userdata);
/* One without `leaving` waits for its turn. */
bool follows_is_due(FollowSet *s, const char *tenant);
