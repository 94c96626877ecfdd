/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Options that choose among reservations, and what to say where a name does not exist. Functions return 0 or
 * an exit status, after they have told the user. */

#include "client/cdmctl.h"
#include "client/objects.h"

/* By name or number. A user that does not exist is CDM_EXIT_FAILED. */
int filter_find_user(const char *user, uint32_t *ret);
int filter_from_args(const Args *args, ReservationFilter *ret);
/* Nothing was found: that is no failure, unless --pool names a pool that does not exist. */
int filter_tell_none(sd_bus *bus, const Args *args);

/* "no pool 'X'", with the pool that was probably meant. CDM_EXIT_FAILED. */
int no_such_pool(const Objects *o, const char *pool);

/* After a request failed: notes the pool or the unit that was probably meant, where the one given does not
 * exist. */
void hint_at_names(sd_bus *bus, const char *pool, const char *unit);
