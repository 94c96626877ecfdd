/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by all checks for drift: is a fence in force, and what caused the drift. */

#include <stdbool.h>

#include "policy/nodeset.h"

typedef struct Book Book;

/* True if a fence is in force and the start has completed. */
bool drift_is_fenced(const Book *book);
/* True if a fence is in force and is not being changed right now. */
bool drift_can_look(const Book *book);
/* A text with the nodes that were found and the likely cause; owned by the caller. unit may be NULL. */
char *drift_reason(Book *book, const char *unit, const NodeSet *found);
/* The same for a slice that leaves no ordinary node to its units, and says so. */
char *drift_slice_reason(Book *book, const char *slice, const NodeSet *found);
