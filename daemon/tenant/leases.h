/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Leases that end, reservations that are displaced. */

#include <stdint.h>

#include "daemon/tenant/book.h"

typedef struct Leases Leases;
typedef struct Reservation Reservation;

/* release: of one whose time is over. */
int leases_new(Book *book, entry_release_t release, void *userdata, Leases **ret);
Leases *leases_free(Leases *s);

/* Times are of CLOCK_BOOTTIME. */
/* Sets the timer for what comes next for this one, as its lease and state have it; all that are granted. */
void lease_arm(Leases *s, Entry *e);
void leases_arm(Leases *s);
/* It drains: no step is due any more. */
void lease_disarm(Entry *e);
/* It is told, and drained at that time. for_id: the reservation that displaces it; 0: its lease ends. */
int lease_revoke(Leases *s, Entry *e, uint64_t drain_usec, uint32_t for_id);
/* For many at once: counts as revoked now, and is stored and told soon. It is not revoked if that fails. */
void lease_revoke_soon(Leases *s, Entry *e, uint64_t drain_usec, uint32_t for_id);
/* It is not revoked after all. */
void lease_keep(Leases *s, Entry *e);
void lease_keep_soon(Leases *s, Entry *e);
/* The lease goes on for usec from now. */
int lease_renew(Leases *s, Entry *e, uint64_t usec);
/* Why it was revoked, a phrase; NULL: it was not. */
#define REVOKED_WHY_MAX 80
const char *lease_revoked_why(const Reservation *r, char buf[static REVOKED_WHY_MAX]);
/* It has left: no timer, and nothing that was to be stored and told soon. */
void lease_forget(Entry *e);
