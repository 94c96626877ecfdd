/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The bases of reservations, the ordinary nodes of their cgroups, follow the set of ordinary nodes. */

#include "policy/nodeset.h"

typedef struct Bases Bases;
typedef struct Book Book;

int bases_new(Book *book, Bases **ret);
/* Stores the bases that are not stored yet. */
Bases *bases_free(Bases *b);
/* Must be called when the pools were replaced. before: the ordinary nodes of the previous pools. A unit that
 * could use all of them before its first grant has all ordinary nodes as its base from now on. The new bases
 * are stored in slices. */
void bases_follow(Bases *b, const NodeSet *before);
