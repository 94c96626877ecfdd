/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One call to PID 1: sending, reading the reply, and cancelling. The structs of all kinds of calls (unit.c,
 * unit-change.c, unit-owner.c, unit-watch.c) begin with a UnitCall. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "daemon/pid1/gate.h"
#include "policy/macro.h"

/* A write to a cgroup with many threads, or a reload of thousands of units, blocks PID 1 for longer than the
 * 25 s of sd-bus. */
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

/* Returns 0, or the negative errno of an error reply. reply NULL: no reply in time, -ETIMEDOUT. */
int unit_reply_error(sd_bus_message *reply);

/* Returns the object path of a unit; owned by the caller. */
int unit_path(const char *name, char **ret);

/* The interface with the cgroup properties of the unit's type. NULL: units of that type have no cgroup
 * (targets, timers, devices). */
const char *unit_cgroup_interface(const char *name);

/* True if this is the name of a unit whose type has a cgroup. */
bool unit_has_cgroup(const char *name);
