/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Pools with Hold=yes: cdmd itself allocates the unreserved memory, so that no process can use it without a
 * reservation, not even tasks of the root cgroup or fallbacks of the kernel. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/loop/done.h"

typedef struct Book Book;
typedef struct HoldSet HoldSet;
typedef struct Reservation Reservation;

int holds_new(Book *book, HoldSet **ret);
/* Held memory stays allocated: systemd keeps the descriptors for the next cdmd process. */
HoldSet *holds_free(HoldSet *s);

/* Takes over a descriptor that systemd kept, if its name is that of a hold. False: it is another
 * descriptor. */
bool holds_take_descriptor(HoldSet *s, int fd, const char *name);

/* The held bytes of a node; they do not count as used. s may be NULL. */
uint64_t holds_bytes(const HoldSet *s, int node);

/* Must be called when reservations, configuration or nodes have changed. Adjusts the held amounts soon, from
 * the event loop; calls are merged. */
void holds_settle(HoldSet *s);

/* Must be called before a grant is acknowledged, with the reservation in the ledger. done is called from the
 * event loop when the held amounts of the reservation's nodes have shrunk to their targets; the HoldWait was
 * freed before. 1: nothing is held there, and done is not called. */
typedef struct HoldWait HoldWait;
int holds_make_room(HoldSet *s, const Reservation *r, done_t done, void *userdata, HoldWait **ret);
HoldWait *hold_wait_free(HoldWait *w);
