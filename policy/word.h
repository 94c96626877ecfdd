/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Single words from files, command lines, annotations, and names of units and cgroups. */

#include <stdbool.h>
#include <stdint.h>

/* True if the word ends with the suffix and is longer than it. */
bool word_ends_with(const char *word, const char *suffix);
/* True if the path is `top` or below it. */
bool word_is_below(const char *path, const char *top);
/* True if the word matches the pattern, where a backslash quotes or is a character of the word. */
bool word_matches(const char *glob, const char *word);

/* The characters of unit names, and their longest length, as in systemd. */
#define WORD_UNIT_CHARS    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"
#define WORD_UNIT_NAME_MAX 255
/* True if the word consists of these and is not longer. The type (".service") is not looked at. */
bool word_is_unit_name(const char *word);

/* Returns the part of a cgroup's name (one component of a path) that is the name of its unit. If the kernel
 * could have a file with the name of the unit, systemd puts a '_' in front of the cgroup's name: the cgroup
 * of memory.service is _memory.service. */
const char *word_unit_of_name(const char *name);
/* The same for the last component of a path. */
const char *word_unit_of_path(const char *path);
/* Returns the text in front of the unit's name in the name of its cgroup: "_" or "". */
const char *word_unit_escape(const char *unit);

/* Parses a decimal number with an optional minus sign. -EINVAL, -ERANGE. */
int word_parse_number(const char *word, int64_t min, int64_t max, int64_t *ret);
/* Parses yes, true, on, 1 and their opposites. -EINVAL. */
int word_parse_bool(const char *word, bool *ret);
