/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Method calls that wait because the work they ask for is done one piece at a time. The next call comes from
 * the user that was served least recently, so no user waits for all calls of another one. A connection and a
 * user may have a few calls waiting; the next one is refused with CDM_ERROR_BUSY. */

#include <systemd/sd-bus.h>

#include "daemon/caller/sender.h"
#include "policy/macro.h"

typedef struct BusCallers BusCallers;

/* Called when there is a call to take. Never called from within bus_callers_add(), unless the sender is known
 * already. */
typedef void (*bus_callers_ready_t)(void *userdata);

int bus_callers_new(SenderCache *senders, bus_callers_ready_t ready, void *userdata, BusCallers **ret);
/* Calls that wait are dropped without an answer. */
BusCallers *bus_callers_free(BusCallers *c);
DEFINE_CLEANUP(BusCallers, bus_callers_free);

/* The call waits, or was refused: 1. Or a negative errno; the caller answers. what: the middle of "Too many
 * of your ... wait". */
int bus_callers_add(BusCallers *c, sd_bus_message *call, const char *what);

/* Takes the next call out; NULL: none waits. The reference is the caller's. ret_uid: whose it is; may be NULL. */
sd_bus_message *bus_callers_next(BusCallers *c, uid_t *ret_uid);
