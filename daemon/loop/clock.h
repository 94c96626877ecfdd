/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What time it is. */

#include <stdint.h>

uint64_t clock_realtime_usec(void);
uint64_t clock_boottime_usec(void);
uint64_t clock_monotonic_usec(void);
