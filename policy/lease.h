/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a lease ends, and when its client is warned.
 *
 * All times here are of CLOCK_BOOTTIME, in microseconds: this clock runs while the machine sleeps and cannot
 * be set, so a lease lasts as long as promised, whatever happens to the wall clock. It restarts with each
 * boot, as /run/cdmd does. Wall-clock times are derived when they are displayed. */

#include <stdint.h>

/* now + span. TIMESPAN_INFINITY if span is infinite or the sum would overflow. */
uint64_t lease_end(uint64_t now_usec, uint64_t span_usec);

/* How long before the end the client is warned: the grace period, but at most half of the lease. */
uint64_t lease_grace(uint64_t span_usec, uint64_t grace_usec);

/* When to warn the client; TIMESPAN_INFINITY: never. */
uint64_t lease_warning(uint64_t end_usec, uint64_t span_usec, uint64_t grace_usec);

/* When to drain if the client is warned now: at the end of the lease, but never before the grace period is
 * over. The warning may be late if the machine slept or cdmd did not run. */
uint64_t lease_drain(uint64_t end_usec, uint64_t span_usec, uint64_t grace_usec, uint64_t now_usec);

/* Converts an end to wall-clock time: now plus the rest of the lease. */
uint64_t lease_wall_clock(uint64_t end_usec, uint64_t boottime_usec, uint64_t realtime_usec);
