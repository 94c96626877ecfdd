/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages on stderr: sanitised, with a prefix on each line. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cdmctl.h"
#include "client/text.h"
#include "policy/cdm-names.h"
#include "policy/conf-text.h"

static const char *tell_program = "cdmctl";
static tell_also_t tell_also;
static const char *tell_verb;
static bool tell_offline;

static void print_lines(const char *prefix, const char *text)
{
        size_t width = text_width_of(STDERR_FILENO);

        while (*text) {
                size_t n = strcspn(text, "\n");
                _cleanup_free_ char *line = strndup(text, n);
                _cleanup_free_ char *clean = line ? text_sanitise(line) : NULL;

                if (n > 0) {
                        fputs(prefix, stderr);
                        text_wrap(stderr, clean ? clean : TEXT_REPLACEMENT, strlen(prefix), width);
                        if (tell_also)
                                tell_also(clean ? clean : TEXT_REPLACEMENT);
                }
                text += n + (text[n] == '\n');
        }
}

static _printf_(1, 0) void tell_complain(const char *format, va_list ap)
{
        _cleanup_free_ char *text = NULL;
        char prefix[64];

        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        snprintf(prefix, sizeof(prefix), "%s: ", tell_program);
        print_lines(prefix, text ? text : "out of memory");
}

int fail(int status, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        tell_complain(format, ap);
        va_end(ap);
        return status;
}

void note(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        tell_complain(format, ap);
        va_end(ap);
}

int usage_error(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        tell_complain(format, ap);
        va_end(ap);
        fprintf(stderr, "Try 'cdmctl %s%s--help'.\n", tell_verb ? tell_verb : "", tell_verb ? " " : "");
        return CDM_EXIT_USAGE;
}

void tell_set_program(const char *name, tell_also_t also)
{
        tell_program = name;
        tell_also = also;
}

void tell_set_verb(const char *verb, bool offline)
{
        tell_verb = verb;
        tell_offline = offline;
}

const char *tell_offline_hint(void)
{
        return tell_offline ? ", or add --offline" : "";
}

const char *did_you_mean(const char *word, const char *const *candidates, size_t n,
                         char buf[static DID_YOU_MEAN_MAX])
{
        const char *nearest = conf_text_nearest(word, candidates, n);

        buf[0] = '\0';
        if (nearest)
                snprintf(buf, DID_YOU_MEAN_MAX, "; did you mean '%s'?", nearest);
        return buf;
}

int printed(int r)
{
        if (r >= 0)
                return r;
        return fail(CDM_EXIT_FAILED, "cannot print the result: %s", strerror(-r));
}
