/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pools with Hold=yes: what is not reserved of them is kept filled, so that nobody can have it who does not
 * reserve it, not even tasks of the root cgroup and the kernel's own fallbacks. */

#include <stdbool.h>
#include <stdint.h>

typedef struct Book Book;
typedef struct HoldSet HoldSet;
typedef struct Reservation Reservation;

int holds_new(Book *book, HoldSet **ret);
/* What is held stays held by systemd, for the cdmd that comes. */
HoldSet *holds_free(HoldSet *s);

/* A descriptor that systemd kept; taken when its name is that of a hold. */
bool holds_take_descriptor(HoldSet *s, int fd, const char *name);

/* What is held of a node: it is nobody's use of it. s may be NULL. */
uint64_t holds_bytes(const HoldSet *s, int node);

/* Something changed that may change what is to be held: reservations, configuration, nodes. Soon, from the
 * event loop, and merged. */
void holds_settle(HoldSet *s);

/* Before a grant is acknowledged: calls done from the event loop when no more of the reservation's nodes is
 * held than shall be, the reservation being in the ledger. 1: nothing is held there, done is not called. */
typedef struct HoldWait HoldWait;
typedef void (*hold_done_t)(void *userdata);
int holds_make_room(HoldSet *s, const Reservation *r, hold_done_t done, void *userdata, HoldWait **ret);
HoldWait *hold_wait_free(HoldWait *w);
