/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Formats and parses values in the files of the store. */

#include <stdint.h>
#include <stdio.h>

#include "policy/label.h"

/* These two fail with -EINVAL. */
int store_parse_u64(const char *s, uint64_t *ret);
int store_parse_u32(const char *s, uint32_t *ret);

/* Writes KEY=VALUE and a line feed; nothing if value is NULL. A value may contain any byte except NUL:
 * control characters and backslashes are written as \xNN. */
void store_print_escaped(FILE *f, const char *key, const char *value);
/* Fails with -EINVAL or -ENOMEM. */
int store_unescape(const char *s, char **ret);

/* Writes nothing if there are no labels. */
void store_print_labels(FILE *f, const char *key, const Labels *labels);
int store_parse_labels(const char *s, Labels *ret);
