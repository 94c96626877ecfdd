/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes the cgroups of tenants follow the ledger. */

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
 * gone is no error. done is called once, perhaps before this returns. It is not called after follows_free(),
 * or if `leaving` is NULL and another call without `leaving` still waits for its turn, which has the same
 * effect. */
typedef void (*follow_done_t)(const ApplyResult *result, const char *tenant, void *userdata);
void follows_add(FollowSet *s, const char *tenant, const NodeSet *leaving, follow_done_t done,
                 void *userdata);
/* True if a call without `leaving` waits for its turn. */
bool follows_is_due(FollowSet *s, const char *tenant);
