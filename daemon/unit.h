/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* systemd's side of the kernel: units by name, PID or cgroup; their AllowedMemoryNodes=; scopes; reload. All
 * calls are asynchronous, PID 1 is never waited for. The caller frees a returned slot to drop interest;
 * callbacks then do not come. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct UnitInfo {
        char *name;
        char *slice;
        char *cgroup; /* path below the cgroup root; NULL when it has none */
        uint64_t cgroup_id;
        char *load_state;   /* "loaded", "not-found", ... */
        char *active_state; /* "active", "inactive", "failed", "activating", ... */
        bool job_pending;   /* a start is queued or an auto-restart is due */
        bool delegate;
        char *user;      /* User=, or NULL */
        NodeSet allowed; /* AllowedMemoryNodes= as systemd sees it; empty: not set */
} UnitInfo;

UnitInfo *unit_info_free(UnitInfo *u);
DEFINE_CLEANUP(UnitInfo, unit_info_free);

/* error < 0: a negative errno (-ENOENT: no such unit, -ESRCH: no such process, -ETIMEDOUT: PID 1 does not
 * answer), and info is NULL. info belongs to the callee. */
typedef void (*unit_info_cb)(int error, UnitInfo *info, void *userdata);
typedef void (*unit_done_cb)(int error, const char *message, void *userdata);

int unit_get(sd_bus *bus, const char *name, unit_info_cb cb, void *userdata, sd_bus_slot **ret_slot);
int unit_get_by_pid(sd_bus *bus, pid_t pid, unit_info_cb cb, void *userdata, sd_bus_slot **ret_slot);
int unit_get_by_cgroup(sd_bus *bus, const char *cgroup, unit_info_cb cb, void *userdata,
                       sd_bus_slot **ret_slot);

/* SetUnitProperties(runtime=true, AllowedMemoryNodes). */
int unit_set_mems(sd_bus *bus, const char *name, const NodeSet *nodes, unit_done_cb cb, void *userdata,
                  sd_bus_slot **ret_slot);

/* One match for the ends of all jobs, however many scopes start at once. */
typedef struct UnitJobs UnitJobs;
int unit_jobs_new(sd_bus *bus, UnitJobs **ret);
/* No scope may be starting any more. */
UnitJobs *unit_jobs_free(UnitJobs *j);

/* Moves pid into a new scope in slice; done when its job is. memory_max_bytes 0: no limit. -EBUSY: a scope
 * of that name is starting already. */
int unit_start_scope(sd_bus *bus, UnitJobs *jobs, const char *name, const char *slice,
                     const char *description, pid_t pid, uint64_t memory_max_bytes, unit_done_cb cb,
                     void *userdata, sd_bus_slot **ret_slot);

/* Reload(). */
int unit_daemon_reload(sd_bus *bus, unit_done_cb cb, void *userdata, sd_bus_slot **ret_slot);

/* Peer.Ping: PID 1 answers between two pieces of work, so not while it reloads. */
int unit_ping(sd_bus *bus, unit_done_cb cb, void *userdata, sd_bus_slot **ret_slot);

/* Makes systemd realise the cgroups of one slice's members, which 257 does not do by itself after a reload.
 * -ENOENT: the slice has no members. */
int unit_poke_slice(sd_bus *bus, const char *slice, unit_done_cb cb, void *userdata, sd_bus_slot **ret_slot);

/* What happens to units: cb gets the unit's name and its new active state ("removed" when it is gone from
 * systemd), or NULL and "reloading"/"reloaded" around a daemon-reload. Between those two "removed" is not
 * told, because systemd then says it of every unit: what was lost meanwhile is for the callee to find out at
 * "reloaded". One subscription serves all units. */
typedef void (*unit_event_cb)(const char *unit, const char *state, void *userdata);
int unit_subscribe(sd_bus *bus, unit_event_cb cb, void *userdata, sd_bus_slot **ret_slot);

/* The ancestors-first path of a unit's object on the bus; owned by the caller. */
int unit_path(const char *name, char **ret);
