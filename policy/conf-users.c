/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/conf-users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/conf-keys.h"

_Static_assert(sizeof(uid_t) == sizeof(uint32_t) && sizeof(gid_t) == sizeof(uint32_t), "ids have 32 bits");

/* Parses a numeric id. -EINVAL: the word is a name; -ERANGE: too high. (uid_t)-1 is no id: the kernel uses
 * it for "unchanged". */
static int users_read_id(const char *word, uint32_t *ret)
{
        unsigned long long id;

        if (word[strspn(word, "0123456789")] != '\0')
                return -EINVAL;
        errno = 0;
        id = strtoull(word, NULL, 10);
        if (errno != 0 || id >= UINT32_MAX)
                return -ERANGE;
        *ret = (uint32_t)id;
        return 0;
}

static void users_check(ConfFile *f, const char *key, const char *noun, char *const *words)
{
        uint32_t id;

        for (; words && *words; words++)
                if (users_read_id(*words, &id) == -ERANGE)
                        conf_file_error(f, conf_file_key_line(f, key),
                                        "%s=: \"%s\" is too high for the number of a %s", key, *words, noun);
}

/* User= or Group= of one rule. */
typedef struct UserKey {
        const Rule *rule;
        RuleKey key;
        const char *name, *noun;
        bool group;
        char *const *words;
} UserKey;

typedef struct UserIds {
        uint32_t *array;
        size_t n;
        const char *unknown;
} UserIds;

static int users_warn(const UserKey *k, const char *word, int error, ConfMessages *messages)
{
        unsigned line = rule_line(k->rule, k->key);

        if (error == -ENOENT)
                return conf_messages_add(messages, CONF_WARNING, k->rule->file, line,
                                         "%s=: there is no %s \"%s\", so it matches nobody; create it and "
                                         "run \"cdmctl reload\", or remove it",
                                         k->name, k->noun, word);
        return conf_messages_add(messages, CONF_WARNING, k->rule->file, line,
                                 "%s=: the %s \"%s\" cannot be looked up, so requests for which this rule "
                                 "could count are denied until it can: %s",
                                 k->name, k->noun, word, strerror(-error));
}

static int users_resolve(const UserKey *k, config_find_t find, void *userdata, ConfMessages *messages,
                         UserIds *ret)
{
        UserIds ids = { 0 };
        size_t n = 0;

        while (k->words && k->words[n])
                n++;
        ids.array = calloc(n + 1, sizeof(*ids.array));
        if (!ids.array)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                uint32_t id;
                int r = users_read_id(k->words[i], &id);

                if (r < 0)
                        r = find(k->group, k->words[i], &id, userdata);
                if (r >= 0) {
                        ids.array[ids.n++] = id;
                        continue;
                }
                if (r != -ENOENT && !ids.unknown)
                        ids.unknown = k->words[i];
                if (messages && users_warn(k, k->words[i], r, messages) < 0) {
                        free(ids.array);
                        return -ENOMEM;
                }
        }
        *ret = ids;
        return 0;
}

static int conf_users_rule_resolve(Rule *r, config_find_t find, void *userdata, ConfMessages *messages)
{
        UserKey users = { r, RULE_KEY_USER, "User", "user", false, r->users };
        UserKey groups = { r, RULE_KEY_GROUP, "Group", "group", true, r->groups };
        UserIds uids = { 0 }, gids = { 0 };
        int k = users_resolve(&users, find, userdata, messages, &uids);

        if (k >= 0)
                k = users_resolve(&groups, find, userdata, messages, &gids);
        if (k < 0) {
                free(uids.array);
                return k;
        }
        free(r->uids);
        free(r->gids);
        r->uids = uids.array;
        r->n_uids = uids.n;
        r->unknown_user = uids.unknown;
        r->gids = gids.array;
        r->n_gids = gids.n;
        r->unknown_group = gids.unknown;
        return 0;
}

static int users_not_yet(bool group, const char *name, uint32_t *ret, void *userdata)
{
        return -EAGAIN;
}

int conf_users_init(ConfFile *f)
{
        users_check(f, "User", "user", f->rule->users);
        users_check(f, "Group", "group", f->rule->groups);
        return conf_users_rule_resolve(f->rule, users_not_yet, NULL, NULL);
}

int config_resolve_names(Config *c, config_find_t find, void *userdata, ConfMessages *messages)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < c->n_rules; i++)
                r = conf_users_rule_resolve(c->rules[i], find, userdata, messages);
        return r;
}
