/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Strings from elsewhere (unit names, reasons, file names) may contain anything: terminal escapes, broken
 * UTF-8, characters that change the reading direction. These functions keep such bytes off the terminal. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Replaces a byte or character that must not be printed. */
#define TEXT_REPLACEMENT "?"

/* The length of the UTF-8 sequence that starts at s, 1 to 4, and its code point; 0 when it is not valid
 * (overlong forms, surrogates and numbers over U+10FFFF included). s must not point at the final NUL. */
size_t text_decode(const char *s, uint32_t *ret_code);

/* False for C0 and C1 controls, DEL, line and paragraph separators, direction overrides. */
bool text_is_printable(uint32_t code);

/* Returns a copy that is valid UTF-8 on one line: every other byte or character is replaced. Owned by the
 * caller; NULL when out of memory. */
char *text_sanitise(const char *s);

/* The number of columns on a terminal. The text must be sanitised. */
size_t text_width(const char *s);

/* Returns a copy of at most `width` columns. A mark replaces the middle of a longer text: both ends of a
 * path say more than its middle. Owned by the caller; NULL when out of memory. */
char *text_cut(const char *s, size_t width);

/* Prints words in lines of at most `width` columns (0: one line). Each line after the first is indented by
 * `indent` blanks; the caller has already moved to that column on the first line. */
void text_wrap(FILE *out, const char *s, size_t indent, size_t width);

/* Prints an entry of a list: left, then right, wrapped, in a column that starts after `indent` columns. If
 * that leaves too little of the width, right starts on a line of its own. */
void text_entry(const char *left, const char *right, size_t indent, size_t width);

/* The width of the terminal on standard output, or on fd; 0: no terminal. */
size_t text_terminal_width(void);
size_t text_width_of(int fd);
