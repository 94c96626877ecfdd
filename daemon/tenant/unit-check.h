/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Units that end and restart. */

#include <stdbool.h>

typedef struct Book Book;
typedef struct ChangeContext ChangeContext;
typedef struct OwnerAsks OwnerAsks;
typedef struct UnitChecks UnitChecks;

int unit_checks_new(Book *book, const ChangeContext *changes, OwnerAsks *owner_asks, UnitChecks **ret);
UnitChecks *unit_checks_free(UnitChecks *s);
/* Hears of all units from now on. */
int unit_checks_watch(UnitChecks *s);
/* Has the tenant's unit (or, by its path, a cgroup without one) ended, or restarted? Looks, and acts on it.
 * repair: its nodes are compared with the ledger in any case. done may be NULL. */
typedef void (*unit_check_done_t)(void *userdata);
int unit_checks_add(UnitChecks *s, const char *unit, bool repair, unit_check_done_t done, void *userdata);
