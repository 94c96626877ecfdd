/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "slurm/words.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "policy/macro.h"
#include "policy/size.h"

void cdm_ask_clear(CdmAsk *a)
{
        free(a->pool);
        *a = (CdmAsk){ 0 };
}

int cdm_ask_parse(const char *text, CdmAsk *ret, const char **ret_reason)
{
        const char *colon = strchr(text, ':');
        Size size;

        if (!colon || colon == text) {
                *ret_reason = "is not POOL:SIZE, such as hbm:16G";
                return -EINVAL;
        }
        if (size_parse(colon + 1, &size) < 0) {
                *ret_reason = "has no size such as 16G after the colon";
                return -EINVAL;
        }
        if (size.percent || size.value == 0) {
                *ret_reason =
                        size.percent ? "has a percentage; give a size such as 16G" : "asks for nothing";
                return -EINVAL;
        }
        char *pool = strndup(text, (size_t)(colon - text));
        if (!pool)
                return -ENOMEM;
        *ret = (CdmAsk){ .pool = pool, .bytes = size.value };
        return 0;
}

static bool word_is(const char *word, size_t n, const char *what)
{
        return strlen(what) == n && strncmp(word, what, n) == 0;
}

/* text: starts at the first digit. 0: not a count. */
static uint64_t parse_count(const char *text, size_t n)
{
        static const char suffixes[] = "KMGTP";
        uint64_t count = 0;
        size_t i = 0;

        for (; i < n && isdigit((unsigned char)text[i]); i++)
                if (__builtin_mul_overflow(count, 10, &count) ||
                    __builtin_add_overflow(count, (uint64_t)(text[i] - '0'), &count))
                        return 0;
        if (i == n)
                return count;
        const char *suffix = strchr(suffixes, toupper((unsigned char)text[i]));
        if (i + 1 != n || !suffix)
                return 0;
        for (ptrdiff_t k = 0; k <= suffix - suffixes; k++)
                if (__builtin_mul_overflow(count, 1024, &count))
                        return 0;
        return count;
}

/* Parses one entry: NAME, NAME:COUNT, NAME:TYPE or NAME:TYPE:COUNT, after an optional "gres:" or "gres/".
 * "=" may replace the last ":". */
static uint64_t entry_bytes(const char *text, size_t n, const char *pool)
{
        if (n > 5 && (strncmp(text, "gres:", 5) == 0 || strncmp(text, "gres/", 5) == 0)) {
                text += 5;
                n -= 5;
        }
        size_t name = strcspn(text, ":=,");
        if (name >= n || !word_is(text, name, "cdm"))
                return 0;
        text += name + 1;
        n -= name + 1;
        if (isdigit((unsigned char)*text))
                return parse_count(text, n);
        size_t type = strcspn(text, ":=,");
        if (type >= n || !word_is(text, type, pool))
                return 0;
        return parse_count(text + type + 1, n - type - 1);
}

uint64_t cdm_gres_bytes(const char *text, const char *pool)
{
        uint64_t sum = 0;

        while (text && *text) {
                size_t n = strcspn(text, ",");

                if (__builtin_add_overflow(sum, entry_bytes(text, n, pool), &sum))
                        return UINT64_MAX;
                text += n + (text[n] == ',');
        }
        return sum;
}

void step_place_clear(StepPlace *p)
{
        free(p->job);
        free(p->step);
        *p = (StepPlace){ 0 };
}

/* at: a '/'. Returns the end of the component that follows; NULL: it is not longer than prefix, or does not
 * start with prefix. */
static const char *component_end(const char *at, const char *prefix)
{
        size_t n = strlen(prefix);

        if (*at != '/' || strncmp(at + 1, prefix, n) != 0)
                return NULL;
        const char *end = at + 1 + strcspn(at + 1, "/\n");
        return end > at + 1 + n ? end : NULL;
}

int step_place_parse(const char *proc_cgroup, StepPlace *ret)
{
        const char *path = strncmp(proc_cgroup, "0::", 3) == 0 ? proc_cgroup : strstr(proc_cgroup, "\n0::");
        const char *job_end = NULL, *step_end = NULL;
        StepPlace place;

        path = path ? strchr(path, '/') : NULL;
        for (const char *at = path; at && *at == '/' && !step_end; at += 1 + strcspn(at + 1, "/\n")) {
                job_end = component_end(at, "job_");
                step_end = job_end ? component_end(job_end, "step_") : NULL;
        }
        if (!step_end)
                return -ENODATA;
        place.job = strndup(path, (size_t)(job_end - path));
        place.step = strndup(path, (size_t)(step_end - path));
        if (!place.job || !place.step) {
                step_place_clear(&place);
                return -ENOMEM;
        }
        *ret = place;
        return 0;
}
