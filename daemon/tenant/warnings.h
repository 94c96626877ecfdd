/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Warnings about the configuration, the fence, and missing watches. Warnings about the machine itself are in
 * machine-facts.h. */

#include <stddef.h>

#include "policy/macro.h"

typedef struct Warnings Warnings;

/* name is one of policy/warning.h. */
typedef struct WarningText {
        const char *name;
        char *text;
} WarningText;

int warnings_new(Warnings **ret);
Warnings *warnings_free(Warnings *w);
void warnings_add(Warnings *w, const char *name, const char *format, ...) _printf_(3, 4);
/* Removes a warning that does not apply any more. */
void warnings_remove(Warnings *w, const char *text);
/* Removes all warnings but those of this name; NULL: all. */
void warnings_clear(Warnings *w, const char *but);
const WarningText *warnings_get(const Warnings *w, size_t *ret_n);
