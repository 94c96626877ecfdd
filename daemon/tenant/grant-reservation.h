/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Turns a decision into a granted reservation. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/caller/identity.h"
#include "daemon/tenant/request-args.h"
#include "policy/decide.h"

typedef struct Book Book;
typedef struct Entry Entry;

/* Makes the reservation of a grant. mems: the tenant's own cpuset.mems, or empty. id: its id while it was
 * queued; 0: a new one. */
int grant_make_reservation(Book *book, const Identity *i, const RequestArgs *a, const Decision *d,
                           const NodeSet *mems, uint32_t id, Reservation **ret);
/* Replaces a waiting reservation by r, which has the same id. On failure r stays the caller's. */
int grant_replace(Entry *e, Reservation *r);
/* Notifies clients of a new reservation, or that a waiting one was granted. */
void grant_tell_clients(Entry *e);
/* The event of the grant. migrate: the bytes are those of the move to the nodes. */
void grant_tell_granted(const Entry *e, bool migrate, uint64_t moved_bytes, uint64_t failed_bytes);
