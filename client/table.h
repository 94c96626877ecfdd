/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Rows of typed values with one description for both faces: a table for people (the only user of
 * libsmartcols) and JSON for programs. A column without a title is in the JSON only, one without a key only
 * in the table.
 *
 * Rows are filled in cell by cell, in the order of the columns. Running out of memory is remembered and told
 * by table_print(), so that code which fills in rows is not cluttered with checks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/json.h"
#include "policy/ledger.h"
#include "policy/macro.h"
#include "policy/nodeset.h"

typedef struct Column {
        const char *title;
        const char *key;
        bool right;
} Column;

typedef struct Table Table;

/* columns is borrowed and outlives the table. -ENOMEM. */
int table_new(const Column *columns, size_t n_columns, Table **ret);
Table *table_free(Table *t);
DEFINE_CLEANUP(Table, table_free);

void table_row(Table *t);
void table_null(Table *t);
void table_string(Table *t, const char *s);         /* NULL: null */
void table_string_or_null(Table *t, const char *s); /* "" as well */
void table_bytes(Table *t, uint64_t bytes);
void table_unsigned(Table *t, uint64_t v);
void table_signed(Table *t, int64_t v);
void table_bool(Table *t, bool v);
void table_time(Table *t, uint64_t realtime_usec); /* UINT64_MAX: never, null */
void table_nodes(Table *t, const NodeSet *nodes);
void table_shares(Table *t, const Share *shares, size_t n_shares);
/* For the cell just written: a name as libsmartcols knows them ("red"); shown only on a terminal. */
void table_color(Table *t, const char *color);

typedef struct TableStyle {
        JsonMode json;
        bool legend; /* headings */
} TableStyle;

/* Prints to stdout: a table, or a JSON array. Negative errno: -ENOMEM, -EIO. */
int table_print(const Table *t, const TableStyle *style);
/* The first row alone: "Title: value" lines, or one JSON object. */
int table_print_record(const Table *t, const TableStyle *style);
/* All rows as an array within a document. */
void table_print_json(const Table *t, Json *j);

/* Is stdout a terminal that wants colours (NO_COLOR is not set)? */
bool table_wants_color(void);
