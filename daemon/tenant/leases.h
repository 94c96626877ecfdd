/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ends leases, and displaces reservations. */

#include <stdint.h>

#include "daemon/tenant/book.h"

typedef struct Leases Leases;
typedef struct Reservation Reservation;

/* release: called for a reservation whose time is over. */
int leases_new(Book *book, entry_release_t release, void *userdata, Leases **ret);
Leases *leases_free(Leases *s);

/* All times are of CLOCK_BOOTTIME. */
/* Sets the timer for the next step of this reservation, or of all granted ones, according to lease and
 * state. */
void lease_arm(Leases *s, Entry *e);
void leases_arm(Leases *s);
/* Must be called when the reservation begins to drain: removes the timer. */
void lease_disarm(Entry *e);
/* Revokes the reservation: stores and reports that it will be drained at drain_usec. for_id: the reservation
 * that displaces it; 0: its lease ends. */
int lease_revoke(Leases *s, Entry *e, uint64_t drain_usec, uint32_t for_id);
/* The same for many reservations: the ledger is updated now, and the revocation is stored and reported soon.
 * It is undone if it cannot be stored. */
void lease_revoke_soon(Leases *s, Entry *e, uint64_t drain_usec, uint32_t for_id);
/* Cancels a revocation, now or soon. */
void lease_keep(Leases *s, Entry *e);
void lease_keep_soon(Leases *s, Entry *e);
/* Extends the lease to usec from now. */
int lease_renew(Leases *s, Entry *e, uint64_t usec);
/* The reason of the revocation, as a clause; NULL: it was not revoked. */
#define REVOKED_WHY_MAX 80
const char *lease_revoked_why(const Reservation *r, char buf[static REVOKED_WHY_MAX]);
/* Must be called when the entry is removed: cancels the timer and deferred writes. */
void lease_forget(Entry *e);
