/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* memory.numa_stat may lag behind. The kernel flushes the per-CPU counters every 2 s, and at a read only if
 * 64 pages per CPU have changed (mem_cgroup_flush_stats() in mm/memcontrol.c). With Linux 7.3, 21 pages that
 * move_pages(2) had moved were still counted for 0.8 s; with 6.1 they were not. So a few pages may seem to
 * be left when all are gone. */

#include <stdint.h>

#include "daemon/loop/worker.h"

/* The upper bound of that error. */
uint64_t settle_late_bytes(void);

typedef struct Settle {
        unsigned n_waits;
} Settle;

/* For a job that has moved pages and then read the remaining bytes. 0: left_bytes is final. Otherwise the
 * result of job_pause(): the bytes may be outdated and must be read again. This ends after 3 s. */
int settle_wait(Settle *s, Job *job, uint64_t left_bytes);
