/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/word.h"

static const char *const on_full_table[_ON_FULL_MAX] = {
        [ON_FULL_DENY] = "deny",
        [ON_FULL_QUEUE] = "queue",
        [ON_FULL_PREEMPT] = "preempt",
};

const char *on_full_to_string(OnFull v)
{
        return v < _ON_FULL_MAX ? on_full_table[v] : NULL;
}

int on_full_from_string(const char *s, OnFull *ret)
{
        for (OnFull v = 0; v < _ON_FULL_MAX; v++)
                if (strcmp(s, on_full_table[v]) == 0) {
                        *ret = v;
                        return 0;
                }
        return -EINVAL;
}

static const char *const on_overrun_table[_ON_OVERRUN_MAX] = {
        [ON_OVERRUN_PUSH_BACK] = "push-back",
        [ON_OVERRUN_WARN] = "warn",
        [ON_OVERRUN_REVOKE] = "revoke",
};

const char *on_overrun_to_string(OnOverrun v)
{
        return v < _ON_OVERRUN_MAX ? on_overrun_table[v] : NULL;
}

int on_overrun_from_string(const char *s, OnOverrun *ret)
{
        for (OnOverrun v = 0; v < _ON_OVERRUN_MAX; v++)
                if (strcmp(s, on_overrun_table[v]) == 0) {
                        *ret = v;
                        return 0;
                }
        return -EINVAL;
}

static void rule_strings_free(char **strings)
{
        for (char **s = strings; s && *s; s++)
                free(*s);
        free(strings);
}

Rule *rule_free(Rule *r)
{
        if (!r)
                return NULL;
        free(r->file);
        rule_strings_free(r->pools);
        rule_strings_free(r->units);
        rule_strings_free(r->slices);
        rule_strings_free(r->cgroups);
        rule_strings_free(r->containers);
        rule_strings_free(r->users);
        rule_strings_free(r->groups);
        rule_strings_free(r->labels);
        free(r->uids);
        free(r->gids);
        free(r->refused);
        free(r);
        return NULL;
}

static bool rule_any_glob(char *const *globs, const char *value)
{
        for (char *const *g = globs; *g; g++)
                if (word_matches(*g, value))
                        return true;
        return false;
}

/* A key that is not given matches everything. A given key needs a value to match. */
static bool rule_key_matches(char *const *globs, const char *value)
{
        return !globs || (value && rule_any_glob(globs, value));
}

/* systemd's names are at most 255 bytes long. */
#define UNIT_NAME_BYTES_MAX 256

/* A template (name@.service) stands for its instances, name@*.service. Works on the stack, as
 * rule_slice_matches(). */
static bool rule_unit_matches(char *const *globs, const char *unit)
{
        char glob[UNIT_NAME_BYTES_MAX + 1];

        if (rule_key_matches(globs, unit))
                return true;
        for (char *const *g = globs; unit && *g; g++) {
                const char *at = strstr(*g, "@.");

                if (!at || strlen(*g) + 2 > sizeof(glob))
                        continue;
                snprintf(glob, sizeof(glob), "%.*s*%s", (int)(at + 1 - *g), *g, at + 1);
                if (word_matches(glob, unit))
                        return true;
        }
        return false;
}

/* Works on the stack, because a failed allocation would skip a Deny= rule. */
static bool rule_slice_matches(char *const *globs, const char *slice)
{
        char ancestor[UNIT_NAME_BYTES_MAX];

        if (!globs)
                return true;
        if (!slice || strlen(slice) >= sizeof(ancestor))
                return false;
        strcpy(ancestor, slice);
        for (char *s = ancestor; s; s = subject_slice_parent(s, s))
                if (rule_any_glob(globs, s))
                        return true;
        return false;
}

/* If none of the names in User= exists, uids is empty and no user matches. */
static bool rule_user_matches(const Rule *r, uid_t uid)
{
        if (!r->users)
                return true;
        if (uid == UID_NONE)
                return false;
        for (size_t i = 0; i < r->n_uids; i++)
                if (r->uids[i] == uid)
                        return true;
        return false;
}

static bool rule_group_matches(const Rule *r, const Subject *subject)
{
        if (!r->groups)
                return true;
        for (size_t i = 0; i < r->n_gids; i++)
                for (size_t k = 0; k < subject->n_gids; k++)
                        if (r->gids[i] == subject->gids[k])
                                return true;
        return false;
}

/* True if the value of the key in `word` matches one of the words with the same key. */
static bool rule_label_key_matches(char *const *words, const char *word, const Labels *labels)
{
        size_t n = strcspn(word, "=");
        const char *value = labels_find(labels, word, n);

        for (char *const *w = words; value && *w; w++)
                if (strncmp(*w, word, n + 1) == 0 && word_matches(*w + n + 1, value))
                        return true;
        return false;
}

static bool rule_labels_match(char *const *words, const Labels *labels)
{
        for (char *const *w = words; w && *w; w++)
                if (!rule_label_key_matches(words, *w, labels))
                        return false;
        return true;
}

/* True if the rule can match requests without a user. Such a rule must name something that only root can
 * make; any user can start units. A refused rule also denies requests without a user, unless it names
 * users. */
static bool rule_takes_nobody(const Rule *r)
{
        if (r->users || r->groups || r->has_user_quota)
                return false;
        return r->refused || r->slices || r->cgroups || r->containers || r->labels;
}

static bool rule_target_matches(const Rule *r, const char *pool, const Subject *subject)
{
        if (subject->nobody && !rule_takes_nobody(r))
                return false;
        return rule_key_matches(r->pools, pool) && rule_unit_matches(r->units, subject->unit) &&
               rule_slice_matches(r->slices, subject->slice) &&
               rule_key_matches(r->cgroups, subject->cgroup) &&
               rule_key_matches(r->containers, subject->container) &&
               rule_labels_match(r->labels, &subject->labels);
}

bool rule_matches(const Rule *r, const char *pool, const Subject *subject)
{
        return rule_target_matches(r, pool, subject) && rule_user_matches(r, subject->uid) &&
               rule_group_matches(r, subject);
}

bool rule_may_match(const Rule *r, const char *pool, const Subject *subject)
{
        return rule_target_matches(r, pool, subject) &&
               (r->unknown_user || rule_user_matches(r, subject->uid)) &&
               (r->unknown_group || rule_group_matches(r, subject));
}

const Rule *rule_find(Rule *const *rules, size_t n_rules, const char *pool, const Subject *subject)
{
        for (size_t i = 0; i < n_rules; i++)
                if (rule_may_match(rules[i], pool, subject))
                        return rules[i];
        return NULL;
}

char *rule_static_folder(const char *unit)
{
        const char *star = strchrnul(unit, '*');
        size_t fixed = strcspn(unit, "*?[");
        char *folder;

        if (unit[fixed] && word_ends_with(unit, ".scope")) {
                while (fixed > 0 && unit[fixed - 1] != '-')
                        fixed--;
                return asprintf(&folder, "%.*s.scope.d", (int)fixed, unit) < 0 ? NULL : folder;
        }
        if (asprintf(&folder, "%.*s%s.d", (int)(star - unit), unit, *star ? star + 1 : "") < 0)
                return NULL;
        return folder;
}

unsigned rule_line(const Rule *r, RuleKey key)
{
        return key < _RULE_KEY_MAX && r->key_line[key] > 0 ? r->key_line[key] : r->line;
}
