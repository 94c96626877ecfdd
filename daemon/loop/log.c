/* SPDX-License-Identifier: LGPL-2.1-or-later */

#define SD_JOURNAL_SUPPRESS_LOCATION

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "daemon/loop/log.h"

static LogTarget log_target = LOG_TARGET_CONSOLE;
static int log_level = LOG_INFO;

static const char *const target_names[_LOG_TARGET_MAX] = {
        [LOG_TARGET_JOURNAL] = "journal",
        [LOG_TARGET_CONSOLE] = "console",
        [LOG_TARGET_NULL] = "null",
};

static const char *const level_names[] = {
        [LOG_EMERG] = "emerg",     [LOG_ALERT] = "alert",   [LOG_CRIT] = "crit", [LOG_ERR] = "err",
        [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice", [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

const char *log_target_to_string(LogTarget v)
{
        return v < _LOG_TARGET_MAX ? target_names[v] : NULL;
}

int log_target_from_string(const char *s, LogTarget *ret)
{
        /* LogControl1 has more names, which mean the same for cdmd. */
        if (strcmp(s, "auto") == 0 || strcmp(s, "journal-or-kmsg") == 0) {
                *ret = LOG_TARGET_JOURNAL;
                return 0;
        }
        for (size_t i = 0; i < _LOG_TARGET_MAX; i++)
                if (strcmp(s, target_names[i]) == 0) {
                        *ret = (LogTarget)i;
                        return 0;
                }
        return -EINVAL;
}

const char *log_level_to_string(int level)
{
        return level >= 0 && (size_t)level < ARRAY_SIZE(level_names) ? level_names[level] : NULL;
}

int log_level_from_string(const char *s, int *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
                if (strcmp(s, level_names[i]) == 0) {
                        *ret = (int)i;
                        return 0;
                }
        return -EINVAL;
}

/* systemd sets JOURNAL_STREAM to the device and inode of its journal socket. If stderr is something else,
 * such as a file or a terminal, messages must go there. */
static bool log_stderr_is_journal(void)
{
        const char *e = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        if (!e || sscanf(e, "%llu:%llu", &device, &inode) != 2 || fstat(STDERR_FILENO, &st) < 0)
                return false;
        return st.st_dev == device && st.st_ino == inode;
}

void log_init(void)
{
        const char *e = getenv("CDMD_LOG_LEVEL");

        if (log_stderr_is_journal())
                log_target = LOG_TARGET_JOURNAL;
        if (e && log_level_from_string(e, &log_level) < 0)
                log_warning("CDMD_LOG_LEVEL=%s is not a level; use one of err, warning, notice, info, debug",
                            e);
}

LogTarget log_get_target(void)
{
        return log_target;
}

void log_set_target(LogTarget v)
{
        log_target = v;
}

int log_get_level(void)
{
        return log_level;
}

void log_set_level(int level)
{
        log_level = level;
}

void log_fields(int priority, const char *message, const struct iovec *fields, size_t n_fields)
{
        int saved_errno = errno;

        if (priority <= log_level) {
                if (log_target == LOG_TARGET_JOURNAL)
                        (void)sd_journal_sendv(fields, (int)n_fields);
                else if (log_target == LOG_TARGET_CONSOLE)
                        fprintf(stderr, "cdmd: %s\n", message);
        }
        errno = saved_errno;
}

void log_line(int priority, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int saved_errno = errno;

        if (priority > log_level || log_target == LOG_TARGET_NULL)
                return;
        va_start(ap, format);
        int r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                errno = saved_errno;
                return;
        }
        if (log_target == LOG_TARGET_JOURNAL)
                (void)sd_journal_send("MESSAGE=%s", text, "PRIORITY=%i", priority, NULL);
        else
                fprintf(stderr, "cdmd: %s\n", text);
        errno = saved_errno;
}
