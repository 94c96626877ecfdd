/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Options that choose reservations, and messages for names that do not exist. Functions return 0, or an exit
 * status after they have printed the error. */

#include "client/cdmctl.h"
#include "client/objects.h"

/* Finds a user by name or number. CDM_EXIT_FAILED: no such user. */
int filter_find_user(const char *user, uint32_t *ret);
int filter_from_args(const Args *args, ReservationFilter *ret);
/* Called when no reservation was found. That is no failure, unless --pool names a pool that does not
 * exist. */
int filter_tell_none(sd_bus *bus, const Args *args);

/* Prints "no pool 'X'", with the pool that was probably meant. Returns CDM_EXIT_FAILED. */
int no_such_pool(const Objects *o, const char *pool);

/* Called after a request failed. Prints the pool or unit that was probably meant, if the given one does not
 * exist. */
void hint_at_names(sd_bus *bus, const char *pool, const char *unit);
