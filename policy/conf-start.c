/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Replaces files and folders that are refused at start:
 *
 *   a rule         by a rule that denies what its [Match] says, or everything
 *   a pool         by a pool of what Nodes=auto finds; and every request is denied
 *   cdmd.conf(.d)  by Mode=enforce; and every request is denied
 *
 * "Every request is denied" is also a rule, placed before all others. The other rules stay known, because
 * existing reservations refer to them. */

#include "policy/conf-start.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Makes a rule that denies what `match` matches. Takes ownership of `match`; NULL: the rule denies
 * everything. */
static int conf_start_make_refused(Rule *match, const char *path, unsigned line, const char *reason,
                                   Rule **ret)
{
        _cleanup_(rule_free_p) Rule *r = match ? match : conf_rule_new(path);

        if (!r)
                return -ENOMEM;
        /* Drops everything of [Grant], with which the struct ends. An error of the whole file has no line, but
         * messages quote FILE:LINE. */
        memset((char *)r + offsetof(Rule, deny), 0, sizeof(*r) - offsetof(Rule, deny));
        memset(r->key_line, 0, sizeof(r->key_line));
        r->line = line > 0 ? line : 1;
        r->deny = true;
        r->refused = strdup(reason);
        r->refused_line = line;
        if (!r->refused)
                return -ENOMEM;
        *ret = TAKE_PTR(r);
        return 0;
}

static int conf_start_deny_all(ConfLoader *l, const char *path, unsigned line, const char *reason)
{
        if (l->deny_all)
                return 0;
        return conf_start_make_refused(NULL, path, line, reason, &l->deny_all);
}

static int conf_start_refuse_rule(ConfLoader *l, ConfFile *f, unsigned line, const char *reason)
{
        Config *c = l->config;
        Rule **rules = reallocarray(c->rules, c->n_rules + 1, sizeof(*rules));
        bool readable = f->rule && !f->match_lost;
        int r;

        if (!rules)
                return -ENOMEM;
        c->rules = rules;
        r = conf_start_make_refused(readable ? TAKE_PTR(f->rule) : NULL, f->path, line, reason,
                                    &rules[c->n_rules]);
        if (r < 0)
                return r;
        c->n_rules++;
        return conf_messages_add(l->messages, CONF_WARNING, f->path, line,
                                 "the rule was refused: it denies %s; correct the file, check it with "
                                 "\"cdmctl check\", then run \"cdmctl reload\"",
                                 readable ? "what its [Match] says"
                                          : "every request, because its [Match] cannot be read");
}

/* The replacement is named after the file, so that reservations of the pool continue. If that name is
 * unusable, the replacement gets a name that no other file has, and is therefore added after the last
 * file. */
static int conf_start_refuse_pool(ConfLoader *l, const char *name, const char *path)
{
        Config *c = l->config;
        PoolConfig **pools;

        if (!name) {
                free(l->nameless_pool);
                l->nameless_pool = strdup(path);
                return l->nameless_pool ? 0 : -ENOMEM;
        }
        pools = reallocarray(c->pools, c->n_pools + 1, sizeof(*pools));
        if (!pools)
                return -ENOMEM;
        c->pools = pools;
        pools[c->n_pools] = conf_pool_new(name, path);
        if (!pools[c->n_pools])
                return -ENOMEM;
        pools[c->n_pools++]->refused = true;
        return 0;
}

/* The advice is the same for every file that is not a rule. */
static int conf_start_refuse_other(ConfLoader *l, ConfKind kind, const char *path, unsigned line,
                                   const char *reason)
{
        int r = conf_start_deny_all(l, path, line, reason);

        if (r < 0)
                return r;
        l->main_refused = l->main_refused || kind == CONF_MAIN;
        return conf_messages_add(l->messages, CONF_WARNING, path, line,
                                 "this was refused, so every request is denied%s; correct it, check it with "
                                 "\"cdmctl check\", then run \"cdmctl reload\"",
                                 kind == CONF_MAIN   ? " and Mode=enforce holds"
                                 : kind == CONF_POOL ? " and what Nodes=auto finds is also fenced"
                                                     : "");
}

int conf_start_refuse_file(ConfLoader *l, ConfFile *f, ConfKind kind, size_t first_message)
{
        const ConfMessages *m = l->messages;
        _cleanup_free_ char *name = NULL, *reason = NULL;
        unsigned line = 0;
        int r = 0;

        for (size_t i = first_message; i < m->n_messages && !reason; i++)
                if (m->messages[i].severity == CONF_ERROR) {
                        line = m->messages[i].line;
                        reason = strdup(m->messages[i].text);
                        if (!reason)
                                return -ENOMEM;
                }
        if (kind == CONF_POLICY)
                return conf_start_refuse_rule(l, f, line, reason ? reason : "cannot be used");
        if (kind == CONF_POOL) {
                /* Discard the message: conf_parse_file() has checked the name, unless an earlier error
                 * refused the file. */
                ConfMessages unheard = { 0 };
                ConfFile named = { .path = f->path, .messages = &unheard };

                r = conf_file_pool_name(&named, &name);
                conf_messages_clear(&unheard);
                if (r == 0 || r == -EINVAL)
                        r = conf_start_refuse_pool(l, name, f->path);
        }
        return r < 0 ? r
                     : conf_start_refuse_other(l, kind, f->path, line, reason ? reason : "cannot be used");
}

/* Files of such a folder can replace and mask files of the other folders. A user who can write to the folder
 * above can replace the folders in it. */
int conf_start_refuse_folder(ConfLoader *l, ConfKind kind, const char *path, const char *reason)
{
        int r = conf_messages_add(l->messages, CONF_ERROR, path, 0, "%s", reason);

        if (r == 0 && kind != CONF_POLICY)
                r = conf_start_refuse_pool(l, NULL, path);
        return r < 0 ? r : conf_start_refuse_other(l, kind, path, 0, reason);
}

static int conf_start_put_first(Config *c, Rule **rule)
{
        Rule **rules = reallocarray(c->rules, c->n_rules + 1, sizeof(*rules));

        if (!rules)
                return -ENOMEM;
        c->rules = rules;
        memmove(rules + 1, rules, c->n_rules++ * sizeof(*rules));
        rules[0] = TAKE_PTR(*rule);
        return 0;
}

int conf_start_finish(ConfLoader *l)
{
        const PoolConfig *const *pools = (const PoolConfig *const *)l->config->pools;
        char name[POOL_SPARE_NAME_MAX];
        int r = 0;

        if (l->main_refused)
                l->config->mode = FENCE_MODE_ENFORCE;
        if (l->nameless_pool)
                r = conf_start_refuse_pool(l, pool_spare_name(pools, l->config->n_pools, name),
                                           l->nameless_pool);
        if (r < 0)
                return r;
        return l->deny_all ? conf_start_put_first(l->config, &l->deny_all) : 0;
}

int config_deny_all(Config *c, const char *file, unsigned line, const char *reason)
{
        _cleanup_(rule_free_p) Rule *rule = NULL;
        int r = conf_start_make_refused(NULL, file, line, reason, &rule);

        return r < 0 ? r : conf_start_put_first(c, &rule);
}
