/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A method call that is answered later, by a callback of the part of the daemon that works on it. The call
 * is answered once, and freed with the answer. A client that has left the bus gets no answer, but the work
 * for it continues unless a bus_call_on_gone() callback stops it. */

#include <stdint.h>
#include <systemd/sd-bus.h>

typedef struct Answer Answer;
typedef struct Peers Peers;

typedef struct Bus Bus;
typedef struct BusCalls BusCalls;
typedef struct BusCall BusCall;

int bus_calls_new(Bus *b, Peers *peers, BusCalls **ret);
/* Pending calls get no answer. */
BusCalls *bus_calls_free(BusCalls *s);

/* ended is called after each call that ends; it may be NULL. */
void bus_calls_on_end(BusCalls *s, void (*ended)(void *userdata), void *userdata);
/* Counts the pending calls, but at most the newest `max` of them; *ret_oldest_usec: when the oldest counted
 * call was made (CLOCK_MONOTONIC). Takes O(max) time. */
size_t bus_calls_recent(const BusCalls *s, size_t max, uint64_t *ret_oldest_usec);

/* message: the method call that sd-bus passed to the vtable's method. */
int bus_call_new(BusCalls *s, sd_bus_message *message, BusCall **ret);
/* Frees the call without an answer. */
BusCall *bus_call_free(BusCall *c);

sd_bus_message *bus_call_message(const BusCall *c);
Bus *bus_call_bus(const BusCall *c);
/* gone is called when the client leaves the bus; it may be NULL. The call does not end then, but gone may
 * end it with bus_call_free(). */
void bus_call_on_gone(BusCall *c, void (*gone)(BusCall *c, void *userdata), void *userdata);

/* Each of these answers the call and frees it. */
void bus_call_answer(BusCall *c, const Answer *answer);
void bus_call_refuse(BusCall *c, const char *error, const char *text);
void bus_call_refuse_errno(BusCall *c, int error);
/* types and values as for sd_bus_message_append(); "" is an empty answer. */
void bus_call_return(BusCall *c, const char *types, ...);
/* Sends reply, a method return for this call. r: the result of building the reply; if negative, this error
 * is sent instead. */
void bus_call_send(BusCall *c, sd_bus_message *reply, int r);
/* Like bus_call_answer(), for a message without a BusCall. */
int bus_answer(sd_bus_message *message, const Answer *answer);
