/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Values in the files of the store. */

#include <stdint.h>
#include <stdio.h>

#include "policy/label.h"

/* -EINVAL. */
int store_parse_u64(const char *s, uint64_t *ret);
int store_parse_u32(const char *s, uint32_t *ret);

/* KEY=VALUE and a line feed; nothing for NULL. Names may hold anything but NUL: a line feed, a backslash and what
 * is not printable are written as \xNN. */
void store_print_escaped(FILE *f, const char *key, const char *value);
/* -EINVAL, -ENOMEM. */
int store_unescape(const char *s, char **ret);

/* Nothing when there are none. */
void store_print_labels(FILE *f, const char *key, const Labels *labels);
int store_parse_labels(const char *s, Labels *ret);
