/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A queue of method calls that are served one at a time. The next call is taken from the user that was
 * served least recently, so no user waits for all calls of another user. The number of waiting calls is
 * limited for each connection, for each user, and in total; further calls are refused with CDM_ERROR_BUSY.
 * The calls of a connection stay in order; its waiting calls are dropped when it leaves the bus. */

#include <systemd/sd-bus.h>

#include "daemon/caller/sender.h"
#include "daemon/loop/peers.h"
#include "policy/macro.h"

typedef struct Bus Bus;
typedef struct BusCallers BusCallers;

typedef struct BusLimits {
        size_t connection; /* calls of one connection; 0: only the limit of the user applies */
        size_t user;       /* calls of one user */
        size_t all;        /* calls of all users; 0: no limit */
} BusLimits;

/* Low limits, for calls that are expensive. */
extern const BusLimits bus_limits_lists;

/* Begins to work on a call: answers it, or returns a negative errno, or fills in error. */
typedef int (*bus_begin_t)(Bus *b, sd_bus_message *call, sd_bus_error *error);

/* Called when a call can be taken. Called from within bus_callers_add() only if the sender is already
 * known. */
typedef void (*bus_callers_ready_t)(void *userdata);

int bus_callers_new(SenderCache *senders, Peers *peers, const BusLimits *limits, bus_callers_ready_t ready,
                    void *userdata, BusCallers **ret);
/* Drops waiting calls without an answer. */
BusCallers *bus_callers_free(BusCallers *c);
DEFINE_CLEANUP(BusCallers, bus_callers_free);

/* 1: the call was added or refused. Negative errno: the caller must answer. what: fills in "too many of your
 * ... wait". begin: returned by bus_callers_next(); may be NULL. */
int bus_callers_add(BusCallers *c, sd_bus_message *call, const char *what, bus_begin_t begin);

/* Hands out no call until the bus has read everything that was sent to it. Other messages wait behind a long
 * reply, so at most one long reply may be in flight. */
void bus_callers_pause(BusCallers *c, sd_bus *bus);

/* Removes the next call from the queue and returns it; NULL: none. The caller owns the reference. ret_uid,
 * which receives the user of the call, and ret_begin may be NULL. */
sd_bus_message *bus_callers_next(BusCallers *c, uid_t *ret_uid, bus_begin_t *ret_begin);
