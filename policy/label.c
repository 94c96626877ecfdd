/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/label.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_CHARS "abcdefghijklmnopqrstuvwxyz0123456789.-"

static void label_free(Label *l)
{
        free(l->key);
        free(l->value);
}

void labels_clear(Labels *l)
{
        for (size_t i = 0; i < l->n; i++)
                label_free(&l->items[i]);
        free(l->items);
        *l = (Labels){ 0 };
}

int labels_copy(const Labels *l, Labels *ret)
{
        Labels copy = { 0 };

        for (size_t i = 0; i < l->n; i++) {
                int r = labels_add(&copy, l->items[i].key, l->items[i].value);

                if (r < 0) {
                        labels_clear(&copy);
                        return r;
                }
        }
        *ret = copy;
        return 0;
}

bool labels_equal(const Labels *a, const Labels *b)
{
        if (a->n != b->n)
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
                    strcmp(a->items[i].value, b->items[i].value) != 0)
                        return false;
        return true;
}

const char *label_check(const char *key, const char *value)
{
        size_t n_key = strlen(key), n_value = strlen(value);

        if (n_key == 0 || n_key > LABEL_KEY_MAX || strspn(key, KEY_CHARS) != n_key)
                return "has a key that is not 1 to 63 lower-case letters, digits, \".\" and \"-\"";
        if (n_value == 0 || n_value > LABEL_VALUE_MAX)
                return "has a value that is not 1 to 255 bytes long";
        for (const char *c = value; *c; c++)
                if (*c < 0x20 || *c > 0x7e)
                        return "has a value with bytes that are not printable ASCII";
        return NULL;
}

int labels_add(Labels *l, const char *key, const char *value)
{
        size_t at = 0;

        if (label_check(key, value))
                return -EINVAL;
        while (at < l->n && strcmp(l->items[at].key, key) < 0)
                at++;
        if (at < l->n && strcmp(l->items[at].key, key) == 0)
                return -EEXIST;
        if (l->n == LABELS_MAX)
                return -E2BIG;
        Label *items = reallocarray(l->items, l->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        l->items = items;
        Label new = { .key = strdup(key), .value = strdup(value) };
        if (!new.key || !new.value) {
                label_free(&new);
                return -ENOMEM;
        }
        memmove(&items[at + 1], &items[at], (l->n - at) * sizeof(*items));
        items[at] = new;
        l->n++;
        return 0;
}

int labels_parse(Labels *l, const char *text, const char **ret_why)
{
        const char *equals = strchr(text, '=');
        _cleanup_free_ char *key = equals ? strndup(text, (size_t)(equals - text)) : NULL;

        *ret_why = "is not KEY=VALUE, as in slurm.account=ml";
        if (!equals)
                return -EINVAL;
        int r = key ? labels_add(l, key, equals + 1) : -ENOMEM;
        *ret_why = r == -EINVAL   ? label_check(key, equals + 1)
                   : r == -EEXIST ? "has a key that is given twice"
                   : r == -E2BIG  ? "is one too many; there can be 16"
                                  : "cannot be stored: out of memory";
        return r;
}

const char *labels_find(const Labels *l, const char *key, size_t key_length)
{
        for (size_t i = 0; i < l->n; i++)
                if (strlen(l->items[i].key) == key_length && memcmp(l->items[i].key, key, key_length) == 0)
                        return l->items[i].value;
        return NULL;
}

/* All keys of LABEL_KEYS_KNOWN have a dot. */
bool label_key_is_known(const char *key, size_t key_length)
{
        return memchr(key, '.', key_length) != NULL;
}
