/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is fought over: a tenant's nodes, a leaf without a reservation, the controllers that a slice enables,
 * the drop-ins. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/fence/fence-names.h"
#include "policy/fight.h"
#include "policy/macro.h"

typedef struct Book Book;
typedef struct Degrades Degrades;

typedef enum PlaceKind { PLACE_TENANT, PLACE_LEAF, PLACE_CONTROLLERS, PLACE_DROPINS } PlaceKind;

typedef struct Fights Fights;

/* It is time to look at the place again. key: tenant, cgroup, cgroup.subtree_control of one, or a name. */
typedef void (*fights_look_t)(PlaceKind kind, const char *key, void *userdata);

int fights_new(Book *book, Degrades *degrades, fights_look_t look, void *userdata, Fights **ret);
Fights *fights_free(Fights *f);
DEFINE_CLEANUP(Fights, fights_free);

/* After a look at it, what is to be done. reason: what is not as wanted; NULL when it is. */
FightAction fights_judge(Fights *f, PlaceKind kind, const char *key, const char *reason);
/* Of this kind all but these are as wanted. */
void fights_settle(Fights *f, PlaceKind kind, const FenceNames *but);
/* The fence has closed it. */
void fights_note_repaired(Fights *f, const char *key);
uint64_t fights_repaired_usec(Fights *f, const char *key);
/* It was to be repaired, and could not be. */
void fights_note_failed(Fights *f, const char *key);
/* It is not there any more. */
void fights_forget(Fights *f, const char *key);
/* What was found there the last time; NULL: nothing. */
const char *fights_reason(Fights *f, const char *key);
/* reason may be NULL. */
typedef void (*fights_fn_t)(const char *key, uint32_t n_repairs, const char *reason, void *userdata);
void fights_foreach(Fights *f, fights_fn_t fn, void *userdata);

/* How often something was repaired since the start. */
void fights_count_repair(Fights *f);
uint64_t fights_n_repairs(const Fights *f);
