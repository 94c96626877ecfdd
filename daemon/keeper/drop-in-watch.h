/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Watches the fence's drop-ins below /run, which other programs may change or remove. */

#include <stdbool.h>

#include "daemon/keeper/fights.h"

typedef struct Book Book;
typedef struct Reloads Reloads;

typedef struct DropInWatch DropInWatch;

/* look_at_all: called if no check is possible right now. */
int drop_in_watch_new(Book *book, Reloads *reloads, Fights *fights, void (*look_at_all)(void *userdata),
                      void *userdata, DropInWatch **ret);
DropInWatch *drop_in_watch_free(DropInWatch *d);
/* Checks the drop-ins once systemd has answered. Writes missing or changed drop-ins again, unless they are
 * fought over. */
void drop_in_watch_look(DropInWatch *d);
/* Watches the directories of drop-ins that exist now. */
void drop_in_watch_start(DropInWatch *d);
/* Must be called when systemd begins or ends a reload. A call to systemd that is in flight at the end of a
 * reload may be lost, and is cancelled. */
void drop_in_watch_systemd(DropInWatch *d, bool reloading);
