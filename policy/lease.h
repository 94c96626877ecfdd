/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a lease ends, and when that is told beforehand.
 *
 * All times here are of CLOCK_BOOTTIME, in microseconds: it goes on while the machine sleeps and nobody can
 * set it, so a lease is as long as it was promised whatever happens to the wall clock. It starts anew with
 * each boot, as /run/cdmd does. What people read is derived at the moment they read it. */

#include <stdint.h>

/* now + span; TIMESPAN_INFINITY stays that, and so does what would overflow. */
uint64_t lease_end(uint64_t now_usec, uint64_t span_usec);

/* How long before its end a lease is warned of: the grace period, but at most half of the lease, so that
 * even a short one is held for a while in peace. */
uint64_t lease_grace(uint64_t span_usec, uint64_t grace_usec);

/* When to warn; TIMESPAN_INFINITY: never. */
uint64_t lease_warning(uint64_t end_usec, uint64_t span_usec, uint64_t grace_usec);

/* When to drain what is warned now: at its end, and never before the grace period is over, also when the
 * warning is late because the machine slept or cdmd did not run. */
uint64_t lease_drain(uint64_t end_usec, uint64_t span_usec, uint64_t grace_usec, uint64_t now_usec);

/* An end as the wall clock shows it: what is left of the lease, from now on. */
uint64_t lease_wall_clock(uint64_t end_usec, uint64_t boottime_usec, uint64_t realtime_usec);
