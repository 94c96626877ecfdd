/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One configuration file while it is read: conf-read.c reads the text, conf-keys.c and conf-values.c fill in
 * the object that the file describes. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/conf-message.h"
#include "policy/config.h"
#include "policy/macro.h"

typedef enum ConfKind { CONF_MAIN, CONF_POOL, CONF_POLICY, _CONF_KIND_MAX } ConfKind;

#define CONF_SECTIONS_MAX 8
#define CONF_KEYS_MAX     48

typedef struct ConfFile {
        ConfKind kind;
        const char *path; /* as quoted in messages */
        ConfMessages *messages;
        Config *config;   /* where a CONF_MAIN file puts its values; borrowed */
        PoolConfig *pool; /* the result of a CONF_POOL file; owned */
        Rule *rule;       /* the result of a CONF_POLICY file; owned */

        unsigned line; /* the one being read */
        unsigned n_errors;
        int error;                                /* -ENOMEM: give up */
        unsigned section_line[CONF_SECTIONS_MAX]; /* where each first appears; 0: not yet */
        unsigned key_line[CONF_KEYS_MAX];
        size_t first_pin; /* earlier pins are from files that were read before */

        /* Which parts have no error. Everything outside of [Grant] may belong to [Match]. */
        bool in_grant;
        bool match_lost; /* an error occurred outside of [Grant] */
} ConfFile;

/* Make a rule or a pool with the defaults; NULL when out of memory. */
Rule *conf_rule_new(const char *path);
PoolConfig *conf_pool_new(const char *name, const char *path);

/* The name of a pool is that of its file (f->path). -EINVAL: the name is unusable; the error was
 * reported. */
int conf_file_pool_name(ConfFile *f, char **ret);

/* Makes the object that a file of this kind describes, with its defaults. pool_name: for CONF_POOL only.
 * conf_file_clear() frees what is still owned. -ENOMEM. */
int conf_file_init(ConfFile *f, ConfKind kind, const char *path, const char *pool_name, Config *config,
                   ConfMessages *messages);
void conf_file_clear(ConfFile *f);

/* Reports an error, which refuses the file. line 0: the file as a whole. */
void conf_file_error(ConfFile *f, unsigned line, const char *format, ...) _printf_(3, 4);
