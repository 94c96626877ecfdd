/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/fence/fence-names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* The hash entry of a name. The string is owned by FenceNames.names. */
typedef struct FenceName {
        char *name;
        UT_hash_handle hh;
} FenceName;

void fence_names_clear(FenceNames *names)
{
        FenceName *x, *next;

        HASH_ITER (hh, names->by_name, x, next) {
                HASH_DEL(names->by_name, x);
                free(x);
        }
        for (size_t i = 0; i < names->n; i++)
                free(names->names[i]);
        free(names->names);
        free(names->sets);
        *names = (FenceNames){ 0 };
}

static int fence_names_grow(FenceNames *names)
{
        size_t n = names->n_allocated ? 2 * names->n_allocated : 16;
        NodeSet *sets;
        char **array;

        array = reallocarray(names->names, n, sizeof(*array));
        if (!array)
                return -ENOMEM;
        names->names = array;
        sets = reallocarray(names->sets, n, sizeof(*sets));
        if (!sets)
                return -ENOMEM;
        names->sets = sets;
        names->n_allocated = n;
        return 0;
}

int fence_names_add(FenceNames *names, const char *name, const NodeSet *set)
{
        FenceName *x;

        HASH_FIND_STR(names->by_name, name, x);
        if (x)
                return 0;
        if (names->n == names->n_allocated && fence_names_grow(names) < 0)
                return -ENOMEM;
        x = calloc(1, sizeof(*x));
        if (!x)
                return -ENOMEM;
        x->name = strdup(name);
        if (!x->name) {
                free(x);
                return -ENOMEM;
        }
        HASH_ADD_KEYPTR(hh, names->by_name, x->name, strlen(x->name), x);
        names->names[names->n] = x->name;
        names->sets[names->n++] = set ? *set : NODESET_EMPTY;
        return 0;
}

bool fence_names_has(const FenceNames *names, const char *name)
{
        FenceName *x;

        HASH_FIND_STR(names->by_name, name, x);
        return x;
}
