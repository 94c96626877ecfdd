/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What unit.c, unit-change.c and unit-watch.c share. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "daemon/unit.h"

#define SYSTEMD_NAME              "org.freedesktop.systemd1"
#define SYSTEMD_PATH              "/org/freedesktop/systemd1"
#define SYSTEMD_UNIT_PATH         "/org/freedesktop/systemd1/unit"
#define SYSTEMD_INTERFACE_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_INTERFACE_UNIT    "org.freedesktop.systemd1.Unit"

/* Signals of PID 1's Manager object. */
#define MATCH_MANAGER(member)                                                                               \
        "type='signal',sender='" SYSTEMD_NAME "',path='" SYSTEMD_PATH                                       \
        "',interface='" SYSTEMD_INTERFACE_MANAGER "',member='" member "'"

/* A kernel with many threads to walk, or a reload of thousands of units, keeps PID 1 away for longer than
 * sd-bus's 25 s. */
#define SYSTEMD_TIMEOUT_USEC (90ULL * 1000 * 1000)

/* Sends a method call to systemd. types and the arguments as for sd_bus_message_append(). */
int unit_call(sd_bus *bus, sd_bus_slot **ret_slot, const char *path, const char *interface,
              const char *member, sd_bus_message_handler_t cb, void *userdata, const char *types, ...);

/* unit-jobs.c. Waits for the end of the unit's next job, which is asked for afterwards. The UnitJob may be
 * freed from within the callback. -EBUSY: somebody waits for that unit already. */
typedef struct UnitJob UnitJob;
typedef void (*unit_job_cb)(const char *result, void *userdata);
int unit_job_wait(UnitJobs *jobs, const char *unit, unit_job_cb cb, void *userdata, UnitJob **ret);
UnitJob *unit_job_free(UnitJob *j);

/* The negative errno for systemd's answer. */
int unit_error(const sd_bus_error *e);

/* Is it a unit by its name, and of a type that has a cgroup? */
bool unit_has_cgroup(const char *name);
