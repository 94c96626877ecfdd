/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/subtree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/conf-text.h"
#include "policy/word.h"

/* The kernel's limit for the name of a cgroup. */
#define NAME_MAX_BYTES 255

static bool subtree_name_is_pattern(const char *name, size_t n)
{
        const char *open = memchr(name, '[', n);

        if (n == 0 || n > NAME_MAX_BYTES || memchr(name, '/', n) || memchr(name, ',', n) || name[0] == '.')
                return false;
        return !open || memchr(open, ']', n - (size_t)(open - name));
}

/* Splits at the last colon, because a unit's name may contain colons. */
const char *subtree_check(const char *word)
{
        const char *colon = strrchr(word, ':'), *slash, *reason;
        char *unit;

        if (!colon || colon == word)
                return "is not UNIT:TENANT or UNIT:TENANT/LEVEL; write for example "
                       "*slurmstepd.scope:job_*/step_*";
        unit = strndup(word, (size_t)(colon - word));
        reason = unit ? conf_check_unit_glob(unit) : "cannot be checked: out of memory";
        free(unit);
        if (reason)
                return reason;
        slash = strchr(colon, '/');
        if (!subtree_name_is_pattern(colon + 1, slash ? (size_t)(slash - colon) - 1 : strlen(colon + 1)))
                return "has no name of a control group, or a pattern of one, as TENANT after the colon";
        if (slash && !subtree_name_is_pattern(slash + 1, strlen(slash + 1)))
                return "has no name of a control group, or a pattern of one, as LEVEL after the slash";
        return NULL;
}

int subtree_parse(const char *word, Subtree *ret)
{
        const char *colon = strrchr(word, ':'), *slash = strchr(colon, '/');
        Subtree s = { .unit = strndup(word, (size_t)(colon - word)) };

        s.tenant = slash ? strndup(colon + 1, (size_t)(slash - colon) - 1) : strdup(colon + 1);
        s.level = slash ? strdup(slash + 1) : NULL;
        if (!s.unit || !s.tenant || (slash && !s.level)) {
                subtree_clear(&s);
                return -ENOMEM;
        }
        *ret = s;
        return 0;
}

void subtree_clear(Subtree *s)
{
        free(s->unit);
        free(s->tenant);
        free(s->level);
        *s = (Subtree){ 0 };
}

bool subtree_equal(const Subtree *a, const Subtree *b)
{
        return strcmp(a->unit, b->unit) == 0 && strcmp(a->tenant, b->tenant) == 0 &&
               (a->level && b->level ? strcmp(a->level, b->level) == 0 : a->level == b->level);
}

bool subtree_has_unit(const Subtree *array, size_t n, const char *unit)
{
        for (size_t i = 0; i < n; i++)
                if (word_matches(array[i].unit, unit))
                        return true;
        return false;
}

static bool subtree_is_of(const Subtree *s, const char *unit, const char *tenant)
{
        return word_matches(s->unit, unit) && word_matches(s->tenant, tenant);
}

bool subtree_has_tenant(const Subtree *array, size_t n, const char *unit, const char *tenant)
{
        for (size_t i = 0; i < n; i++)
                if (subtree_is_of(&array[i], unit, tenant))
                        return true;
        return false;
}

bool subtree_has_level(const Subtree *array, size_t n, const char *unit, const char *tenant,
                       const char *level)
{
        for (size_t i = 0; i < n; i++)
                if (array[i].level && subtree_is_of(&array[i], unit, tenant) &&
                    word_matches(array[i].level, level))
                        return true;
        return false;
}
