/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/loop/clock.h"

#include <time.h>

static uint64_t clock_read_usec(clockid_t clock)
{
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_realtime_usec(void)
{
        return clock_read_usec(CLOCK_REALTIME);
}

uint64_t clock_boottime_usec(void)
{
        return clock_read_usec(CLOCK_BOOTTIME);
}

uint64_t clock_monotonic_usec(void)
{
        return clock_read_usec(CLOCK_MONOTONIC);
}
