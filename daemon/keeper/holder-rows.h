/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The rows of one look at all holders. */

#include "daemon/kernel/observe.h"

typedef struct Book Book;
typedef struct BufferSet BufferSet;
typedef struct HoldSet HoldSet;

typedef struct HolderRow {
        NumaBytes bytes;
        const char *cgroup; /* of the observation */
        char *unit;         /* NULL: none */
        const char *kind;
        char *name; /* NULL: none */
} HolderRow;

typedef struct HolderRows HolderRows;

/* Of an observation, with one unit a holder (NULL where not known) and one Unattributed a node. All three
 * have to outlive the rows. The observation's bytes get less by what cdmd itself keeps. */
int holder_rows_new(Book *book, const BufferSet *buffers, const HoldSet *holds, Observation *o,
                    char *const *units, const Unattributed *unattributed, HolderRows **ret);
HolderRows *holder_rows_free(HolderRows *rows);
DEFINE_CLEANUP(HolderRows, holder_rows_free);

/* Makes the next rows: a slice of work for one turn of the event loop. 1: all are made. */
int holder_rows_make(HolderRows *rows);
const HolderRow *holder_rows(const HolderRows *rows, size_t *ret_n);
