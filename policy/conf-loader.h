/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How one configuration file gets into a Config; for conf-read.c, which reads files, and conf-folder.c,
 * which finds them, alone. */

#include <stdbool.h>
#include <sys/stat.h>

#include "policy/conf-read.h"
#include "policy/config.h"

typedef struct ConfLoader {
        const char *root; /* "" or a directory without a slash at its end */
        bool own_files;   /* files of the one who calls are as good as root's */
        Config *config;
        ConfMessages *messages;
        bool refused; /* a file was */
} ConfLoader;

/* Owned by the caller; NULL when out of memory. */
char *conf_full_path(const ConfLoader *l, const char *path);
/* Why somebody else could have written this, or NULL. Group root is root. */
const char *conf_ownership_reason(const ConfLoader *l, const struct stat *st);
/* kind NULL: it follows from the path or the text. A file that is refused is no failure here. */
int conf_load_file(ConfLoader *l, const ConfKind *kind, const char *path);
