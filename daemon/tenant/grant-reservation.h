/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was decided, as a reservation. */

#include <stdint.h>

#include "daemon/caller/identity.h"
#include "daemon/tenant/request-args.h"
#include "policy/decide.h"

typedef struct Book Book;
typedef struct Entry Entry;

/* Makes what was decided for a grant. mems: the tenant's own cpuset.mems, or empty. id: the one that it had
 * while it waited, or 0. */
int grant_make_reservation(Book *book, const Identity *i, const RequestArgs *a, const Decision *d,
                           const NodeSet *mems, uint32_t id, Reservation **ret);
/* What waited becomes what was granted, under its id. */
int grant_replace(Entry *e, Reservation *r);
/* To be told to clients: it is there, or has become what was asked for. */
void grant_tell_clients(Entry *e);
