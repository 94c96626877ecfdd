/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How many events one user may cause. Each event is a journal entry and a broadcast signal, and a caller can
 * be refused any number of times. Without a limit one user could make journald drop the other entries of
 * cdmd.
 *
 * Each user has a bucket of EVENT_LIMIT_BURST, which gets one more a second. The next event that gets
 * through is told how many were left out before it. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/macro.h"

#define EVENT_LIMIT_BURST 20

typedef struct EventLimit EventLimit;

int event_limit_new(EventLimit **ret);
EventLimit *event_limit_free(EventLimit *l);
DEFINE_CLEANUP(EventLimit, event_limit_free);

/* Returns true if the user may cause one more event now. now_usec: CLOCK_MONOTONIC or any other that does
 * not go back. *ret_left_out is set when it returns true. Returns true if memory is short. */
bool event_limit_take(EventLimit *l, uid_t uid, uint64_t now_usec, uint64_t *ret_left_out);
