/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/table-internal.h"
#include "client/text.h"
#include "policy/size.h"

int table_new(const Column *columns, size_t n_columns, Table **ret)
{
        Table *t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;

        t->columns = columns;
        t->n_columns = n_columns;
        *ret = t;
        return 0;
}

Table *table_free(Table *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_cells; i++)
                free(t->cells[i].owned);
        free(t->cells);
        free(t);
        return NULL;
}

void table_set_order(Table *t, const char *order)
{
        t->order = order;
}

void table_row(Table *t)
{
        /* Fill up an incomplete previous row with nulls. */
        while (!t->out_of_memory && t->n_cells < t->n_rows * t->n_columns)
                table_null(t);
        t->n_rows++;
}

static Cell *add_cell(Table *t, CellKind kind, uint64_t number)
{
        if (t->out_of_memory)
                return NULL;

        if (t->n_cells == t->n_allocated) {
                size_t n = t->n_allocated > 0 ? t->n_allocated * 2 : 64;
                Cell *cells = reallocarray(t->cells, n, sizeof(*cells));

                if (!cells) {
                        t->out_of_memory = true;
                        return NULL;
                }
                t->cells = cells;
                t->n_allocated = n;
        }

        Cell *c = &t->cells[t->n_cells++];
        *c = (Cell){ .kind = kind, .number = number };
        return c;
}

static void add_cell_owned(Table *t, CellKind kind, uint64_t number, const void *data, size_t size)
{
        Cell *c = add_cell(t, kind, number);
        if (!c)
                return;

        c->owned = malloc(size > 0 ? size : 1);
        if (!c->owned)
                t->out_of_memory = true;
        else if (size > 0)
                memcpy(c->owned, data, size);
}

void table_null(Table *t)
{
        (void)add_cell(t, CELL_NULL, 0);
}

void table_string(Table *t, const char *s)
{
        if (s)
                add_cell_owned(t, CELL_STRING, 0, s, strlen(s) + 1);
        else
                table_null(t);
}

void table_string_or_null(Table *t, const char *s)
{
        table_string(t, s && *s ? s : NULL);
}

void table_bytes(Table *t, uint64_t bytes)
{
        (void)add_cell(t, CELL_BYTES, bytes);
}

void table_unsigned(Table *t, uint64_t v)
{
        (void)add_cell(t, CELL_UNSIGNED, v);
}

void table_signed(Table *t, int64_t v)
{
        (void)add_cell(t, CELL_SIGNED, (uint64_t)v);
}

void table_bool(Table *t, bool v)
{
        (void)add_cell(t, CELL_BOOL, v);
}

void table_time(Table *t, uint64_t realtime_usec)
{
        (void)add_cell(t, CELL_TIME, realtime_usec);
}

void table_nodes(Table *t, const NodeSet *nodes)
{
        add_cell_owned(t, CELL_NODES, 0, nodes, sizeof(*nodes));
}

void table_shares(Table *t, const Share *shares, size_t n_shares)
{
        add_cell_owned(t, CELL_SHARES, n_shares, shares, n_shares * sizeof(*shares));
}

void table_labels(Table *t, const Labels *labels)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        for (size_t i = 0; f && i < labels->n; i++)
                fprintf(f, "%s%s=%s", i > 0 ? "\t" : "", labels->items[i].key, labels->items[i].value);
        if (!f || fclose(f) != 0)
                t->out_of_memory = true;
        else
                add_cell_owned(t, CELL_LABELS, 0, text, strlen(text) + 1);
        free(text);
}

void table_color(Table *t, const char *color)
{
        if (t->n_cells > 0)
                t->cells[t->n_cells - 1].color = color;
}

static void write_json_labels(const char *text, Json *j)
{
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy, *word;

        json_object_begin(j);
        while ((word = strsep(&rest, "\t")) && *word) {
                char *equals = strchr(word, '=');

                *equals = '\0';
                json_key(j, word);
                json_string(j, equals + 1);
        }
        json_object_end(j);
}

static void write_json(const Cell *c, Json *j)
{
        switch (c->kind) {
        case CELL_NULL:
                json_null(j);
                break;
        case CELL_STRING:
                json_string(j, c->string);
                break;
        case CELL_BYTES:
        case CELL_UNSIGNED:
                json_unsigned(j, c->number);
                break;
        case CELL_SIGNED:
                json_signed(j, (int64_t)c->number);
                break;
        case CELL_BOOL:
                json_bool(j, c->number != 0);
                break;
        case CELL_TIME:
                json_time(j, c->number);
                break;
        case CELL_NODES:
                json_nodes(j, c->nodes);
                break;
        case CELL_SHARES:
                json_array_begin(j);
                for (size_t i = 0; i < c->number; i++) {
                        json_object_begin(j);
                        json_key(j, "node");
                        json_signed(j, c->shares[i].node);
                        json_key(j, "size");
                        json_unsigned(j, c->shares[i].bytes);
                        json_object_end(j);
                }
                json_array_end(j);
                break;
        case CELL_LABELS:
                write_json_labels(c->string, j);
                break;
        }
}

static void write_shares(const Cell *c, FILE *out)
{
        char buf[SIZE_STR_MAX];

        for (size_t i = 0; i < c->number; i++)
                fprintf(out, "%s%d:%s", i > 0 ? " " : "", c->shares[i].node,
                        size_format(c->shares[i].bytes, buf));
        if (c->number == 0)
                fputc('-', out);
}

static void write_human(const Cell *c, FILE *out)
{
        char list[NODESET_STR_MAX], size[SIZE_STR_MAX], when[JSON_TIME_STR_MAX];
        _cleanup_free_ char *clean = NULL;
        const char *expires;

        switch (c->kind) {
        case CELL_NULL:
                fputc('-', out);
                break;
        case CELL_STRING:
                clean = text_sanitise(c->string);
                fputs(clean ? clean : TEXT_REPLACEMENT, out);
                break;
        case CELL_BYTES:
                fputs(size_format(c->number, size), out);
                break;
        case CELL_UNSIGNED:
                fprintf(out, "%" PRIu64, c->number);
                break;
        case CELL_SIGNED:
                fprintf(out, "%" PRId64, (int64_t)c->number);
                break;
        case CELL_BOOL:
                fputs(c->number ? "yes" : "no", out);
                break;
        case CELL_TIME:
                expires = json_time_format(c->number, when);
                fputs(expires ? expires : "never", out);
                break;
        case CELL_NODES:
                fputs(nodeset_is_empty(c->nodes) ? "-" : nodeset_format(c->nodes, list), out);
                break;
        case CELL_SHARES:
                write_shares(c, out);
                break;
        case CELL_LABELS:
                for (const char *s = c->string; *s; s++)
                        fputs(*s == '\t' ? ", " : (char[]){ *s, '\0' }, out);
                if (!*c->string)
                        fputc('-', out);
                break;
        }
}

char *cell_to_text(const Cell *c)
{
        char *text = NULL;
        size_t size;

        FILE *out = open_memstream(&text, &size);
        if (!out)
                return NULL;
        write_human(c, out);
        if (fclose(out) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

bool table_wants_color(void)
{
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

static void write_json_row(const Table *t, size_t row, Json *j)
{
        json_object_begin(j);
        for (size_t i = 0; i < t->n_columns; i++) {
                if (!t->columns[i].key)
                        continue;
                json_key(j, t->columns[i].key);
                write_json(&t->cells[row * t->n_columns + i], j);
        }
        json_object_end(j);
}

void table_print_json(const Table *t, Json *j)
{
        json_array_begin(j);
        for (size_t i = 0; !t->out_of_memory && (i + 1) * t->n_columns <= t->n_cells; i++)
                write_json_row(t, i, j);
        json_array_end(j);
}

bool table_is_complete(const Table *t)
{
        return !t->out_of_memory && t->n_cells == t->n_rows * t->n_columns;
}

int table_print_record(const Table *t, const TableStyle *style)
{
        if (!table_is_complete(t) || t->n_rows == 0)
                return -ENOMEM;

        if (style->json != JSON_OFF) {
                Json j = JSON_WRITER(stdout, style->json);
                write_json_row(t, 0, &j);
                json_finish(&j);
                return ferror(stdout) ? -EIO : 0;
        }

        int width = 0;
        for (size_t i = 0; i < t->n_columns; i++) {
                int n = (int)strlen(column_name(&t->columns[i]));
                width = n > width ? n : width;
        }
        for (size_t i = 0; i < t->n_columns; i++) {
                const char *name = column_name(&t->columns[i]);

                printf("%*s", width - (int)strlen(name), "");
                for (const char *c = name; *c; c++)
                        putchar(toupper((unsigned char)*c));
                fputs(": ", stdout);
                write_human(&t->cells[i], stdout);
                putchar('\n');
        }
        return ferror(stdout) ? -EIO : 0;
}
