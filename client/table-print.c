/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints tables for people; the only user of libsmartcols. libsmartcols cuts columns at their end, but a
 * path must be cut in its middle, so the widths are computed here. */

#include <ctype.h>
#include <errno.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/cdmctl.h"
#include "client/table-internal.h"
#include "client/text.h"
#include "policy/cdm-names.h"
#include "policy/conf-text.h"

#define COLUMNS_MAX 32
/* A shorter part of a value would be useless. */
#define CUT_WIDTH_MIN 12

/* The columns of a table that will be printed, as text. */
typedef struct View {
        const Table *t;
        size_t shown[COLUMNS_MAX]; /* indexes of columns */
        char *titles[COLUMNS_MAX];
        size_t widths[COLUMNS_MAX];
        size_t n_shown;
        char **texts; /* row after row */
} View;

static void view_clear(View *v)
{
        for (size_t i = 0; i < v->n_shown; i++)
                free(v->titles[i]);
        for (size_t i = 0; v->texts && i < v->t->n_rows * v->n_shown; i++)
                free(v->texts[i]);
        free(v->texts);
}

static const Cell *view_cell(const View *v, size_t row, size_t i)
{
        return &v->t->cells[row * v->t->n_columns + v->shown[i]];
}

/* --- which columns -------------------------------------------------------------------------------------- */

static bool column_is(const Column *c, const char *name)
{
        return (c->title && strcasecmp(c->title, name) == 0) || (c->key && strcasecmp(c->key, name) == 0);
}

static void view_add(View *v, size_t column)
{
        char *title = strdup(column_name(&v->t->columns[column]));

        for (char *c = title; c && *c; c++)
                *c = (char)toupper((unsigned char)*c);
        v->shown[v->n_shown] = column;
        v->titles[v->n_shown++] = title;
}

static int tell_no_column(const Table *t, const char *name)
{
        const char *names[COLUMNS_MAX];
        char list[512] = "";
        size_t n = 0, used = 0;

        for (size_t i = 0; i < t->n_columns && n < COLUMNS_MAX; i++) {
                names[n] = column_name(&t->columns[i]);
                int k = snprintf(list + used, sizeof(list) - used, "%s%s", n > 0 ? ", " : "", names[n]);

                used += k > 0 && (size_t)k < sizeof(list) - used ? (size_t)k : 0;
                n++;
        }
        const char *nearest = conf_text_nearest(name, names, n);
        if (nearest)
                return usage_error("no column '%s'; did you mean '%s'?", name, nearest);
        return usage_error("no column '%s'; there are %s", name, list);
}

/* 0 or CDM_EXIT_USAGE. */
static int view_choose(View *v, const char *names)
{
        _cleanup_free_ char *copy = strdup(names);
        char *save = NULL;

        if (!copy)
                return -ENOMEM;
        for (char *w = strtok_r(copy, ", ", &save); w; w = strtok_r(NULL, ", ", &save)) {
                size_t i = 0;

                while (i < v->t->n_columns && !column_is(&v->t->columns[i], w))
                        i++;
                if (i == v->t->n_columns)
                        return tell_no_column(v->t, w);
                if (v->n_shown == COLUMNS_MAX)
                        return usage_error("-o %s: at most %d columns", names, COLUMNS_MAX);
                view_add(v, i);
        }
        return v->n_shown > 0 ? 0
                              : usage_error("-o needs the names of columns, as in -o %s",
                                            column_name(&v->t->columns[0]));
}

static bool cell_is_empty(const Cell *c, const Column *column)
{
        switch (c->kind) {
        case CELL_NULL:
                return true;
        case CELL_BYTES:
                return column->hide_zero && c->number == 0;
        case CELL_NODES:
                return nodeset_is_empty(c->nodes);
        case CELL_TIME:
                return c->number == UINT64_MAX;
        case CELL_STRING:
        case CELL_UNSIGNED:
        case CELL_SIGNED:
        case CELL_BOOL:
        case CELL_SHARES:
        case CELL_LABELS:
                return false;
        }
        return false;
}

/* Keeps the first column, which names the row. */
static void view_drop_empty(View *v)
{
        size_t kept = 1;

        for (size_t i = 1; i < v->n_shown; i++) {
                bool empty = true;

                for (size_t row = 0; empty && row < v->t->n_rows; row++)
                        empty = cell_is_empty(view_cell(v, row, i), &v->t->columns[v->shown[i]]);
                if (empty) {
                        free(v->titles[i]);
                        continue;
                }
                v->shown[kept] = v->shown[i];
                v->titles[kept++] = v->titles[i];
        }
        v->n_shown = kept;
}

/* --- how wide ------------------------------------------------------------------------------------------- */

static int view_fill(View *v)
{
        v->texts = calloc(v->t->n_rows * v->n_shown, sizeof(*v->texts));
        if (!v->texts)
                return -ENOMEM;
        for (size_t i = 0; i < v->n_shown; i++) {
                if (!v->titles[i])
                        return -ENOMEM;
                v->widths[i] = text_width(v->titles[i]);
        }
        for (size_t row = 0; row < v->t->n_rows; row++)
                for (size_t i = 0; i < v->n_shown; i++) {
                        char *text = cell_to_text(view_cell(v, row, i));
                        if (!text)
                                return -ENOMEM;
                        v->texts[row * v->n_shown + i] = text;
                        size_t width = text_width(text);
                        v->widths[i] = width > v->widths[i] ? width : v->widths[i];
                }
        return 0;
}

/* Repeatedly shrinks the widest column that may be cut. False: the columns cannot fit. */
static bool view_fit(View *v, size_t terminal)
{
        size_t total = v->n_shown - 1;

        for (size_t i = 0; i < v->n_shown; i++)
                total += v->widths[i];
        while (total > terminal) {
                size_t widest = SIZE_MAX;

                for (size_t i = 0; i < v->n_shown; i++)
                        if (v->t->columns[v->shown[i]].cut && v->widths[i] > CUT_WIDTH_MIN &&
                            (widest == SIZE_MAX || v->widths[i] > v->widths[widest]))
                                widest = i;
                if (widest == SIZE_MAX)
                        return false;
                v->widths[widest]--;
                total--;
        }
        return true;
}

static int view_cut(View *v)
{
        for (size_t row = 0; row < v->t->n_rows; row++)
                for (size_t i = 0; i < v->n_shown; i++) {
                        char **text = &v->texts[row * v->n_shown + i];

                        if (text_width(*text) <= v->widths[i])
                                continue;
                        char *shorter = text_cut(*text, v->widths[i]);
                        if (!shorter)
                                return -ENOMEM;
                        free(*text);
                        *text = shorter;
                }
        return 0;
}

/* --- onto the terminal ---------------------------------------------------------------------------------- */

/* Prints each row as a paragraph. */
static int view_print_records(const View *v)
{
        size_t width = 0;

        for (size_t i = 0; i < v->n_shown; i++)
                width = text_width(v->titles[i]) > width ? text_width(v->titles[i]) : width;
        for (size_t row = 0; row < v->t->n_rows; row++) {
                if (row > 0)
                        putchar('\n');
                for (size_t i = 0; i < v->n_shown; i++)
                        printf("%*s: %s\n", (int)width, v->titles[i], v->texts[row * v->n_shown + i]);
        }
        return ferror(stdout) ? -EIO : 0;
}

static int fill_line(const View *v, size_t row, struct libscols_line *line)
{
        for (size_t i = 0; i < v->n_shown; i++) {
                const char *color = view_cell(v, row, i)->color;

                if (scols_line_set_data(line, i, v->texts[row * v->n_shown + i]) != 0)
                        return -ENOMEM;
                if (color && scols_cell_set_color(scols_line_get_cell(line, i), color) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int fill_table(const View *v, struct libscols_table *st)
{
        for (size_t i = 0; i < v->n_shown; i++)
                if (!scols_table_new_column(st, v->titles[i], 0,
                                            v->t->columns[v->shown[i]].right ? SCOLS_FL_RIGHT : 0))
                        return -ENOMEM;
        for (size_t row = 0; row < v->t->n_rows; row++) {
                struct libscols_line *line = scols_table_new_line(st, NULL);
                int r = line ? fill_line(v, row, line) : -ENOMEM;

                if (r < 0)
                        return r;
        }
        return 0;
}

static int view_print_table(const View *v, bool legend)
{
        struct libscols_table *st = scols_new_table();
        if (!st)
                return -ENOMEM;

        scols_table_enable_noheadings(st, !legend);
        scols_table_enable_colors(st, table_wants_color());

        int r = fill_table(v, st);
        if (r >= 0 && scols_print_table(st) != 0)
                r = -EIO;
        scols_unref_table(st);
        return r;
}

static int view_print(View *v, const TableStyle *style)
{
        size_t terminal = style->full ? 0 : text_terminal_width();
        int r = 0;

        if (style->columns)
                r = view_choose(v, style->columns);
        else if (v->t->order)
                r = view_choose(v, v->t->order);
        else
                for (size_t i = 0; i < v->t->n_columns && v->n_shown < COLUMNS_MAX; i++)
                        if (v->t->columns[i].title)
                                view_add(v, i);
        /* libsmartcols prints nothing for a table without lines. */
        if (r != 0 || v->t->n_rows == 0)
                return r;

        if (terminal > 0 && !style->columns)
                view_drop_empty(v);
        r = view_fill(v);
        if (r < 0)
                return r;
        if (terminal > 0 && !view_fit(v, terminal))
                return view_print_records(v);
        r = view_cut(v);
        return r < 0 ? r : view_print_table(v, style->legend);
}

static int view_print_human(const Table *t, const TableStyle *style)
{
        View v = { .t = t };

        int r = view_print(&v, style);
        view_clear(&v);
        return r;
}

int table_print(const Table *t, const TableStyle *style)
{
        if (!table_is_complete(t))
                return -ENOMEM;
        if (style->json == JSON_OFF)
                return view_print_human(t, style);

        Json j = JSON_WRITER(stdout, style->json);
        table_print_json(t, &j);
        json_finish(&j);
        return ferror(stdout) ? -EIO : 0;
}
