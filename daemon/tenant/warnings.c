/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/tenant/warnings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop/log.h"

struct Warnings {
        WarningText *all;
        size_t n;
};

int warnings_new(Warnings **ret)
{
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
}

Warnings *warnings_free(Warnings *w)
{
        if (!w)
                return NULL;
        warnings_clear(w, NULL);
        free(w->all);
        free(w);
        return NULL;
}

const WarningText *warnings_get(const Warnings *w, size_t *ret_n)
{
        *ret_n = w->n;
        return w->all;
}

void warnings_clear(Warnings *w, const char *but)
{
        size_t n = 0;

        for (size_t i = 0; i < w->n; i++)
                if (but && strcmp(w->all[i].name, but) == 0)
                        w->all[n++] = w->all[i];
                else
                        free(w->all[i].text);
        w->n = n;
}

void warnings_add(Warnings *w, const char *name, const char *format, ...)
{
        char *text;
        va_list ap;

        va_start(ap, format);
        int r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return;
        /* The fence closes again whenever nodes come or go, and adds the same warnings each time. */
        for (size_t i = 0; i < w->n; i++)
                if (strcmp(w->all[i].text, text) == 0) {
                        free(text);
                        return;
                }
        log_warning("%s", text);
        WarningText *all = reallocarray(w->all, w->n + 1, sizeof(*all));
        if (!all) {
                free(text);
                return;
        }
        w->all = all;
        all[w->n++] = (WarningText){ name, text };
}

void warnings_remove(Warnings *w, const char *text)
{
        for (size_t i = 0; i < w->n; i++) {
                if (strcmp(w->all[i].text, text) != 0)
                        continue;
                free(w->all[i].text);
                w->n--;
                memmove(&w->all[i], &w->all[i + 1], (w->n - i) * sizeof(*w->all));
                return;
        }
}
