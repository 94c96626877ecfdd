/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The desk starts method calls that cannot be answered from memory alone. Only a few calls are in flight at
 * a time. The others wait without causing load, and are taken from all users in turn. So ten clients that
 * call in a loop delay other clients no more than two such clients would. This also protects the bus and
 * PID 1, which cdmd calls for each request. Calls that can be answered immediately bypass the desk. */

#include "daemon/bus/bus-callers.h"

typedef struct BusDesk BusDesk;

int bus_desk_new(Bus *b, BusDesk **ret);
/* Drops waiting calls without an answer. */
BusDesk *bus_desk_free(BusDesk *d);

/* begin is called when it is the call's turn. It must look up everything then, including whether the call is
 * allowed. Returns 1 if the call waits or was refused; otherwise a negative errno. */
int bus_desk_add(BusDesk *d, sd_bus_message *call, bus_begin_t begin);
