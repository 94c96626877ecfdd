/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/conf-file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/conf-text.h"

/* A binary file renamed to .conf should not fill the journal. */
#define ERRORS_SHOWN_MAX 20

PoolConfig *conf_pool_new(const char *name, const char *path)
{
        _cleanup_(pool_config_free_p) PoolConfig *pool = calloc(1, sizeof(*pool));

        if (!pool)
                return NULL;
        pool->name = strdup(name);
        pool->file = strdup(path);
        pool->nodes_auto = true;
        pool->tier = TIER_UNKNOWN;
        pool->headroom.value = POOL_DEFAULT_HEADROOM;
        return pool->name && pool->file ? TAKE_PTR(pool) : NULL;
}

Rule *conf_rule_new(const char *path)
{
        _cleanup_(rule_free_p) Rule *rule = calloc(1, sizeof(*rule));

        if (!rule)
                return NULL;
        rule->file = strdup(path);
        return rule->file ? TAKE_PTR(rule) : NULL;
}

int conf_file_pool_name(ConfFile *f, char **ret)
{
        const char *name = strrchr(f->path, '/') ? strrchr(f->path, '/') + 1 : f->path, *reason;
        size_t n = strlen(name);
        _cleanup_free_ char *pool = NULL;

        if (n > strlen(".conf") && strcmp(name + n - strlen(".conf"), ".conf") == 0)
                n -= strlen(".conf");
        pool = strndup(name, n);
        if (!pool)
                return -ENOMEM;
        reason = conf_check_pool_name(pool);
        if (reason) {
                conf_file_error(f, 0, "\"%s\" %s in the file's name", pool, reason);
                return -EINVAL;
        }
        *ret = TAKE_PTR(pool);
        return 0;
}

int conf_file_init(ConfFile *f, ConfKind kind, const char *path, const char *pool_name, Config *config,
                   ConfMessages *messages)
{
        *f = (ConfFile){ .kind = kind, .path = path, .messages = messages, .config = config };
        if (kind == CONF_MAIN)
                f->first_pin = config->n_pins;
        else if (kind == CONF_POOL)
                f->pool = conf_pool_new(pool_name, path);
        else
                f->rule = conf_rule_new(path);
        return kind == CONF_MAIN || f->pool || f->rule ? 0 : -ENOMEM;
}

void conf_file_clear(ConfFile *f)
{
        f->pool = pool_config_free(f->pool);
        f->rule = rule_free(f->rule);
}

void conf_file_error(ConfFile *f, unsigned line, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list arguments;
        int r;

        f->match_lost = f->match_lost || !f->in_grant;
        if (f->n_errors++ > ERRORS_SHOWN_MAX)
                return;
        if (f->n_errors > ERRORS_SHOWN_MAX) {
                r = conf_messages_add(f->messages, CONF_ERROR, f->path, line,
                                      "there are more mistakes from here on; correct those above first");
                if (r < 0)
                        f->error = r;
                return;
        }
        va_start(arguments, format);
        r = vasprintf(&text, format, arguments);
        va_end(arguments);
        r = r < 0 ? -ENOMEM : conf_messages_add(f->messages, CONF_ERROR, f->path, line, "%s", text);
        if (r < 0)
                f->error = r;
}
