/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Distributes notices of changes. Parts of the daemon send notices, and listeners subscribe to them. So the
 * code that manages a reservation or a node does not depend on its listeners.
 *
 * Listeners are called immediately, in the order of their subscription, with a notice that is valid during
 * the call. A notice is sent in the middle of a change. So a listener may read, send messages, set timers
 * and record work for later. A listener must not send another notice, add or end a reservation, or change
 * nodes, pools or the ledger. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/macro.h"
#include "policy/pool.h"
#include "policy/reservation.h"
#include "policy/topology.h"

typedef struct Entry Entry;
typedef struct Event Event;

typedef enum NoticeKind {
        NOTICE_EVENT,                /* event, client */
        NOTICE_RESERVATION_ADDED,    /* id: clients may see it from now on */
        NOTICE_RESERVATION_REMOVED,  /* id: about to be forgotten */
        NOTICE_RESERVATION_CHANGED,  /* id, changed */
        NOTICE_RESERVATION_REVOKING, /* id, reason, usec */
        NOTICE_NODE_DRAINED,         /* node: drained by an administrator, or undrained */
        NOTICE_NODES,                /* topology_before, pools_before: they were replaced */
        NOTICE_MODE,                 /* Mode= was read again */
        NOTICE_FENCE_STATE,          /* the state of the fence may have changed */
        NOTICE_RESERVATION_CAME,     /* entry: granted, its nodes are open */
        NOTICE_RESERVATION_LEFT,     /* entry, reservation: removed from the ledger, and about to be freed */
        NOTICE_FENCE_BEGINS,         /* wanted: the fence is about to be closed, or lifted */
        NOTICE_SYSTEMD,              /* reason: what systemd says around a daemon-reload */
        NOTICE_ROOM,                 /* a change that may let a waiter be served */
} NoticeKind;

/* The changed properties of a reservation; a bit mask. */
typedef enum ReservationChange {
        RESERVATION_CHANGED_STATE = 1 << 0,
        RESERVATION_CHANGED_SIZE = 1 << 1,
        RESERVATION_CHANGED_NODES = 1 << 2,
        RESERVATION_CHANGED_STRENGTH = 1 << 3,
        RESERVATION_CHANGED_UNIT = 1 << 4,
        RESERVATION_CHANGED_CGROUP = 1 << 5,
        RESERVATION_CHANGED_EXPIRES = 1 << 6,
        RESERVATION_CHANGED_ALL = (1 << 7) - 1,
} ReservationChange;

typedef struct Notice {
        NoticeKind kind;
        uint32_t id;
        unsigned changed; /* ReservationChange */
        int node;
        bool wanted;
        const char *reason;
        uint64_t usec; /* time until the reservation is drained */
        Entry *entry;
        const Reservation *reservation;
        const Topology *topology_before;
        const PoolSet *pools_before;
        const Event *event;
        const char *client; /* the only recipient; NULL: all clients */
} Notice;

typedef struct Notify Notify;
typedef void (*notify_listener_t)(const Notice *notice, void *userdata);

int notify_new(Notify **ret);
Notify *notify_free(Notify *n);
DEFINE_CLEANUP(Notify, notify_free);

/* -ENOSPC: there are NOTIFY_LISTENERS_MAX listeners already. */
int notify_subscribe(Notify *n, notify_listener_t listener, void *userdata);
void notify_unsubscribe(Notify *n, notify_listener_t listener, void *userdata);

/* n may be NULL: there are no listeners. */
void notify_tell(const Notify *n, const Notice *notice);
void notify_reservation_added(const Notify *n, uint32_t id);
void notify_reservation_removed(const Notify *n, uint32_t id);
void notify_reservation_changed(const Notify *n, uint32_t id, unsigned changed);
void notify_room(const Notify *n);
