/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/loop/store-escape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int store_parse_u64(const char *s, uint64_t *ret)
{
        char *end;

        if (*s < '0' || *s > '9')
                return -EINVAL;
        errno = 0;
        uint64_t v = strtoull(s, &end, 10);
        if (errno || *end)
                return -EINVAL;
        *ret = v;
        return 0;
}

int store_parse_u32(const char *s, uint32_t *ret)
{
        uint64_t v;

        if (store_parse_u64(s, &v) < 0 || v > UINT32_MAX)
                return -EINVAL;
        *ret = (uint32_t)v;
        return 0;
}

void store_print_escaped(FILE *f, const char *key, const char *value)
{
        if (!value)
                return;
        fprintf(f, "%s=", key);
        for (const unsigned char *c = (const unsigned char *)value; *c; c++)
                if (*c < 0x20 || *c == '\\' || *c == 0x7f)
                        fprintf(f, "\\x%02x", *c);
                else
                        fputc(*c, f);
        fputc('\n', f);
}

int store_unescape(const char *s, char **ret)
{
        char *out = malloc(strlen(s) + 1), *o = out;
        unsigned v;

        if (!out)
                return -ENOMEM;
        while (*s) {
                if (*s != '\\') {
                        *o++ = *s++;
                        continue;
                }
                if (sscanf(s, "\\x%2x", &v) != 1 || v == 0 || strlen(s) < 4) {
                        free(out);
                        return -EINVAL;
                }
                *o++ = (char)v;
                s += 4;
        }
        *o = '\0';
        *ret = out;
        return 0;
}

/* A label is printable, so it never contains a tab. */
#define LABELS_SEPARATOR "\t"

void store_print_labels(FILE *f, const char *key, const Labels *labels)
{
        if (labels->n == 0)
                return;
        fprintf(f, "%s=", key);
        for (size_t i = 0; i < labels->n; i++)
                fprintf(f, "%s%s=%s", i > 0 ? LABELS_SEPARATOR : "", labels->items[i].key,
                        labels->items[i].value);
        fputc('\n', f);
}

int store_parse_labels(const char *s, Labels *ret)
{
        _cleanup_free_ char *copy = strdup(s);
        _cleanup_(labels_clear) Labels labels = { 0 };
        char *rest = copy, *word;

        if (!copy)
                return -ENOMEM;
        while ((word = strsep(&rest, LABELS_SEPARATOR))) {
                char *equals = strchr(word, '=');

                if (!equals)
                        return -EINVAL;
                *equals = '\0';
                int r = labels_add(&labels, word, equals + 1);
                if (r < 0)
                        return r;
        }
        *ret = labels;
        labels = (Labels){ 0 };
        return 0;
}
