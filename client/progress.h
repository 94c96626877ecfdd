/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The progress line of a drain on a terminal: bytes left, rate and remaining time. */

#include <stdbool.h>
#include <stdint.h>

#include "client/cdmctl.h"

typedef struct Progress {
        uint64_t begin_usec; /* CLOCK_MONOTONIC, when the first line was shown */
        uint64_t begin_bytes;
        bool shown;
} Progress;

/* True if stderr is a terminal and --quiet is not given. */
bool progress_is_wanted(const TableStyle *style);
/* "WHAT: 48M of 64M left, 1.2G/s, 3s to go". */
void progress_show(Progress *p, const char *what, uint64_t left_bytes, uint64_t total_bytes);
void progress_clear(Progress *p);

/* The end of the line: ", 1.2G/s, 3s to go"; "" while the rate is unknown. */
#define PROGRESS_RATE_MAX 64
const char *progress_rate(uint64_t moved_bytes, uint64_t usec, uint64_t left_bytes,
                          char buf[static PROGRESS_RATE_MAX]);
