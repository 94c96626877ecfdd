/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every section and key of a configuration file means: one table row a key. No I/O: conf-read.c opens
 * the files and passes sections, keys and values. A mistake becomes a message with FILE:LINE. Reading
 * continues after a mistake, so that one run shows them all. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/conf-read.h"
#include "policy/config.h"
#include "policy/macro.h"

#define CONF_SECTIONS_MAX 8
#define CONF_KEYS_MAX     40

/* One file while it is read. */
typedef struct ConfFile {
        ConfKind kind;
        const char *path; /* as it is reported */
        ConfMessages *messages;
        Config *config;   /* where a CONF_MAIN file puts its values; borrowed */
        PoolConfig *pool; /* the result of a CONF_POOL file; owned */
        Rule *rule;       /* the result of a CONF_POLICY file; owned */

        unsigned line; /* the one being read */
        unsigned n_errors;
        int error;                                /* -ENOMEM: give up */
        unsigned section_line[CONF_SECTIONS_MAX]; /* where each first appears; 0: not yet */
        unsigned key_line[CONF_KEYS_MAX];
        size_t first_pin; /* those before it are from files read earlier */

        /* Which parts have no error. Everything outside of [Grant] may belong to [Match]. */
        bool in_grant;
        bool match_lost; /* an error outside of it */
} ConfFile;

/* The name of a pool is that of its file (f->path). -EINVAL: the name is unusable, and this was reported. */
int conf_file_pool_name(ConfFile *f, char **ret);

/* Makes the object that a file of this kind describes, with its defaults. pool_name: for CONF_POOL only.
 * conf_file_clear() frees what is still owned. -ENOMEM. */
int conf_file_init(ConfFile *f, ConfKind kind, const char *path, const char *pool_name, Config *config,
                   ConfMessages *messages);
void conf_file_clear(ConfFile *f);

/* Reports a mistake and refuses the file. line 0: the file as a whole. */
void conf_file_error(ConfFile *f, unsigned line, const char *format, ...) _printf_(3, 4);

/* A section starts on f->line; false (and reported) when this kind of file has none of that name. */
bool conf_file_section(ConfFile *f, const char *section);

/* A section starts on f->line whose name cannot be read. */
void conf_file_section_lost(ConfFile *f);

/* A setting on f->line. The section is known; everything else is checked. */
void conf_file_set(ConfFile *f, const char *section, const char *key, const char *value);

/* Called after the last line. Checks what only the whole file shows, such as a missing [Match]. */
void conf_file_finish(ConfFile *f);

/* A rule and a pool with their defaults; NULL when out of memory. */
Rule *conf_rule_new(const char *path);
PoolConfig *conf_pool_new(const char *name, const char *path);

/* The line of a key, 0 when it is not given. */
unsigned conf_file_key_line(const ConfFile *f, const char *key);

/* The kind of a file that was named on a command line: by its folder, else by the first section in its text
 * that is known. -ENOENT: neither tells; -ENOMEM. */
int conf_kind_of_file(const char *path, const char *text, size_t n, ConfKind *ret);
