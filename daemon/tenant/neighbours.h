/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Notifies clients when other tenants change the strength of their reservations. */

#include <systemd/sd-event.h>

#include "daemon/loop/notify.h"
#include "policy/ledger.h"

typedef struct Neighbours Neighbours;

int neighbours_new(sd_event *event, const Ledger *ledger, const Notify *notify, Neighbours **ret);
Neighbours *neighbours_free(Neighbours *n);

/* Must be called when r was added to the ledger, removed from it, or resized. If r is not in the ledger, its
 * shares count as given up: resizes.c passes a temporary reservation with the nodes that were lost. Soon
 * emits NOTICE_RESERVATION_CHANGED for the reservations whose strength has changed. */
void neighbours_tell(Neighbours *n, const Reservation *r);
