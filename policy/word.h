/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Single words, wherever they come from: files, command lines, annotations, names of units and cgroups. */

#include <stdbool.h>
#include <stdint.h>

/* Does it end with the suffix, behind something else? */
bool word_ends_with(const char *word, const char *suffix);
/* Is the path that of this cgroup or directory, or below it? */
bool word_is_below(const char *path, const char *top);

/* A decimal number, a minus in front or not, and nothing else. -EINVAL, -ERANGE. */
int word_parse_number(const char *word, int64_t min, int64_t max, int64_t *ret);
/* yes, true, on, 1 and their opposites. -EINVAL. */
int word_parse_bool(const char *word, bool *ret);
