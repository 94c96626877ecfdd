/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The gate to PID 1: every method call to org.freedesktop.systemd1 passes it.
 *
 * dbus-daemon limits a connection to 128 pending calls and refuses the next one with LimitsExceeded. So at
 * most OPEN_MAX messages are open at the same time. A caller takes a pass for the number of messages that it
 * will have open at a time, and waits until the pass is admitted. There is one queue for each user ID on
 * whose behalf cdmd calls. The queues are served round-robin, one pass at a time. So a user with one
 * question waits for one question of each other user, however many they have queued. cdmd's own work (fence,
 * drift, release, repair) has a queue that is served before the queues of users. Each of the two classes has
 * a reserved share, so that neither can starve the other.
 *
 * A message that was sent stays open on the bus until PID 1 replies, even if the reply is no longer wanted.
 * So it counts until then, even after its pass was left and after its timeout. */

#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "policy/macro.h"

/* Used instead of a user ID for cdmd's own work. */
#define GATE_OWN ((uid_t)-1)
/* For lookups of ListHolders, which serve several callers together. */
#define GATE_HOLDERS ((uid_t)-2)

/* The maximum number of messages of a pass. */
#define GATE_PASS_MAX 16

typedef struct Gate Gate;
typedef struct GatePass GatePass;

/* The pass was admitted: the callee may send now. Called from the event loop, never from within
 * gate_enter(). The callee may leave the pass. */
typedef void (*gate_open_t)(GatePass *p, void *userdata);
/* reply may be an error; NULL: PID 1 did not reply in time. The callee may leave the pass. */
typedef void (*gate_reply_t)(sd_bus_message *reply, void *userdata);

/* timeout_usec: the time from sending a message. */
int gate_new(sd_event *event, sd_bus *bus, uint64_t timeout_usec, Gate **ret);
/* All passes must have been left first. */
Gate *gate_free(Gate *g);
DEFINE_CLEANUP(Gate, gate_free);

sd_bus *gate_bus(const Gate *g);
sd_bus *gate_pass_bus(const GatePass *p);

int gate_enter(Gate *g, uid_t uid, unsigned n_messages, gate_open_t open, void *userdata, GatePass **ret);
/* Sends a method call. -EBUSY: the pass is not admitted yet, or has its maximum number of open messages. */
int gate_send(GatePass *p, sd_bus_message *m, gate_reply_t reply, void *userdata);
/* Leaves the queue, or makes room for others. Pending replies are dropped. */
GatePass *gate_leave(GatePass *p);
DEFINE_CLEANUP(GatePass, gate_leave);
