/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Remembers units whose set cdmd has changed because of a subtenant. systemd writes a set only after it has
 * answered, and a notification with an earlier set may still be on its way. So for a moment the unit may
 * have nodes that no subtenant has any more, which is not drift. The moment is longer when PID 1 is busy, so
 * a check that finds such nodes is repeated until five seconds after the last change. Thread safe. */

#include <stdbool.h>

/* Must be called when the set of the unit changes, and when systemd has been notified of it. */
void subtenant_settles(const char *unit);
bool subtenant_is_settling(const char *unit);
