/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/lease.h"

#include "policy/timespan.h"

uint64_t lease_end(uint64_t now_usec, uint64_t span_usec)
{
        uint64_t end;

        return __builtin_add_overflow(now_usec, span_usec, &end) ? TIMESPAN_INFINITY : end;
}

uint64_t lease_grace(uint64_t span_usec, uint64_t grace_usec)
{
        return grace_usec < span_usec / 2 ? grace_usec : span_usec / 2;
}

uint64_t lease_warning(uint64_t end_usec, uint64_t span_usec, uint64_t grace_usec)
{
        uint64_t grace = lease_grace(span_usec, grace_usec);

        if (end_usec == TIMESPAN_INFINITY)
                return TIMESPAN_INFINITY;
        return end_usec > grace ? end_usec - grace : 0;
}

uint64_t lease_drain(uint64_t end_usec, uint64_t span_usec, uint64_t grace_usec, uint64_t now_usec)
{
        uint64_t earliest = lease_end(now_usec, lease_grace(span_usec, grace_usec));

        return end_usec > earliest ? end_usec : earliest;
}

uint64_t lease_wall_clock(uint64_t end_usec, uint64_t boottime_usec, uint64_t realtime_usec)
{
        if (end_usec == TIMESPAN_INFINITY)
                return TIMESPAN_INFINITY;
        if (end_usec >= boottime_usec)
                return lease_end(realtime_usec, end_usec - boottime_usec);
        uint64_t over = boottime_usec - end_usec;
        return realtime_usec > over ? realtime_usec - over : 0;
}
