/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "client/json.h"
#include "client/text.h"
#include "policy/macro.h"

static const char *const json_mode_table[_JSON_MODE_MAX] = {
        [JSON_OFF] = "off",
        [JSON_SHORT] = "short",
        [JSON_PRETTY] = "pretty",
};

const char *json_mode_to_string(JsonMode v)
{
        return (unsigned)v < _JSON_MODE_MAX ? json_mode_table[v] : NULL;
}

int json_mode_from_string(const char *s, JsonMode *ret)
{
        for (unsigned i = 0; i < _JSON_MODE_MAX; i++) {
                if (strcmp(json_mode_table[i], s) == 0) {
                        *ret = (JsonMode)i;
                        return 0;
                }
        }
        return -EINVAL;
}

static void new_line(Json *j)
{
        if (!j->pretty)
                return;
        fputc('\n', j->out);
        for (unsigned i = 0; i < j->depth; i++)
                fputs("  ", j->out);
}

/* Writes what precedes a value or a key: a comma, a new line, or nothing. */
static void json_separate(Json *j)
{
        if (j->after_key) {
                j->after_key = false;
                return;
        }
        if (j->comma)
                fputc(',', j->out);
        if (j->depth > 0)
                new_line(j);
        j->comma = true;
}

static void open_level(Json *j, char bracket)
{
        json_separate(j);
        fputc(bracket, j->out);
        j->depth++;
        j->comma = false;
}

static void close_level(Json *j, char bracket)
{
        j->depth--;
        if (j->comma)
                new_line(j);
        fputc(bracket, j->out);
        j->comma = true;
}

void json_object_begin(Json *j)
{
        open_level(j, '{');
}

void json_object_end(Json *j)
{
        close_level(j, '}');
}

void json_array_begin(Json *j)
{
        open_level(j, '[');
}

void json_array_end(Json *j)
{
        close_level(j, ']');
}

static void write_escaped(FILE *out, uint32_t code)
{
        switch (code) {
        case '"':
                fputs("\\\"", out);
                break;
        case '\\':
                fputs("\\\\", out);
                break;
        case '\n':
                fputs("\\n", out);
                break;
        case '\t':
                fputs("\\t", out);
                break;
        default: /* unprintable characters are below U+10000 and need no surrogate pairs */
                fprintf(out, "\\u%04" PRIx32, code);
        }
}

static void write_string(FILE *out, const char *s)
{
        fputc('"', out);
        while (*s) {
                uint32_t code;
                size_t n = text_decode(s, &code);

                if (n == 0) {
                        fputs("\\ufffd", out);
                        s++;
                        continue;
                }
                if (code == '"' || code == '\\' || !text_is_printable(code))
                        write_escaped(out, code);
                else
                        fwrite(s, 1, n, out);
                s += n;
        }
        fputc('"', out);
}

void json_key(Json *j, const char *key)
{
        json_separate(j);
        write_string(j->out, key);
        fputs(j->pretty ? ": " : ":", j->out);
        j->after_key = true;
}

void json_null(Json *j)
{
        json_separate(j);
        fputs("null", j->out);
}

void json_bool(Json *j, bool v)
{
        json_separate(j);
        fputs(v ? "true" : "false", j->out);
}

void json_unsigned(Json *j, uint64_t v)
{
        json_separate(j);
        fprintf(j->out, "%" PRIu64, v);
}

void json_signed(Json *j, int64_t v)
{
        json_separate(j);
        fprintf(j->out, "%" PRId64, v);
}

void json_string(Json *j, const char *s)
{
        if (!s) {
                json_null(j);
                return;
        }
        json_separate(j);
        write_string(j->out, s);
}

void json_nodes(Json *j, const NodeSet *nodes)
{
        json_array_begin(j);
        NODESET_FOREACH (node, nodes)
                json_signed(j, node);
        json_array_end(j);
}

void json_finish(Json *j)
{
        fputc('\n', j->out);
        j->comma = false;
}

const char *json_time_format(uint64_t realtime_usec, char buf[static JSON_TIME_STR_MAX])
{
        struct tm tm;
        time_t seconds = (time_t)(realtime_usec / 1000000);

        if (realtime_usec == UINT64_MAX || !gmtime_r(&seconds, &tm) || tm.tm_year > 9999 - 1900)
                return NULL;
        return strftime(buf, JSON_TIME_STR_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0 ? buf : NULL;
}

void json_time(Json *j, uint64_t realtime_usec)
{
        char buf[JSON_TIME_STR_MAX];

        json_string(j, json_time_format(realtime_usec, buf));
}
