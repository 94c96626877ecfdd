/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of a table, for the files that print tables. */

#include <stdio.h>

#include "client/table.h"

typedef enum CellKind {
        CELL_NULL,
        CELL_STRING,
        CELL_BYTES,
        CELL_UNSIGNED,
        CELL_SIGNED,
        CELL_BOOL,
        CELL_TIME,
        CELL_NODES,
        CELL_SHARES,
        CELL_LABELS, /* a string: KEY=VALUE separated by tabs, which labels cannot contain */
} CellKind;

typedef struct Cell {
        CellKind kind;
        const char *color;
        uint64_t number; /* also the number of shares, and the bits of a signed number */
        union {
                char *string;
                NodeSet *nodes;
                Share *shares;
                void *owned;
        };
} Cell;

struct Table {
        const Column *columns;
        size_t n_columns;
        Cell *cells; /* row after row */
        size_t n_cells, n_allocated;
        size_t n_rows;
        const char *order; /* the order of the columns for people, or NULL */
        bool out_of_memory;
};

static inline const char *column_name(const Column *c)
{
        return c->title ? c->title : c->key;
}

/* The text for people. Owned by the caller; NULL: out of memory. */
char *cell_to_text(const Cell *c);

/* True if every row has all of its cells. */
bool table_is_complete(const Table *t);
