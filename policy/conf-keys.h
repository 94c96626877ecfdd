/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every section and key of a configuration file means: one table row per key. No I/O: conf-read.c opens
 * the files and passes sections, keys and values. An error becomes a message with FILE:LINE. Reading
 * continues after an error, so that one run shows them all. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/conf-file.h"

/* Starts a section on f->line. False if this kind of file has no section of that name; the error was
 * reported. */
bool conf_file_section(ConfFile *f, const char *section);

/* Ends the previous section, because f->line holds a section header that cannot be parsed. */
void conf_file_section_lost(ConfFile *f);

/* Stores the setting on f->line, or reports what is wrong. A setting of an unknown section is ignored: the
 * section was reported. */
void conf_file_set(ConfFile *f, const char *section, const char *key, const char *value);

/* Called after the last line. Checks what only the whole file shows, such as a missing [Match]. */
void conf_file_finish(ConfFile *f);

/* The line of a key, 0 when it is not given. */
unsigned conf_file_key_line(const ConfFile *f, const char *key);

/* The kind of a file that was named on a command line: determined by its folder, else by the first known
 * section in its text. -ENOENT: neither determines it; -ENOMEM. */
int conf_kind_of_file(const char *path, const char *text, size_t n, ConfKind *ret);
