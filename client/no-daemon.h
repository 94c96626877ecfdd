/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* True if the bus or PID 1 uses this error to say that cdmd cannot be reached. */
bool is_no_daemon(const char *error_name);
