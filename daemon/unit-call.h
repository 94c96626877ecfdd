/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One call of a method of PID 1, through the gate: what unit*.c share. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "daemon/gate.h"

#define SYSTEMD_NAME              "org.freedesktop.systemd1"
#define SYSTEMD_PATH              "/org/freedesktop/systemd1"
#define SYSTEMD_UNIT_PATH         "/org/freedesktop/systemd1/unit"
#define SYSTEMD_INTERFACE_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_INTERFACE_UNIT    "org.freedesktop.systemd1.Unit"

/* Signals of PID 1's Manager object. */
#define MATCH_MANAGER(member)                                                                               \
        "type='signal',sender='" SYSTEMD_NAME "',path='" SYSTEMD_PATH                                       \
        "',interface='" SYSTEMD_INTERFACE_MANAGER "',member='" member "'"

typedef struct UnitCall UnitCall;

/* The part that every kind of call begins with. */
struct UnitCall {
        GatePass *pass;
        void (*free)(UnitCall *c);
};

/* Sends a method call to systemd. types and the arguments as for sd_bus_message_append(). */
int unit_send(UnitCall *c, const char *path, const char *interface, const char *member, gate_reply_t reply,
              void *userdata, const char *types, ...);

/* 0, or the negative errno of an answer. NULL: there was none. */
int unit_reply_error(sd_bus_message *reply);
