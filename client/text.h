/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Strings that cdmctl did not make itself (unit names, reasons, file names) may hold anything: terminal
 * escapes, broken UTF-8, characters that turn the reading direction. Nothing of that reaches a terminal. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What is printed for a byte or character that must not be. */
#define TEXT_REPLACEMENT "?"

/* The length of the UTF-8 sequence that starts at s, 1 to 4, and its code point; 0 when it is not valid
 * (overlong forms, surrogates and numbers over U+10FFFF included). s must not point at the final NUL. */
size_t text_decode(const char *s, uint32_t *ret_code);

/* May a terminal see it? Not: C0 and C1 controls, DEL, line and paragraph separators, direction overrides.
 */
bool text_is_printable(uint32_t code);

/* A copy that is valid UTF-8 on one line: everything else is replaced, a byte or character each. Owned by
 * the caller; NULL when out of memory. */
char *text_sanitise(const char *s);

/* How many columns it takes on a terminal. The text is sanitised already. */
size_t text_width(const char *s);

/* A copy of at most `width` columns: what is too long loses its middle, in whose place there is a mark. Both
 * ends of a path say more than its middle. Owned by the caller; NULL when out of memory. */
char *text_cut(const char *s, size_t width);

/* Prints words in lines of at most `width` columns (0: one line), each after `indent` blanks but the first,
 * which starts where the caller left off at that column. */
void text_wrap(FILE *out, const char *s, size_t indent, size_t width);

/* A line of a list: left, then right in a column of its own that starts after `indent` columns, wrapped. Where
 * that leaves too little of the width, right starts on a line of its own. */
void text_entry(const char *left, const char *right, size_t indent, size_t width);

/* The width of the terminal on standard output, or of that on fd; 0: it is none. */
size_t text_terminal_width(void);
size_t text_width_of(int fd);
