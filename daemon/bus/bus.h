/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* cdmd on the bus: org.cdmd1 with its objects, one bus-*.c file each, and org.freedesktop.LogControl1. Every
 * method reads, refuses nonsense, authorises and hands over to the manager. Only these files reply to calls
 * and emit signals; what they emit signals of they are told by notify.h. */

#include <systemd/sd-bus.h>

#include "policy/macro.h"

typedef struct Book Book;

typedef struct Bus Bus;

/* Puts all objects on the bus; then the name can be asked for. */
int bus_new(sd_bus *bus, Book *book, Bus **ret);
/* Calls that wait get no answer. To be called before manager_free(), and nothing may be dispatched in
 * between. */
Bus *bus_free(Bus *b);
DEFINE_CLEANUP(Bus, bus_free);
int bus_request_name(sd_bus *bus);
