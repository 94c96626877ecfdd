/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Units whose set cdmd has changed because of a subtenant. systemd writes a set after it has answered, and a
 * notification with an earlier set may still be on its way. So for a moment the unit may have nodes that
 * no subtenant has any more: that is no drift. How long the moment lasts depends on how busy PID 1 is; a check
 * that finds such nodes is repeated for five seconds. Thread safe. */

#include <stdbool.h>

/* Must be called when the set of the unit changes, and when systemd has been notified of it. */
void subtenant_settles(const char *unit);
bool subtenant_is_settling(const char *unit);
