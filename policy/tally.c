/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/tally.h"

#include <stdlib.h>
#include <string.h>

Tally *tally_find(Tally *head, const void *key, size_t key_bytes)
{
        Tally *t;

        HASH_FIND(hh, head, key, key_bytes, t);
        return t;
}

Tally *tally_get(Tally **head, const void *key, size_t key_bytes)
{
        Tally *t = tally_find(*head, key, key_bytes);

        if (t)
                return t;
        t = calloc(1, sizeof(Tally));
        if (!t)
                return NULL;
        t->key = malloc(key_bytes);
        if (t->key) {
                memcpy(t->key, key, key_bytes);
                HASH_ADD_KEYPTR(hh, *head, t->key, key_bytes, t);
        }
        if (!t->key || !t->hh.tbl) {
                free(t->key);
                free(t);
                return NULL;
        }
        return t;
}

void tally_prune(Tally **head, Tally *t)
{
        if (!t || t->n > 0)
                return;
        HASH_DEL(*head, t);
        free(t->key);
        free(t);
}
