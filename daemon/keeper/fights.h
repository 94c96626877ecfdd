/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Keeps track of objects that another program changes again and again: a tenant's nodes, a leaf without a
 * reservation, the controllers that a slice enables, the drop-ins. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/fence/fence-names.h"
#include "policy/fight.h"
#include "policy/macro.h"

typedef struct Book Book;
typedef struct Degrades Degrades;

typedef enum PlaceKind { PLACE_TENANT, PLACE_LEAF, PLACE_CONTROLLERS, PLACE_DROPINS } PlaceKind;

typedef struct Fights Fights;

/* Called when it is time to check the place again. key: a tenant, a cgroup, a cgroup.subtree_control file,
 * or a name. */
typedef void (*fights_look_t)(PlaceKind kind, const char *key, void *userdata);

int fights_new(Book *book, Degrades *degrades, fights_look_t look, void *userdata, Fights **ret);
Fights *fights_free(Fights *f);
DEFINE_CLEANUP(Fights, fights_free);

/* Must be called after each check of a place; returns what to do. reason: the drift that was found; NULL:
 * none. */
FightAction fights_judge(Fights *f, PlaceKind kind, const char *key, const char *reason);
/* Must be called if a check found no drift at any place of this kind except `but`. */
void fights_settle(Fights *f, PlaceKind kind, const FenceNames *but);
/* Must be called when the fence has closed the place. */
void fights_note_repaired(Fights *f, const char *key);
uint64_t fights_repaired_usec(Fights *f, const char *key);
/* Must be called when a repair of the place failed. */
void fights_note_failed(Fights *f, const char *key);
/* Must be called when the place does not exist any more. */
void fights_forget(Fights *f, const char *key);
/* Must be called when there is no fence any more: forgets all places except those of tenants. */
void fights_forget_fence(Fights *f);
/* The reason of the last drift at the place; NULL: none. */
const char *fights_reason(Fights *f, const char *key);
/* reason may be NULL. */
typedef void (*fights_fn_t)(const char *key, uint32_t n_repairs, const char *reason, void *userdata);
void fights_foreach(Fights *f, fights_fn_t fn, void *userdata);

/* Count and return the number of repairs since the start of cdmd. */
void fights_count_repair(Fights *f);
uint64_t fights_n_repairs(const Fights *f);
