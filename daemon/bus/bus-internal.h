/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the files bus*.c. */

#include <stdint.h>

#include "daemon/bus/bus-call.h"
#include "daemon/bus/bus-text.h"
#include "daemon/bus/bus.h"
#include "daemon/caller/authorize.h"

/* The interfaces of the objects; tests/bus-introspect prints them. */
extern const sd_bus_vtable bus_manager_vtable[];
extern const sd_bus_vtable bus_reservation_vtable[];
extern const sd_bus_vtable bus_pool_vtable[];
extern const sd_bus_vtable bus_node_vtable[];

typedef struct BusDesk BusDesk;
typedef struct BusLister BusLister;
typedef struct BusHolders BusHolders;
typedef struct BusFacts BusFacts;
typedef struct Guarded Guarded;
typedef struct BusAdmit BusAdmit;
typedef struct SenderCache SenderCache;

struct Bus {
        BusContext context;
        sd_bus *bus;
        Book *book;
        BusDesk *desk;                   /* starts calls; bus-desk.c */
        BusCalls *calls;                 /* pending calls; bus-call.c */
        Guarded *guarded;                /* calls that wait for polkit; bus-guard.c */
        BusLister *lister, *lister_used; /* lists without Used, and with it */
        BusHolders *holders;
        BusAdmit *admits;
        BusFacts *facts;
};

int bus_manager_install(Bus *b);
int bus_reservation_install(Bus *b);
int bus_pool_install(Bus *b);

/* Each handles one notice; notices of other kinds are ignored. */
void bus_manager_on_notice(Bus *b, const Notice *n);
void bus_reservation_on_notice(Bus *b, const Notice *n);
void bus_pool_on_notice(Bus *b, const Notice *n);
/* bus-event.c: sends the signal Event. */
void bus_event_emit(Bus *b, const Event *e, const char *client);

/* Runs fn if the caller is the owner, root, or authorized by polkit for the action; refuses the call
 * otherwise. owner may be UID_NONE. fn must look up again the object that it works on, because it may have
 * changed meanwhile; fn answers the call. 1, or a negative errno: fn will not run. */
typedef void (*bus_guarded_t)(Bus *b, uint32_t id, BusCall *call);
int bus_guard(Bus *b, sd_bus_message *message, AuthorizeAction action, uid_t owner, uint32_t id,
              bus_guarded_t fn);
void bus_guarded_free(Bus *b);

/* bus-admit.c; started by the desk. */
int bus_admit(Bus *b, sd_bus_message *message, sd_bus_error *error);
void bus_admits_free(Bus *b);

/* bus-pool.c; started by the desk. */
int bus_list_pools(Bus *b, sd_bus_message *call, sd_bus_error *error);
int bus_list_nodes(Bus *b, sd_bus_message *call, sd_bus_error *error);

/* bus-list.c. The listers reply to the calls. */
int bus_lister_new(Book *book, const BufferSet *buffers, bool reads_used, BusLister **ret);
BusLister *bus_lister_free(BusLister *l);
int bus_list_reservations(Bus *b, sd_bus_message *message, sd_bus_error *error);
/* Answers Get for Used and Labels in place of the reservation's vtable. */
int bus_list_install(Bus *b);

/* bus-facts.c. Properties of the manager whose values are read first, and GetManagedObjects. */
int bus_facts_new(sd_bus *bus, SenderCache *senders, Peers *peers, MachineFacts *facts, BusFacts **ret);
BusFacts *bus_facts_free(BusFacts *f);
int bus_facts_install(Bus *b);

/* bus-holders.c. ListHolders; BusHolders replies to the calls. */
int bus_holders_new(Book *book, HolderSet *holders, BusHolders **ret);
BusHolders *bus_holders_free(BusHolders *h);
int bus_list_holders(Bus *b, sd_bus_message *message);

/* Appends all properties except Used and Labels, as entries of an a{sv} that is already open. */
int bus_reservation_append(Entry *e, sd_bus_message *m);
/* The state as clients see it. */
const char *bus_reservation_state(const Entry *e);
