/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The interface to systemd: units by name, PID or cgroup; their AllowedMemoryNodes=; scopes; reload. All
 * calls are asynchronous and pass the gate (daemon/pid1/gate.h): lookups on behalf of a user id, all other
 * calls as cdmd's own work. The caller frees a returned UnitCall to cancel the callback. It must also be
 * freed after or within the callback. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "daemon/pid1/gate.h"
#include "daemon/pid1/unit-call.h"
#include "daemon/pid1/unit-jobs.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct UnitInfo {
        char *name;
        char *slice;  /* not for GATE_OWN */
        char *cgroup; /* path below the cgroup root; NULL: none */
        uint64_t cgroup_id;
        char *load_state;   /* "loaded", "not-found", ... */
        char *active_state; /* "active", "inactive", "failed", "activating", ... */
        bool job_pending;   /* a start is queued or an auto-restart is due */
        bool delegate;      /* only from unit_get_by_pid() and unit_get_by_cgroup() */
        char *user;         /* User=, or NULL; not for GATE_OWN */
        NodeSet allowed;    /* AllowedMemoryNodes= as systemd sees it; empty: not set. Only for GATE_OWN */
} UnitInfo;

UnitInfo *unit_info_free(UnitInfo *u);
DEFINE_CLEANUP(UnitInfo, unit_info_free);

/* Returns the path that the unit's cgroup will have after its start; owned by the caller. NULL: out of
 * memory. */
char *unit_future_cgroup(const UnitInfo *u);

/* error: 0 or a negative errno (-ENOENT: no such unit, -ESRCH: no such process, -ETIMEDOUT: PID 1 did not
 * reply); on error info is NULL. The callee owns info. */
typedef void (*unit_info_cb)(int error, UnitInfo *info, void *userdata);
/* True if PID 1 was too busy: the same call may succeed later. */
bool unit_error_is_passing(int error);
typedef void (*unit_done_cb)(int error, const char *message, void *userdata);

/* uid: the user on whose behalf cdmd asks, or GATE_OWN. */
int unit_get(Gate *gate, uid_t uid, const char *name, unit_info_cb cb, void *userdata, UnitCall **ret);
int unit_get_by_pid(Gate *gate, uid_t uid, pid_t pid, unit_info_cb cb, void *userdata, UnitCall **ret);
int unit_get_by_cgroup(Gate *gate, uid_t uid, const char *cgroup, unit_info_cb cb, void *userdata,
                       UnitCall **ret);

/* Asks for the unit of the cgroup or of its nearest ancestor, as cdmd's own work. unit: its name, valid
 * during the call; NULL on error. -ENOENT: the cgroup belongs to no unit. */
typedef void (*unit_owner_cb)(int error, const char *unit, void *userdata);
int unit_get_owner(Gate *gate, const char *cgroup, unit_owner_cb cb, void *userdata, UnitCall **ret);

/* SetUnitProperties(runtime=true, AllowedMemoryNodes). */
int unit_set_mems(Gate *gate, const char *name, const NodeSet *nodes, unit_done_cb cb, void *userdata,
                  UnitCall **ret);

/* SetUnitProperties(runtime=true, StartupAllowedMemoryNodes) with an empty set: then AllowedMemoryNodes=
 * always applies. */
int unit_reset_startup_mems(Gate *gate, const char *name, unit_done_cb cb, void *userdata, UnitCall **ret);

/* SetUnitProperties(runtime=true, MemoryMax). ret NULL: the call cannot be cancelled. */
int unit_set_memory_max(Gate *gate, const char *name, uint64_t bytes, unit_done_cb cb, void *userdata,
                        UnitCall **ret);

/* Moves pid into a new scope in slice. cb is called when the job of the scope has ended. memory_max_bytes 0:
 * no limit. -EBUSY: a scope of this name is starting already. */
int unit_start_scope(Gate *gate, UnitJobs *jobs, const char *name, const char *slice,
                     const char *description, pid_t pid, uint64_t memory_max_bytes, unit_done_cb cb,
                     void *userdata, UnitCall **ret);

/* Reload(). */
int unit_daemon_reload(Gate *gate, unit_done_cb cb, void *userdata, UnitCall **ret);

/* Peer.Ping: PID 1 replies when it is not busy, so never during a reload. */
int unit_ping(Gate *gate, unit_done_cb cb, void *userdata, UnitCall **ret);

/* Makes systemd realize the cgroups of all members of this member's slice, which 257 does not do after a
 * reload. */
int unit_poke(Gate *gate, const char *member, unit_done_cb cb, void *userdata, UnitCall **ret);
/* Finds a member for unit_poke(). Reads the cgroup of the slice, so it is for a worker. -ENOENT: the slice
 * has no members. */
int unit_find_member(const char *slice, char **ret);

/* Subscribes to changes of units. cb gets the name of the unit and its new active state ("removed" after
 * systemd has unloaded it), or NULL and "reloading"/"reloaded" around a daemon-reload. Between these two,
 * "removed" is not reported, because systemd then sends it for every unit. The callee must check at
 * "reloaded" which units are gone. One subscription serves all units. */
typedef void (*unit_event_cb)(const char *unit, const char *state, void *userdata);
int unit_subscribe(Gate *gate, unit_event_cb cb, void *userdata, UnitCall **ret);
