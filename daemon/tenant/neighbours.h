/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells clients that the strength of their reservations changed because others came or left. */

#include <systemd/sd-event.h>

#include "daemon/loop/notify.h"
#include "policy/ledger.h"

typedef struct Neighbours Neighbours;

int neighbours_new(sd_event *event, const Ledger *ledger, const Notify *notify, Neighbours **ret);
Neighbours *neighbours_free(Neighbours *n);

/* r came to its nodes, or has left them (then it is not in the ledger any more): NOTICE_RESERVATION_CHANGED is
 * told of those whose strength that changed, soon. */
void neighbours_tell(Neighbours *n, const Reservation *r);
