/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where method calls begin that are more work than a look at what is in memory. A few are under way at a time,
 * the others wait, and users take turns: what waits here is no load for anybody. So ten clients that call
 * without end keep nobody else waiting longer than two of them would, neither in cdmd nor in the bus and PID 1,
 * which cdmd asks for each call. What can be answered at once does not come here, and goes first. */

#include "daemon/bus/bus-callers.h"

typedef struct BusDesk BusDesk;

int bus_desk_new(Bus *b, BusDesk **ret);
/* Calls that wait are dropped without an answer. */
BusDesk *bus_desk_free(BusDesk *d);

/* begin is called when it is the call's turn, and what the call needs has to be looked up then: also whether it
 * is allowed. 1: the call waits, or was refused. Or a negative errno, or error is filled in. */
int bus_desk_add(BusDesk *d, sd_bus_message *call, bus_begin_t begin, sd_bus_error *error);
