/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/settle.h"

#include <unistd.h>

#include "daemon/loop/clock.h"

#define BATCH_PAGES UINT64_C(64) /* MEMCG_CHARGE_BATCH */
#define WAITS_MAX   12
#define WAIT_USEC   UINT64_C(250000)

uint64_t settle_late_bytes(void)
{
        return BATCH_PAGES * (uint64_t)sysconf(_SC_NPROCESSORS_ONLN) * (uint64_t)sysconf(_SC_PAGESIZE);
}

int settle_wait(Settle *s, Job *job, uint64_t left_bytes)
{
        if (left_bytes == 0 || left_bytes > settle_late_bytes() || s->n_waits == WAITS_MAX)
                return 0;
        s->n_waits++;
        return job_pause(job, clock_monotonic_usec() + WAIT_USEC);
}
