/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reserves for units that start, as configured by Static= in rules. */

#include <stddef.h>
#include <stdint.h>

typedef struct Answer Answer;
typedef struct Book Book;
typedef struct GrantSet GrantSet;
typedef struct StaticSet StaticSet;
typedef struct UnitChecks UnitChecks;

int statics_new(Book *book, GrantSet *grants, UnitChecks *unit_checks, StaticSet **ret);
/* Pending calls get no answer. */
StaticSet *statics_free(StaticSet *s);

/* sender: the bus name of the caller. done is called once, perhaps before this returns, with all
 * reservations that the unit then has by Static=. */
typedef void (*static_done_t)(const Answer *answer, const uint32_t *ids, size_t n_ids, void *userdata);
void statics_reserve(StaticSet *s, const char *sender, const char *unit, static_done_t done, void *userdata);
/* Must be called when the recovery has completed: resumes the calls that wait. */
void statics_serve(StaticSet *s);
