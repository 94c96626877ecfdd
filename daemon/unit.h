/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* systemd's side of the kernel: units by name, PID or cgroup; their AllowedMemoryNodes=; scopes; reload. All
 * calls are asynchronous, PID 1 is never waited for, and all of them pass the gate (daemon/gate.h): look-ups
 * on behalf of a user id, all else as cdmd's own work. The caller frees a returned UnitCall to drop
 * interest; callbacks then do not come. It is to be freed as well after the callback has come, or from
 * within. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "daemon/gate.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

/* A kernel with many threads to walk, or a reload of thousands of units, keeps PID 1 away for longer than
 * sd-bus's 25 s. */
#define UNIT_TIMEOUT_USEC (UINT64_C(90) * 1000 * 1000)

typedef struct UnitCall UnitCall;

UnitCall *unit_call_free(UnitCall *c);
DEFINE_CLEANUP(UnitCall, unit_call_free);

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

/* Where its cgroup will be once it starts; owned by the caller, NULL: out of memory. */
char *unit_future_cgroup(const UnitInfo *u);

/* error < 0: a negative errno (-ENOENT: no such unit, -ESRCH: no such process, -ETIMEDOUT: PID 1 does not
 * answer), and info is NULL. info belongs to the callee. */
typedef void (*unit_info_cb)(int error, UnitInfo *info, void *userdata);
/* PID 1 was too busy: the same call later may do. */
bool unit_error_is_passing(int error);
typedef void (*unit_done_cb)(int error, const char *message, void *userdata);

/* uid: on whose behalf, or GATE_OWN. */
int unit_get(Gate *gate, uid_t uid, const char *name, unit_info_cb cb, void *userdata, UnitCall **ret);
int unit_get_by_pid(Gate *gate, uid_t uid, pid_t pid, unit_info_cb cb, void *userdata, UnitCall **ret);
int unit_get_by_cgroup(Gate *gate, uid_t uid, const char *cgroup, unit_info_cb cb, void *userdata,
                       UnitCall **ret);

/* Which unit's cgroup is this, or the nearest one above? unit: its name, valid during the call; NULL: error
 * says why. -ENOENT: no unit's. As cdmd's own work. */
typedef void (*unit_owner_cb)(int error, const char *unit, void *userdata);
int unit_get_owner(Gate *gate, const char *cgroup, unit_owner_cb cb, void *userdata, UnitCall **ret);

/* SetUnitProperties(runtime=true, AllowedMemoryNodes). */
int unit_set_mems(Gate *gate, const char *name, const NodeSet *nodes, unit_done_cb cb, void *userdata,
                  UnitCall **ret);

/* SetUnitProperties(runtime=true, StartupAllowedMemoryNodes), to nothing: the other one then counts always.
 */
int unit_reset_startup_mems(Gate *gate, const char *name, unit_done_cb cb, void *userdata, UnitCall **ret);

/* One match for the ends of all jobs, however many scopes start at once. */
typedef struct UnitJobs UnitJobs;
int unit_jobs_new(sd_bus *bus, UnitJobs **ret);
/* No scope may be starting any more. */
UnitJobs *unit_jobs_free(UnitJobs *j);

/* Moves pid into a new scope in slice; done when its job is. memory_max_bytes 0: no limit. -EBUSY: a scope
 * of that name is starting already. */
int unit_start_scope(Gate *gate, UnitJobs *jobs, const char *name, const char *slice,
                     const char *description, pid_t pid, uint64_t memory_max_bytes, unit_done_cb cb,
                     void *userdata, UnitCall **ret);

/* Reload(). */
int unit_daemon_reload(Gate *gate, unit_done_cb cb, void *userdata, UnitCall **ret);

/* Peer.Ping: PID 1 answers between two pieces of work, so not while it reloads. */
int unit_ping(Gate *gate, unit_done_cb cb, void *userdata, UnitCall **ret);

/* Makes systemd realise the cgroups of all members of the slice that this one is in, which 257 does not do by
 * itself after a reload. */
int unit_poke(Gate *gate, const char *member, unit_done_cb cb, void *userdata, UnitCall **ret);
/* The member to do that with; reads the slice's cgroup, so it is for a worker. -ENOENT: the slice has no members.
 */
int unit_find_member(const char *slice, char **ret);

/* What happens to units: cb gets the unit's name and its new active state ("removed" when it is gone from
 * systemd), or NULL and "reloading"/"reloaded" around a daemon-reload. Between those two "removed" is not
 * told, because systemd then says it of every unit: what was lost meanwhile is for the callee to find out at
 * "reloaded". One subscription serves all units. */
typedef void (*unit_event_cb)(const char *unit, const char *state, void *userdata);
int unit_subscribe(Gate *gate, unit_event_cb cb, void *userdata, UnitCall **ret);

/* The ancestors-first path of a unit's object on the bus; owned by the caller. */
int unit_path(const char *name, char **ret);

/* Is it a unit by its name, and of a type that has a cgroup? */
bool unit_has_cgroup(const char *name);
