/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Time spans as in systemd.time(7): "90s", "1h 30min", "2d", "infinity"; a bare number is seconds. */

#include <stddef.h>
#include <stdint.h>

#define TIMESPAN_INFINITY UINT64_MAX
#define TIMESPAN_STR_MAX  64

/* -EINVAL: not a time span; -ERANGE: more microseconds than fit. Only "infinity" yields
 * TIMESPAN_INFINITY. */
int timespan_parse(const char *text, uint64_t *ret_usec);

/* "1h 30min", "500ms", "infinity"; at most three units. Returns buf. */
const char *timespan_format(uint64_t usec, char buf[static TIMESPAN_STR_MAX]);
