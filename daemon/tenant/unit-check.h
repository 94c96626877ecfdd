/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Follows the end and the restart of units. */

#include <stdbool.h>

#include "daemon/loop/done.h"

typedef struct Book Book;
typedef struct ChangeContext ChangeContext;
typedef struct OwnerAsks OwnerAsks;
typedef struct UnitChecks UnitChecks;

int unit_checks_new(Book *book, const ChangeContext *changes, OwnerAsks *owner_asks, UnitChecks **ret);
UnitChecks *unit_checks_free(UnitChecks *s);
/* Subscribes to the events of all units. */
int unit_checks_watch(UnitChecks *s);
/* Checks whether the tenant's unit (or its cgroup, if `unit` is a path) has ended or restarted, and acts on
 * the result. repair: also compares its nodes with the ledger if it has not restarted. done may be NULL. */
int unit_checks_add(UnitChecks *s, const char *unit, bool repair, done_t done, void *userdata);
