/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reservations that wait for room. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/caller/identity.h"
#include "daemon/tenant/request-args.h"
#include "policy/decide.h"

typedef struct Book Book;
typedef struct Entry Entry;
typedef struct Leases Leases;
typedef struct Waiter Waiter;
typedef struct Waiters Waiters;

int waiters_new(Book *book, Leases *leases, Waiters **ret);
Waiters *waiters_free(Waiters *s);

/* Returns 0 after the reservation was queued and stored. Takes ownership of identity, also on failure. */
int waiter_enqueue(Waiters *s, Identity *identity, const RequestArgs *args, const Decision *d,
                   const NodeSet *near, uint32_t *ret_id);
/* Removes a reservation from the queue and frees its entry. error: the D-Bus error name for the client. */
void waiter_dequeue(Entry *e, const char *error, const char *reason);
/* Must be called when cdmd stops: the callback of waiters_restore() is not called any more. */
void waiters_stop(Waiters *s);
/* Restores the waiters after a restart, if their clients still exist. done is called when all clients were
 * checked. */
void waiters_restore(Waiters *s, void (*done)(void *userdata), void *userdata);
Waiter *waiter_free(Waiter *w);
/* True if the client disconnected while the reservation was being granted. */
bool waiter_is_gone(const Waiter *w);
/* Cancels the revocations made on behalf of this waiter. */
void waiter_done(Waiter *w);
/* Removes a waiter that will be granted from the queue, and its deadline. The caller owns the identity. */
Identity *waiter_take(Waiter *w);
/* Revokes the victims of the decision on behalf of this waiter. */
void waiter_revoke_victims(Waiter *w, const Decision *d);
