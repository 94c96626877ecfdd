/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What all looks at drift share: whether there is a fence to look at, and how a drift came to be. */

#include <stdbool.h>

#include "policy/nodeset.h"

typedef struct Book Book;

/* Without a fence nobody is kept off anything; before the start has settled it the fence is worked on. */
bool drift_is_fenced(const Book *book);
/* Is there a fence that stays as it is for now? */
bool drift_can_look(const Book *book);
/* What was found, and how it came to be as far as anybody can know; owned by the caller. unit may be NULL. */
char *drift_reason(Book *book, const char *unit, const NodeSet *found);
