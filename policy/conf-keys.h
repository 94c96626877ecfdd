/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every section and key of a configuration file means: one table row a key. No I/O: conf-read.c opens
 * the files and passes sections, keys and values. A mistake becomes a message with FILE:LINE. Reading
 * continues after a mistake, so that one run shows them all. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/conf-file.h"

/* A section starts on f->line; false (and reported) when this kind of file has none of that name. */
bool conf_file_section(ConfFile *f, const char *section);

/* A section starts on f->line whose name cannot be read. */
void conf_file_section_lost(ConfFile *f);

/* A setting on f->line. The section is known; everything else is checked. */
void conf_file_set(ConfFile *f, const char *section, const char *key, const char *value);

/* Called after the last line. Checks what only the whole file shows, such as a missing [Match]. */
void conf_file_finish(ConfFile *f);

/* The line of a key, 0 when it is not given. */
unsigned conf_file_key_line(const ConfFile *f, const char *key);

/* The kind of a file that was named on a command line: by its folder, else by the first section in its text
 * that is known. -ENOENT: neither tells; -ENOMEM. */
int conf_kind_of_file(const char *path, const char *text, size_t n, ConfKind *ret);
