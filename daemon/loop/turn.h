/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Serializes the changes of each tenant: a change of its nodes takes a turn and keeps it until the kernel
 * has applied the change. Different tenants do not wait for one another. */

#include <systemd/sd-event.h>

#include "daemon/loop/done.h"
#include "policy/macro.h"

typedef struct TurnQueue TurnQueue;
typedef struct Turn Turn;

int turn_queue_new(sd_event *event, TurnQueue **ret);
/* All turns must have been freed first. */
TurnQueue *turn_queue_free(TurnQueue *q);
DEFINE_CLEANUP(TurnQueue, turn_queue_free);

/* begin is called from the event loop, never from within this call, when all earlier turns of the tenant have
 * been freed. It gets 0. */
int turn_take(TurnQueue *q, const char *tenant, done_t begin, void *userdata, Turn **ret);
/* Ends the turn, or leaves the queue. */
Turn *turn_free(Turn *t);
DEFINE_CLEANUP(Turn, turn_free);
