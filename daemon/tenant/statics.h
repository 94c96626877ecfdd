/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What Static= rules say for units that start. */

#include <stddef.h>
#include <stdint.h>

typedef struct Answer Answer;
typedef struct Book Book;
typedef struct GrantSet GrantSet;
typedef struct StaticSet StaticSet;
typedef struct UnitChecks UnitChecks;

int statics_new(Book *book, GrantSet *grants, UnitChecks *unit_checks, StaticSet **ret);
/* Nobody is answered any more. */
StaticSet *statics_free(StaticSet *s);

/* sender: the name on the bus of the one that asks. done is called once, perhaps at once, with the reservations that the
 * unit has then. */
typedef void (*static_done_t)(const Answer *answer, const uint32_t *ids, size_t n_ids, void *userdata);
void statics_reserve(StaticSet *s, const char *sender, const char *unit, static_done_t done, void *userdata);
/* Recovery is over: those that wait go on. */
void statics_serve(StaticSet *s);
