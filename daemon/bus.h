/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* cdmd on the bus: org.cdmd1 with its objects, one bus-*.c file each, and org.freedesktop.LogControl1. Every
 * method reads, refuses nonsense, authorises and hands over to the manager. */

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "daemon/authorize.h"
#include "daemon/manager.h"

/* Puts all objects on the bus; then the name can be asked for. */
int bus_publish(sd_bus *bus, Manager *m);
int bus_request_name(sd_bus *bus);

/* What the objects look like; tests/bus-introspect prints it. */
extern const sd_bus_vtable bus_manager_vtable[];
extern const sd_bus_vtable bus_reservation_vtable[];
extern const sd_bus_vtable bus_pool_vtable[];
extern const sd_bus_vtable bus_node_vtable[];

int bus_manager_install(sd_bus *bus, Manager *m);
int bus_reservation_install(sd_bus *bus, Manager *m);
int bus_pool_install(sd_bus *bus, Manager *m);
int bus_list_pools(sd_bus_message *call, void *userdata, sd_bus_error *error);
int bus_list_nodes(sd_bus_message *call, void *userdata, sd_bus_error *error);

/* Replies to the call: with nothing, or with the error. */
int bus_answer(sd_bus_message *call, const Answer *answer);

/* Runs fn for a call of the owner, of root, or of whom polkit allows the action; replies with the refusal
 * otherwise. owner may be UID_NONE. fn has to look up again what it works on: time went by. 1, or negative
 * errno: nothing will happen. */
typedef void (*bus_guarded_t)(Manager *m, uint32_t id, sd_bus_message *call);
int bus_guard(Manager *m, sd_bus_message *call, AuthorizeAction action, uid_t owner, uint32_t id,
              bus_guarded_t fn);
void bus_guarded_free(Manager *m);

/* bus-list.c. Both reply by themselves. */
int bus_lister_new(Manager *m, BusLister **ret);
BusLister *bus_lister_free(BusLister *l);
int bus_list_reservations(Manager *m, sd_bus_message *call, sd_bus_error *error);
/* Properties.Get of Used, on the path of a reservation that exists. */
int bus_list_get_used(Manager *m, sd_bus_message *call);

/* All properties but Used, as entries of an a{sv} that is open. */
int bus_reservation_append(Entry *e, sd_bus_message *m);
/* The state as clients see it. */
const char *bus_reservation_state(const Entry *e);

/* au */
int bus_append_nodes(sd_bus_message *m, const NodeSet *nodes);

/* Signals. The object of a reservation appears when it is granted. */
void bus_reservation_added(Manager *m, uint32_t id);
void bus_reservation_removed(Manager *m, uint32_t id);
void bus_reservation_changed(Manager *m, uint32_t id, const char *property);
/* It will be drained in usec from now. */
void bus_reservation_revoking(Manager *m, uint32_t id, const char *reason, uint64_t usec);
void bus_node_changed(Manager *m, int node, const char *property);
/* Nodes and pools that came, went or changed, compared with what was in force. */
void bus_tell_nodes(Manager *m, const Topology *topology_before, const PoolSet *pools_before);
/* One of the manager's properties that say EmitsChangedSignal. */
void bus_manager_changed(Manager *m, const char *property);

/* "/org/cdmd1/reservation/ID" */
#define BUS_PATH_MAX 64
const char *bus_reservation_path(uint32_t id, char path[static BUS_PATH_MAX]);
/* The other way round; 0: it is no such path. */
uint32_t bus_reservation_id(const char *path);
