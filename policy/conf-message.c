/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/conf-message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void conf_messages_clear(ConfMessages *m)
{
        for (size_t i = 0; i < m->n_messages; i++) {
                free(m->messages[i].file);
                free(m->messages[i].text);
        }
        free(m->messages);
        *m = (ConfMessages){ 0 };
}

bool conf_messages_have_errors(const ConfMessages *m)
{
        for (size_t i = 0; i < m->n_messages; i++)
                if (m->messages[i].severity == CONF_ERROR)
                        return true;
        return false;
}

char *conf_message_format(const ConfMessage *m)
{
        char *line = NULL;
        int r;

        if (m->line > 0)
                r = asprintf(&line, "%s:%u: %s", m->file, m->line, m->text);
        else
                r = asprintf(&line, "%s: %s", m->file, m->text);
        return r < 0 ? NULL : line;
}

int conf_messages_add(ConfMessages *m, ConfSeverity severity, const char *file, unsigned line,
                      const char *format, ...)
{
        ConfMessage *messages = reallocarray(m->messages, m->n_messages + 1, sizeof(*messages));
        ConfMessage message = { .severity = severity, .line = line };
        va_list arguments;
        int r;

        if (!messages)
                return -ENOMEM;
        m->messages = messages;

        va_start(arguments, format);
        r = vasprintf(&message.text, format, arguments);
        va_end(arguments);
        if (r < 0)
                return -ENOMEM;
        message.file = strdup(file);
        if (!message.file) {
                free(message.text);
                return -ENOMEM;
        }
        m->messages[m->n_messages++] = message;
        return 0;
}
