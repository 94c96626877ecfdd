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
        char *cgroup; /* path below the cgroup root; NULL when it has none */
        uint64_t cgroup_id;
        char *load_state;   /* "loaded", "not-found", ... */
        char *active_state; /* "active", "inactive", "failed", "activating", ... */
        bool job_pending;   /* a start is queued or an auto-restart is due */
        bool delegate;      /* not of unit_get() for a user */
        char *user;         /* User=, or NULL; not for GATE_OWN */
        NodeSet allowed;    /* AllowedMemoryNodes= as systemd sees it; empty: not set. Only for GATE_OWN */
} UnitInfo;

UnitInfo *unit_info_free(UnitInfo *u);
DEFINE_CLEANUP(UnitInfo, unit_info_free);

/* The path that its cgroup will have once the unit starts; owned by the caller, NULL: out of memory. */
char *unit_future_cgroup(const UnitInfo *u);

/* error < 0: a negative errno (-ENOENT: no such unit, -ESRCH: no such process, -ETIMEDOUT: PID 1 does not
 * answer), and info is NULL. info belongs to the callee. */
typedef void (*unit_info_cb)(int error, UnitInfo *info, void *userdata);
/* True if PID 1 was too busy: the same call may succeed later. */
bool unit_error_is_passing(int error);
typedef void (*unit_done_cb)(int error, const char *message, void *userdata);

/* uid: on whose behalf, or GATE_OWN. */
int unit_get(Gate *gate, uid_t uid, const char *name, unit_info_cb cb, void *userdata, UnitCall **ret);
int unit_get_by_pid(Gate *gate, uid_t uid, pid_t pid, unit_info_cb cb, void *userdata, UnitCall **ret);
int unit_get_by_cgroup(Gate *gate, uid_t uid, const char *cgroup, unit_info_cb cb, void *userdata,
                       UnitCall **ret);

/* Asks which unit's cgroup this is, or the nearest one above. unit: its name, valid during the call; NULL:
 * error says why. -ENOENT: no unit's. As cdmd's own work. */
typedef void (*unit_owner_cb)(int error, const char *unit, void *userdata);
int unit_get_owner(Gate *gate, const char *cgroup, unit_owner_cb cb, void *userdata, UnitCall **ret);

/* SetUnitProperties(runtime=true, AllowedMemoryNodes). */
int unit_set_mems(Gate *gate, const char *name, const NodeSet *nodes, unit_done_cb cb, void *userdata,
                  UnitCall **ret);

/* SetUnitProperties(runtime=true, StartupAllowedMemoryNodes), to nothing: AllowedMemoryNodes= then always
 * applies. */
int unit_reset_startup_mems(Gate *gate, const char *name, unit_done_cb cb, void *userdata, UnitCall **ret);

/* SetUnitProperties(runtime=true, MemoryMax). ret NULL: nobody can cancel it. */
int unit_set_memory_max(Gate *gate, const char *name, uint64_t bytes, unit_done_cb cb, void *userdata,
                        UnitCall **ret);

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
/* The member to do that with; reads the slice's cgroup, so it is for a worker. -ENOENT: the slice has no
 * members. */
int unit_find_member(const char *slice, char **ret);

/* Subscribes to changes of units: cb gets the unit's name and its new active state ("removed" when it is
 * gone from systemd), or NULL and "reloading"/"reloaded" around a daemon-reload. Between these two "removed"
 * is not reported, because systemd then sends it for every unit. The callee must check at "reloaded" which
 * units are gone. One subscription serves all units. */
typedef void (*unit_event_cb)(const char *unit, const char *state, void *userdata);
int unit_subscribe(Gate *gate, unit_event_cb cb, void *userdata, UnitCall **ret);
