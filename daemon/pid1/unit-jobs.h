/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waits for the ends of systemd's jobs. */

#include <systemd/sd-bus.h>

/* One match for the ends of all jobs, however many scopes start at once. */
typedef struct UnitJobs UnitJobs;
int unit_jobs_new(sd_bus *bus, UnitJobs **ret);
/* No scope may be starting any more. */
UnitJobs *unit_jobs_free(UnitJobs *j);

/* Waits for the end of the unit's next job. Call it before the request that starts the job. The UnitJob may
 * be freed from within the callback. -EBUSY: a job of that unit is awaited already. */
typedef struct UnitJob UnitJob;
typedef void (*unit_job_cb)(const char *result, void *userdata);
int unit_job_wait(UnitJobs *jobs, const char *unit, unit_job_cb cb, void *userdata, UnitJob **ret);
UnitJob *unit_job_free(UnitJob *j);
