/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Method calls that wait because the work they ask for is done one piece at a time. The next call comes from
 * the user that was served least recently, so no user waits for all calls of another one. A connection and a
 * user may have so many calls waiting; the next one is refused with CDM_ERROR_BUSY. The calls of a connection
 * stay in order, and those that wait when it leaves the bus are dropped. */

#include <systemd/sd-bus.h>

#include "daemon/caller/sender.h"
#include "daemon/loop/peers.h"
#include "policy/macro.h"

typedef struct Bus Bus;
typedef struct BusCallers BusCallers;

typedef struct BusLimits {
        size_t connection; /* calls of one connection; 0: no limit beside that of the user */
        size_t user;       /* of one user */
        size_t all;        /* of everybody; 0: no limit */
} BusLimits;

/* Few, of which each is much work. */
extern const BusLimits bus_limits_lists;

/* Begins to work on a call. It answers the call, or returns a negative errno, or fills error in. */
typedef int (*bus_begin_t)(Bus *b, sd_bus_message *call, sd_bus_error *error);

/* Called when there is a call to take. Never called from within bus_callers_add(), unless the sender is known
 * already. */
typedef void (*bus_callers_ready_t)(void *userdata);

int bus_callers_new(SenderCache *senders, Peers *peers, const BusLimits *limits, bus_callers_ready_t ready,
                    void *userdata, BusCallers **ret);
/* Calls that wait are dropped without an answer. */
BusCallers *bus_callers_free(BusCallers *c);
DEFINE_CLEANUP(BusCallers, bus_callers_free);

/* The call waits, or was refused: 1. Or a negative errno; the caller answers. what: the middle of "Too many
 * of your ... wait". begin: kept for whoever takes the call; may be NULL. */
int bus_callers_add(BusCallers *c, sd_bus_message *call, const char *what, bus_begin_t begin);

/* Nothing is given out until the bus has read all that was sent to it: what is sent after a long answer waits
 * behind it, so there is no more than one of them on the way. */
void bus_callers_pause(BusCallers *c, sd_bus *bus);

/* Takes the next call out; NULL: none waits. The reference is the caller's. ret_uid: whose it is; may be NULL,
 * as may ret_begin. */
sd_bus_message *bus_callers_next(BusCallers *c, uid_t *ret_uid, bus_begin_t *ret_begin);
