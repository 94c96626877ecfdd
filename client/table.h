/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Rows of typed values with one description for two outputs: a table for people and JSON for programs. A
 * column without a title is in the JSON only, unless -o asks for it by its key. A column without a key is
 * only in the table.
 *
 * A table fits into the terminal: columns without any value are left out, and long values lose their middle.
 * If that is not enough, each row becomes lines of "TITLE: value". With --full, or if the output is no
 * terminal, nothing is cut or left out.
 *
 * Rows are filled in cell by cell, in the order of the columns. Running out of memory is recorded and
 * reported by table_print(), so that code which fills in rows is not cluttered with checks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/json.h"
#include "policy/label.h"
#include "policy/ledger.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct Column {
        const char *title;
        const char *key;
        bool right;
        bool cut;       /* may lose its middle on a narrow terminal */
        bool hide_zero; /* left out on a terminal if all values are 0 */
} Column;

typedef struct Table Table;

/* columns is borrowed and must outlive the table. -ENOMEM. */
int table_new(const Column *columns, size_t n_columns, Table **ret);
Table *table_free(Table *t);
DEFINE_CLEANUP(Table, table_free);

/* Sets the order of the columns for people, as names with commas; borrowed. JSON keeps its own order. */
void table_set_order(Table *t, const char *order);

void table_row(Table *t);
void table_null(Table *t);
void table_string(Table *t, const char *s);         /* NULL: null */
void table_string_or_null(Table *t, const char *s); /* "" also becomes null */
void table_bytes(Table *t, uint64_t bytes);
void table_unsigned(Table *t, uint64_t v);
void table_signed(Table *t, int64_t v);
void table_bool(Table *t, bool v);
void table_time(Table *t, uint64_t realtime_usec); /* UINT64_MAX: never, null */
void table_nodes(Table *t, const NodeSet *nodes);
void table_shares(Table *t, const Share *shares, size_t n_shares);
void table_labels(Table *t, const Labels *labels);
/* Sets the colour of the last cell: a colour name of libsmartcols ("red"); shown only on a terminal. */
void table_color(Table *t, const char *color);

typedef struct TableStyle {
        JsonMode json;
        bool legend;         /* headings */
        bool full;           /* nothing is cut or left out */
        bool quiet;          /* only results and errors */
        const char *columns; /* of -o: names with commas; NULL: the default columns */
} TableStyle;

/* Prints a table or a JSON array to stdout. -ENOMEM, -EIO. CDM_EXIT_USAGE, after the error was printed: -o
 * names a column that does not exist. */
int table_print(const Table *t, const TableStyle *style);
/* Prints only the first row, with all columns: "TITLE: value" lines, or one JSON object. */
int table_print_record(const Table *t, const TableStyle *style);
/* Writes all rows as an array within a document. */
void table_print_json(const Table *t, Json *j);

/* True if stdout is a terminal that shows colours, and NO_COLOR is not set. */
bool table_wants_color(void);
