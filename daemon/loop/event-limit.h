/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A rate limit for the events that one user may cause. Each event is a journal entry and a broadcast signal,
 * and a caller can be refused any number of times. Without a limit one user could make journald drop the
 * other entries of cdmd.
 *
 * Each user has a token bucket of EVENT_LIMIT_BURST tokens, which gets one token per second. The next event
 * that is allowed reports how many were suppressed before it. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/macro.h"

#define EVENT_LIMIT_BURST 20

typedef struct EventLimit EventLimit;

int event_limit_new(EventLimit **ret);
EventLimit *event_limit_free(EventLimit *l);
DEFINE_CLEANUP(EventLimit, event_limit_free);

/* Returns true if the user may cause one more event now; then *ret_left_out is the number of suppressed
 * events. Also returns true when out of memory. now_usec: time of CLOCK_MONOTONIC or another clock that
 * never goes back. */
bool event_limit_take(EventLimit *l, uid_t uid, uint64_t now_usec, uint64_t *ret_left_out);
