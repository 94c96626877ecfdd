/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Compares the nodes of a tenant's cgroup with the ledger. */

#include "daemon/keeper/fights.h"

typedef struct Book Book;
typedef struct ChangeContext ChangeContext;

typedef struct TenantLooks TenantLooks;

int tenant_looks_new(Book *book, const ChangeContext *changes, Fights *fights, TenantLooks **ret);
TenantLooks *tenant_looks_free(TenantLooks *s);
/* Schedules a check in the tenant's turn, also if an earlier check has already begun. */
void tenant_looks_add(TenantLooks *s, const char *tenant);
