/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How the value of a key is parsed: one setter for each type. A setter stores the value in field, or reports
 * on f->line what is wrong. -ENOMEM is the only failure. */

#include <stddef.h>

#include "policy/conf-file.h"

typedef enum ConfFlags {
        KEY_REPEATS = 1 << 0, /* may appear more than once and adds up; an empty value resets it */
        KEY_PERCENT = 1 << 1, /* a size may be a percentage of the pool */
        KEY_NONZERO = 1 << 2,
        KEY_LIST = 1 << 3, /* may appear more than once and adds up; an empty value is an error */
} ConfFlags;

typedef struct ConfKey ConfKey;
struct ConfKey {
        unsigned section;
        const char *name;
        int (*set)(ConfFile *f, const ConfKey *key, const char *value, void *field);
        size_t offset;      /* of field in Config, PoolConfig or Rule */
        size_t line_offset; /* of an unsigned that receives the line; 0: none */
        size_t has_offset;  /* of a bool that is set when the key is given; 0: none */
        unsigned flags;
        const char *(*check)(const char *word); /* for lists of words */
};

int conf_set_bool(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_unsigned(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_queue_max(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_priority(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_tier(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_lease(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_grace(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_nanoseconds(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_limit(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_size(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_bytes(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_bandwidth_mbps(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_string(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_mode(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_on_full(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_on_overrun(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_nodes(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_rule_nodes(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_words(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_exempt(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_pin(ConfFile *f, const ConfKey *key, const char *value, void *field);
int conf_set_subtree(ConfFile *f, const ConfKey *key, const char *value, void *field);
