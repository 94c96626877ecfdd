/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon's warnings, and `cdmctl explain-warning`. */

#include "client/warnings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/table.h"
#include "client/text.h"
#include "policy/cdm-names.h"
#include "policy/warning.h"

void warning_list_clear(WarningList *l)
{
        for (size_t i = 0; i < l->n_items; i++) {
                free(l->items[i].name);
                free(l->items[i].text);
        }
        free(l->items);
        *l = (WarningList){ 0 };
}

int warning_list_add(WarningList *l, const char *name, bool fault, const char *text)
{
        void *items = reallocarray(l->items, l->n_items + 1, sizeof(*l->items));
        if (!items)
                return -ENOMEM;

        l->items = items;
        l->items[l->n_items].fault = fault;
        l->items[l->n_items].name = strdup(name);
        l->items[l->n_items].text = strdup(text);
        l->n_items++;
        return l->items[l->n_items - 1].name && l->items[l->n_items - 1].text ? 0 : -ENOMEM;
}

int warning_list_read(sd_bus *bus, WarningList *l, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;
        const char *name, *weight, *text;

        int r = sd_bus_get_property(bus, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "NamedWarnings",
                                    error, &m, "a(sss)");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "(sss)");
        while (r >= 0 && (r = sd_bus_message_read(m, "(sss)", &name, &weight, &text)) > 0)
                r = warning_list_add(l, name, strcmp(weight, "advice") != 0, text);
        return r;
}

static void print_some(const WarningList *l, bool faults, const char *heading, size_t width)
{
        bool any = false;

        for (size_t i = 0; i < l->n_items; i++) {
                _cleanup_free_ char *text = NULL, *name = NULL;

                if (l->items[i].fault != faults)
                        continue;
                name = text_sanitise(l->items[i].name);
                text = text_sanitise(l->items[i].text);
                if (!any)
                        printf("\n%s:\n", heading);
                any = true;
                printf("  %s\n    ", name ? name : TEXT_REPLACEMENT);
                text_wrap(stdout, text ? text : TEXT_REPLACEMENT, 4, width);
        }
}

void warning_list_print(const WarningList *l, bool full)
{
        size_t width = full ? 0 : text_terminal_width();

        print_some(l, true, "Faults", width);
        print_some(l, false, "Advice", width);
        if (l->n_items > 0) {
                putchar('\n');
                text_wrap(stdout, "`cdmctl explain-warning NAME` says what one means and what to do", 0,
                          width);
        }
}

void warning_list_print_json(const WarningList *l, Json *j)
{
        json_array_begin(j);
        for (size_t i = 0; i < l->n_items; i++) {
                json_object_begin(j);
                json_key(j, "name");
                json_string(j, l->items[i].name);
                json_key(j, "fault");
                json_bool(j, l->items[i].fault);
                json_key(j, "text");
                json_string(j, l->items[i].text);
                json_object_end(j);
        }
        json_array_end(j);
}

/* --- explain-warning ------------------------------------------------------------------------------------ */

static int list_warnings(const TableStyle *style)
{
        static const Column columns[] = {
                { "NAME", "name" },
                { "WEIGHT", "weight" },
                { NULL, "meaning" },
        };
        _cleanup_(table_free_p) Table *t = NULL;
        size_t n;
        const WarningInfo *all = warning_all(&n);

        int r = table_new(columns, ARRAY_SIZE(columns), &t);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                table_row(t);
                table_string(t, all[i].name);
                table_string(t, all[i].fault ? "fault" : "advice");
                table_string(t, all[i].meaning);
        }
        return printed(r < 0 ? r : table_print(t, style));
}

static void print_paragraphs(const char *text)
{
        size_t width = text_terminal_width();

        while (*text) {
                size_t n = strcspn(text, "\n");
                _cleanup_free_ char *paragraph = strndup(text, n);

                text_wrap(stdout, paragraph ? paragraph : "", 0, width);
                text += n + (text[n] == '\n');
        }
}

int verb_explain_warning(const Args *args)
{
        size_t n;
        const WarningInfo *all = warning_all(&n);

        if (args->n_positional == 0)
                return list_warnings(&args->style);

        const char *name = args->positional[0];
        const WarningInfo *w = warning_find(name);
        if (w && args->style.json == JSON_OFF) {
                printf("%s (%s)\n\n", w->name, w->fault ? "fault" : "advice");
                print_paragraphs(w->meaning);
                return CDM_EXIT_DONE;
        }
        if (w) {
                Json j = JSON_WRITER(stdout, args->style.json);

                json_object_begin(&j);
                json_key(&j, "name");
                json_string(&j, w->name);
                json_key(&j, "weight");
                json_string(&j, w->fault ? "fault" : "advice");
                json_key(&j, "meaning");
                json_string(&j, w->meaning);
                json_object_end(&j);
                json_finish(&j);
                return CDM_EXIT_DONE;
        }

        _cleanup_free_ const char **names = calloc(n, sizeof(*names));
        char hint[DID_YOU_MEAN_MAX] = "";
        for (size_t i = 0; names && i < n; i++)
                names[i] = all[i].name;
        if (names)
                did_you_mean(name, names, n, hint);
        return fail(CDM_EXIT_FAILED, "no warning is named '%s'%s", name,
                    *hint ? hint : "; `cdmctl explain-warning` lists them");
}
