/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The rows of one reply to ListHolders(). */

#include "daemon/kernel/observe.h"

typedef struct Book Book;
typedef struct BufferSet BufferSet;
typedef struct HoldSet HoldSet;

typedef struct HolderRow {
        NumaBytes bytes;
        const char *cgroup; /* owned by the observation */
        char *unit;         /* NULL: none */
        const char *kind;
        char *name; /* NULL: none */
} HolderRow;

typedef struct HolderRows HolderRows;

/* units: one for each holder of the observation, NULL where not known. unattributed: one for each node. All
 * three must outlive the rows. The bytes that cdmd itself keeps are subtracted from the observation. */
int holder_rows_new(Book *book, const BufferSet *buffers, const HoldSet *holds, Observation *o,
                    char *const *units, const Unattributed *unattributed, HolderRows **ret);
HolderRows *holder_rows_free(HolderRows *rows);
DEFINE_CLEANUP(HolderRows, holder_rows_free);

/* Makes the next rows: a slice of work for one iteration of the event loop. 1: all rows are made. */
int holder_rows_make(HolderRows *rows);
const HolderRow *holder_rows(const HolderRows *rows, size_t *ret_n);
