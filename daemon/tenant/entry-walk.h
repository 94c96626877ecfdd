/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A walk over all reservations in slices: so many in one turn of the event loop, in the order of their ids. */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "daemon/loop/done.h"
#include "policy/ledger.h"

typedef struct EntryWalk EntryWalk;

/* Of one that may be gone by then. The ledger may change. */
typedef void (*entry_walk_t)(uint32_t id, void *userdata);

/* ended: may be NULL, and may begin the walk anew. */
int entry_walk_new(sd_event *event, const Ledger *ledger, entry_walk_t fn, done_t ended, void *userdata,
                   EntryWalk **ret);
EntryWalk *entry_walk_free(EntryWalk *w);
/* From the first one on, also when it is under way; never from within this call. What comes meanwhile is visited. */
void entry_walk_begin(EntryWalk *w);
void entry_walk_stop(EntryWalk *w);
