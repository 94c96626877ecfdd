/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Has a tenant's cgroup the nodes that the ledger says? */

#include "daemon/keeper/fights.h"

typedef struct Book Book;
typedef struct ChangeContext ChangeContext;

typedef struct TenantLooks TenantLooks;

int tenant_looks_new(Book *book, const ChangeContext *changes, Fights *fights, TenantLooks **ret);
TenantLooks *tenant_looks_free(TenantLooks *s);
/* Looks at it soon; again where a look has begun already. */
void tenant_looks_add(TenantLooks *s, const char *tenant);
