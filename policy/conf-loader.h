/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a configuration file becomes a part of a Config. Used by conf-folder.c (finds files), conf-read.c
 * (reads files) and conf-start.c (replaces refused files at start). */

#include <stdbool.h>
#include <sys/stat.h>

#include "policy/conf-file.h"
#include "policy/conf-message.h"
#include "policy/config.h"

typedef struct ConfLoader {
        const char *root; /* "" or a directory without a slash at its end */
        bool own_files;   /* files owned by the calling user are accepted like root's */
        Config *config;
        ConfMessages *messages;
        bool refused;        /* a file or folder was refused */
        bool at_start;       /* replace a refused file instead of refusing the whole configuration */
        bool main_refused;   /* at_start: a refused file may set Mode= */
        char *nameless_pool; /* at_start: the last file or folder of pools without a usable name; owned */
        Rule *deny_all;      /* at_start: goes before all rules if anything but a rule was refused; owned */
} ConfLoader;

/* Owned by the caller; NULL when out of memory. */
char *conf_full_path(const ConfLoader *l, const char *path);
/* Why a user other than root could have written this, or NULL. Group root counts as root. */
const char *conf_ownership_reason(const ConfLoader *l, const struct stat *st);
/* kind NULL: determined from the path or the text. A refused file is not an error here. */
int conf_load_file(ConfLoader *l, const ConfKind *kind, const char *path);
