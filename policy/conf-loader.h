/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How one configuration file gets into a Config; for conf-read.c, which reads files, conf-folder.c, which
 * finds them, and conf-start.c, which replaces those that are refused at start. */

#include <stdbool.h>
#include <sys/stat.h>

#include "policy/conf-keys.h"
#include "policy/conf-read.h"
#include "policy/config.h"

typedef struct ConfLoader {
        const char *root; /* "" or a directory without a slash at its end */
        bool own_files;   /* files of the one who calls are as good as root's */
        Config *config;
        ConfMessages *messages;
        bool refused;        /* a file was */
        bool at_start;       /* replace what is refused, instead of refusing all */
        bool main_refused;   /* at_start: one that may say Mode= */
        char *nameless_pool; /* at_start: the last file or folder of pools that gives no name; owned */
        Rule *deny_all;      /* at_start: what comes first where more than rules was refused; owned */
} ConfLoader;

/* Owned by the caller; NULL when out of memory. */
char *conf_full_path(const ConfLoader *l, const char *path);
/* Why somebody else could have written this, or NULL. Group root is root. */
const char *conf_ownership_reason(const ConfLoader *l, const struct stat *st);
/* kind NULL: it follows from the path or the text. A file that is refused is no failure here. */
int conf_load_file(ConfLoader *l, const ConfKind *kind, const char *path);

/* At start: puts something in the place of a refused file or folder that grants nothing and opens nothing.
 * first_message: the file's own start there. */
int conf_start_refuse_file(ConfLoader *l, ConfFile *f, ConfKind kind, size_t first_message);
int conf_start_refuse_folder(ConfLoader *l, ConfKind kind, const char *path, const char *reason);
/* After the last file. */
int conf_start_finish(ConfLoader *l);
