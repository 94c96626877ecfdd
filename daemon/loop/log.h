/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Log lines go to the journal if stderr is connected to it, otherwise to stderr as text. Level and target
 * can be changed at run time (org.freedesktop.LogControl1). Functions that return an error do not log it. */

#include <stddef.h>
#include <sys/uio.h>
#include <syslog.h>

#include "policy/macro.h"

typedef enum LogTarget {
        LOG_TARGET_JOURNAL,
        LOG_TARGET_CONSOLE,
        LOG_TARGET_NULL,
        _LOG_TARGET_MAX
} LogTarget;

const char *log_target_to_string(LogTarget v);
int log_target_from_string(const char *s, LogTarget *ret);
const char *log_level_to_string(int level);
int log_level_from_string(const char *s, int *ret);

/* Takes the target from the environment (JOURNAL_STREAM) and the level from CDMD_LOG_LEVEL. */
void log_init(void);
LogTarget log_get_target(void);
void log_set_target(LogTarget v);
int log_get_level(void);
void log_set_level(int level);

/* Preserves errno. */
void log_line(int priority, const char *format, ...) _printf_(2, 3);

/* Writes one journal entry with these fields ("NAME=value"); the console shows message instead. */
void log_fields(int priority, const char *message, const struct iovec *fields, size_t n_fields);

#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)
