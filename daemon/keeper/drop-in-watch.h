/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The fence's drop-ins below /run, which others may change or remove. */

#include <stdbool.h>

#include "daemon/keeper/fights.h"

typedef struct Book Book;
typedef struct Reloads Reloads;

typedef struct DropInWatch DropInWatch;

/* look_at_all: called when no look is possible for now. */
int drop_in_watch_new(Book *book, Reloads *reloads, Fights *fights, void (*look_at_all)(void *userdata),
                      void *userdata, DropInWatch **ret);
DropInWatch *drop_in_watch_free(DropInWatch *d);
/* Looks at them when systemd has answered; they are written again, unless that is a fight. */
void drop_in_watch_look(DropInWatch *d);
/* Those that are there now are watched. */
void drop_in_watch_start(DropInWatch *d);
/* systemd reloads, or has ended that: then what was asked meanwhile may be lost. */
void drop_in_watch_systemd(DropInWatch *d, bool reloading);
