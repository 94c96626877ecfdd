/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "daemon/unit.h"

/* Waits for the end of the unit's next job, which is asked for afterwards. The UnitJob may be
 * freed from within the callback. -EBUSY: somebody waits for that unit already. */
typedef struct UnitJob UnitJob;
typedef void (*unit_job_cb)(const char *result, void *userdata);
int unit_job_wait(UnitJobs *jobs, const char *unit, unit_job_cb cb, void *userdata, UnitJob **ret);
UnitJob *unit_job_free(UnitJob *j);
