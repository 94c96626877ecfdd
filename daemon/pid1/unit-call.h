/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One call to PID 1: how it is sent, how its reply is read, how the caller drops it. All kinds of calls
 * (unit.c, unit-change.c, unit-watch.c) begin with a UnitCall. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "daemon/pid1/gate.h"
#include "policy/macro.h"

/* A kernel with many threads to walk, or a reload of thousands of units, keeps PID 1 away for longer than
 * sd-bus's 25 s. */
#define UNIT_TIMEOUT_USEC (UINT64_C(90) * 1000 * 1000)

typedef struct UnitCall UnitCall;

UnitCall *unit_call_free(UnitCall *c);
DEFINE_CLEANUP(UnitCall, unit_call_free);

#define SYSTEMD_NAME              "org.freedesktop.systemd1"
#define SYSTEMD_PATH              "/org/freedesktop/systemd1"
#define SYSTEMD_UNIT_PATH         "/org/freedesktop/systemd1/unit"
#define SYSTEMD_INTERFACE_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_INTERFACE_UNIT    "org.freedesktop.systemd1.Unit"

/* Signals of PID 1's Manager object. */
#define MATCH_MANAGER(member)                                                                               \
        "type='signal',sender='" SYSTEMD_NAME "',path='" SYSTEMD_PATH                                       \
        "',interface='" SYSTEMD_INTERFACE_MANAGER "',member='" member "'"

struct UnitCall {
        GatePass *pass;
        void (*free)(UnitCall *c);
};

/* Sends a method call to systemd. types and the arguments as for sd_bus_message_append(). */
int unit_send(UnitCall *c, const char *path, const char *interface, const char *member, gate_reply_t reply,
              void *userdata, const char *types, ...);

/* 0, or the negative errno of an answer. NULL: there was none. */
int unit_reply_error(sd_bus_message *reply);

/* The object path of a unit; owned by the caller. */
int unit_path(const char *name, char **ret);

/* The interface with the cgroup properties of the unit's type. NULL: units of that type have no cgroup
 * (targets, timers, devices). */
const char *unit_cgroup_interface(const char *name);

/* Is it the name of a unit, of a type that has a cgroup? */
bool unit_has_cgroup(const char *name);
