/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Messages about configuration files: errors and warnings, each with FILE:LINE. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/macro.h"

typedef enum ConfSeverity { CONF_ERROR, CONF_WARNING } ConfSeverity;

typedef struct ConfMessage {
        ConfSeverity severity;
        char *file;
        unsigned line; /* 0: the file as a whole */
        char *text;    /* the reason and what to do, without FILE:LINE */
} ConfMessage;

/* In the order in which they were found. */
typedef struct ConfMessages {
        ConfMessage *messages;
        size_t n_messages;
} ConfMessages;

void conf_messages_clear(ConfMessages *m);
bool conf_messages_have_errors(const ConfMessages *m);
/* "FILE:LINE: text" or "FILE: text"; owned by the caller, NULL when out of memory. */
char *conf_message_format(const ConfMessage *m);
int conf_messages_add(ConfMessages *m, ConfSeverity severity, const char *file, unsigned line,
                      const char *format, ...) _printf_(5, 6);
