/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lists the cgroups that have pages on CDM nodes. */

#include "daemon/keeper/holder-rows.h"

typedef struct BufferSet BufferSet;
typedef struct HoldSet HoldSet;
typedef struct HolderSet HolderSet;

int holders_new(Book *book, const BufferSet *buffers, const HoldSet *holds, HolderSet **ret);
/* The callback of a listing in flight is not called. */
HolderSet *holders_free(HolderSet *s);
/* -EBUSY: another listing is in flight. done is called later, with a negative errno, or with rows that stay
 * valid until holders_end(). */
typedef void (*holders_done_t)(int error, const HolderRow *rows, size_t n_rows, void *userdata);
int holders_look(HolderSet *s, holders_done_t done, void *userdata);
void holders_end(HolderSet *s);
