/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Those who wait for room: how each comes to wait, and what ends that. */

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

/* It waits, stored, when this returns 0. Takes identity. */
int waiter_enqueue(Waiters *s, Identity *identity, const RequestArgs *args, const Decision *d,
                   const NodeSet *near, uint32_t *ret_id);
/* It waits no more; error: what its client is told it failed with. The entry is gone. */
void waiter_dequeue(Entry *e, const char *error, const char *reason);
/* As cdmd stops: nobody is told any more. */
void waiters_stop(Waiters *s);
/* After a restart: who of them still has a client? done is called when that is known. */
void waiters_restore(Waiters *s, void (*done)(void *userdata), void *userdata);
Waiter *waiter_free(Waiter *w);
/* Its client went away while it was being granted. */
bool waiter_is_gone(const Waiter *w);
/* It needs nobody to leave any more. */
void waiter_done(Waiter *w);
/* It is next: out of the queue, and its time is not over any more. Its identity is the caller's. */
Identity *waiter_take(Waiter *w);
/* Those that are displaced for it. */
void waiter_revoke_victims(Waiter *w, const Decision *d);
