/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The gate to PID 1: every method call to org.freedesktop.systemd1 passes it.
 *
 * dbus-daemon lets one connection have 128 calls open and refuses the next one with LimitsExceeded. So only
 * OPEN_MAX messages are open at once. A caller takes a pass for the number of messages that it will have
 * open at a time, and waits until the pass is admitted. There is one queue for each user id on whose behalf
 * cdmd calls; the queues are served in turn, one pass at a time. So a user with one question waits for one
 * question of each other user, however many those have queued. cdmd's own work (fence, drift, release,
 * repair) has a queue that is served before those of users. Each of the two classes has a reserved share, so
 * that neither can keep the other out.
 *
 * A message that was sent stays open on the bus until PID 1 answers, whether or not the answer is still
 * wanted. So it counts until then, even after its pass was left and after its timeout. */

#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "policy/macro.h"

/* Used instead of a user id for cdmd's own work. */
#define GATE_OWN ((uid_t)-1)
/* The look-ups of ListHolders, which are made for several callers at once. */
#define GATE_HOLDERS ((uid_t)-2)

/* No pass may be for more messages than this. */
#define GATE_PASS_MAX 16

typedef struct Gate Gate;
typedef struct GatePass GatePass;

/* The pass is admitted: send now. Called from the event loop, never from within gate_enter(). The pass may
 * be left from within. */
typedef void (*gate_open_t)(GatePass *p, void *userdata);
/* reply may be an error; it is NULL when PID 1 did not answer in time. The pass may be left from within. */
typedef void (*gate_reply_t)(sd_bus_message *reply, void *userdata);

/* timeout_usec counts from the sending of a message. */
int gate_new(sd_event *event, sd_bus *bus, uint64_t timeout_usec, Gate **ret);
/* All passes must have been left before. */
Gate *gate_free(Gate *g);
DEFINE_CLEANUP(Gate, gate_free);

sd_bus *gate_bus(const Gate *g);
sd_bus *gate_pass_bus(const GatePass *p);

int gate_enter(Gate *g, uid_t uid, unsigned n_messages, gate_open_t open, void *userdata, GatePass **ret);
/* Sends a method call. -EBUSY: the pass has as many messages open as it was taken for. */
int gate_send(GatePass *p, sd_bus_message *m, gate_reply_t reply, void *userdata);
/* Leaves the queue, or makes room for others. Replies that are still due are dropped. */
GatePass *gate_leave(GatePass *p);
DEFINE_CLEANUP(GatePass, gate_leave);
