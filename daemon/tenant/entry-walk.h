/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A walk over all reservations in slices: so many in one turn of the event loop, in the order of their ids. */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "daemon/loop/done.h"
#include "policy/ledger.h"

typedef struct EntryWalk EntryWalk;

/* id: a reservation, which may have left the ledger. The callback may change the ledger. */
typedef void (*entry_walk_t)(uint32_t id, void *userdata);

/* ended may be NULL, and may begin the walk again. */
int entry_walk_new(sd_event *event, const Ledger *ledger, entry_walk_t fn, done_t ended, void *userdata,
                   EntryWalk **ret);
EntryWalk *entry_walk_free(EntryWalk *w);
/* Starts the walk, or restarts it from the first reservation if it is in progress. fn is never called from
 * within this call. Reservations that are added during the walk are visited too. */
void entry_walk_begin(EntryWalk *w);
/* fn must call this when it has changed, stored and reported the reservation: a slice ends after a few such
 * changes. */
void entry_walk_changed(EntryWalk *w);
/* Visits the reservations that are left now, without slices. For the end of cdmd. */
void entry_walk_finish(EntryWalk *w);
void entry_walk_stop(EntryWalk *w);
