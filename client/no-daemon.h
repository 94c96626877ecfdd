/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Is it an error of this name by which the bus or PID 1 says that cdmd cannot be reached? */
bool is_no_daemon(const char *error_name);
