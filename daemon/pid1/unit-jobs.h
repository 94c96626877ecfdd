/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waits for jobs of systemd to end. */

#include <systemd/sd-bus.h>

/* One match serves all jobs, however many scopes start at the same time. */
typedef struct UnitJobs UnitJobs;
int unit_jobs_new(sd_bus *bus, UnitJobs **ret);
/* All UnitJobs must have been freed first. */
UnitJobs *unit_jobs_free(UnitJobs *j);

/* Waits for the end of the unit's next job. Must be called before the request that starts the job. The
 * callee of cb may free the UnitJob. -EBUSY: a caller already waits for a job of this unit. */
typedef struct UnitJob UnitJob;
typedef void (*unit_job_cb)(const char *result, void *userdata);
int unit_job_wait(UnitJobs *jobs, const char *unit, unit_job_cb cb, void *userdata, UnitJob **ret);
UnitJob *unit_job_free(UnitJob *j);
