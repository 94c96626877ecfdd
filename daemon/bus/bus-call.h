/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A method call that is answered later: by a callback of the part of the daemon that it was handed to. It is
 * answered once, and ends with that. A client that has left the bus gets no answer; what was begun for it
 * goes on unless bus_call_on_gone() says otherwise. */

#include <stdint.h>
#include <systemd/sd-bus.h>

typedef struct Answer Answer;
typedef struct Peers Peers;

typedef struct Bus Bus;
typedef struct BusCalls BusCalls;
typedef struct BusCall BusCall;

int bus_calls_new(Bus *b, Peers *peers, BusCalls **ret);
/* Those that still wait get no answer. */
BusCalls *bus_calls_free(BusCalls *s);

/* ended is called after each that ends; NULL: nothing is called. */
void bus_calls_on_end(BusCalls *s, void (*ended)(void *userdata), void *userdata);
/* How many wait for an answer, but no more than max, the last ones; *ret_oldest_usec: when the first of these
 * was made (CLOCK_MONOTONIC). Takes as long as max is. */
size_t bus_calls_recent(const BusCalls *s, size_t max, uint64_t *ret_oldest_usec);

/* message is one that a vtable's method was given. */
int bus_call_new(BusCalls *s, sd_bus_message *message, BusCall **ret);
/* Without an answer. */
BusCall *bus_call_free(BusCall *c);

sd_bus_message *bus_call_message(const BusCall *c);
Bus *bus_call_bus(const BusCall *c);
/* gone is called when the client leaves the bus. The call has not ended by that; gone may end it with
 * bus_call_free(). NULL: nothing is called. */
void bus_call_on_gone(BusCall *c, void (*gone)(BusCall *c, void *userdata), void *userdata);

/* Each of these answers the call and frees it. */
void bus_call_answer(BusCall *c, const Answer *answer);
void bus_call_refuse(BusCall *c, const char *error, const char *text);
void bus_call_refuse_errno(BusCall *c, int error);
/* types and values as for sd_bus_message_append(); "" is an empty answer. */
void bus_call_return(BusCall *c, const char *types, ...);
/* r: how the making of reply, a return of this call, went; the error is sent if it is negative. */
void bus_call_send(BusCall *c, sd_bus_message *reply, int r);
/* bus_call_answer() where there is only a message. */
int bus_answer(sd_bus_message *message, const Answer *answer);
