/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "client/text.h"
#include "policy/macro.h"

/* The indentation of a text that starts below its name. */
#define ENTRY_INDENT 6

static size_t sequence_length(unsigned char lead, uint32_t *ret_bits)
{
        if (lead < 0x80) {
                *ret_bits = lead;
                return 1;
        }
        if (lead >= 0xc2 && lead < 0xe0) {
                *ret_bits = lead & 0x1f;
                return 2;
        }
        if (lead >= 0xe0 && lead < 0xf0) {
                *ret_bits = lead & 0x0f;
                return 3;
        }
        if (lead >= 0xf0 && lead < 0xf5) {
                *ret_bits = lead & 0x07;
                return 4;
        }
        return 0;
}

size_t text_decode(const char *s, uint32_t *ret_code)
{
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        uint32_t code;

        size_t n = sequence_length((unsigned char)s[0], &code);

        /* NUL is no continuation byte, so this stops at the end of a truncated string. */
        for (size_t i = 1; i < n; i++) {
                unsigned char c = (unsigned char)s[i];

                if ((c & 0xc0) != 0x80)
                        return 0;
                code = code << 6 | (c & 0x3f);
        }

        if (n == 0 || code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
                return 0;

        *ret_code = code;
        return n;
}

bool text_is_printable(uint32_t code)
{
        if (code < 0x20 || (code >= 0x7f && code < 0xa0))
                return false;
        if (code == 0x200e || code == 0x200f || code == 0x061c) /* direction marks */
                return false;
        if (code >= 0x2028 && code <= 0x202e) /* separators, embeddings and overrides */
                return false;
        return code < 0x2066 || code > 0x2069; /* isolates */
}

char *text_sanitise(const char *s)
{
        /* The replacement is never longer than the character. */
        char *copy = malloc(strlen(s) + 1);
        if (!copy)
                return NULL;

        char *out = copy;
        while (*s) {
                uint32_t code;
                size_t n = text_decode(s, &code);

                if (n > 0 && text_is_printable(code)) {
                        out = mempcpy(out, s, n);
                } else {
                        out = mempcpy(out, TEXT_REPLACEMENT, sizeof(TEXT_REPLACEMENT) - 1);
                }
                s += n > 0 ? n : 1;
        }
        *out = '\0';
        return copy;
}

/* Returns the bytes of the character at s, and its columns. An invalid byte counts as one column. */
static size_t text_step(const char *s, size_t *ret_columns)
{
        uint32_t code;
        size_t n = text_decode(s, &code);
        int columns = n > 0 ? wcwidth((wchar_t)code) : 1;

        *ret_columns = columns < 0 ? 1 : (size_t)columns;
        return n > 0 ? n : 1;
}

size_t text_width(const char *s)
{
        size_t width = 0, columns;

        while (*s) {
                s += text_step(s, &columns);
                width += columns;
        }
        return width;
}

char *text_cut(const char *s, size_t width)
{
        const char *mark = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? "\u2026" : "..";
        size_t whole = text_width(s), mark_width = mark[0] == '.' ? 2 : 1, columns, n, used = 0;

        if (whole <= width || width < mark_width)
                return strdup(s);

        const char *head = s, *tail = s;
        while (used + (n = text_step(head, &columns), columns) <= (width - mark_width) / 2) {
                used += columns;
                head += n;
        }
        size_t room = width - mark_width - used;
        for (size_t left = whole; left > room; left -= columns)
                tail += text_step(tail, &columns);

        size_t size = (size_t)(head - s) + strlen(mark) + strlen(tail) + 1;
        char *copy = malloc(size);
        if (copy)
                snprintf(copy, size, "%.*s%s%s", (int)(head - s), s, mark, tail);
        return copy;
}

void text_wrap(FILE *out, const char *s, size_t indent, size_t width)
{
        size_t column = indent;

        while (*s) {
                size_t n = strcspn(s, " ");
                _cleanup_free_ char *word = strndup(s, n);
                size_t word_width = word ? text_width(word) : n;

                if (column > indent && width > 0 && column + 1 + word_width > width) {
                        fprintf(out, "\n%*s", (int)indent, "");
                        column = indent;
                } else if (column > indent) {
                        fputc(' ', out);
                        column++;
                }
                fwrite(s, 1, n, out);
                column += word_width;
                s += n + (s[n] == ' ');
        }
        fputc('\n', out);
}

void text_entry(const char *left, const char *right, size_t indent, size_t width)
{
        int n = printf("%s", left);

        if (indent > width / 2 || n < 0 || (size_t)n >= indent) {
                indent = indent > width / 2 ? ENTRY_INDENT : indent;
                printf("\n%*s", (int)indent, "");
        } else {
                printf("%*s", (int)indent - n, "");
        }
        text_wrap(stdout, right, indent, width);
}

size_t text_width_of(int fd)
{
        const char *columns = getenv("COLUMNS");
        struct winsize size;

        if (!isatty(fd))
                return 0;
        if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
                return size.ws_col;
        unsigned long n = columns ? strtoul(columns, NULL, 10) : 0;
        return n > 0 && n < 10000 ? n : 80;
}

size_t text_terminal_width(void)
{
        return text_width_of(STDOUT_FILENO);
}
