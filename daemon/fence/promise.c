/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/fence/promise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static PromiseUnit *promise_unit_find(const PromiseTable *t, const char *path, size_t n)
{
        PromiseUnit *u;

        HASH_FIND(hh, *t, path, n, u);
        return u;
}

static Promise *promise_find_in(const PromiseUnit *u, const char *name, size_t n)
{
        Promise *p;

        HASH_FIND(hh, u->tenants, name, n, p);
        return p;
}

static void promise_free(Promise *p)
{
        free(p->name);
        free(p);
}

PromiseUnit *promise_unit_free(PromiseUnit *u)
{
        Promise *p, *next;

        if (!u)
                return NULL;
        HASH_ITER (hh, u->tenants, p, next) {
                HASH_DEL(u->tenants, p);
                promise_free(p);
        }
        free(u->path);
        free(u);
        return NULL;
}

void promise_clear(PromiseTable *t)
{
        PromiseUnit *u, *next;

        HASH_ITER (hh, *t, u, next) {
                HASH_DEL(*t, u);
                promise_unit_free(u);
        }
}

static Promise *promise_add_to(PromiseUnit *u, const char *name, uint64_t id, const NodeSet *nodes)
{
        Promise *p = calloc(1, sizeof(*p));

        if (!p || !(p->name = strdup(name))) {
                free(p);
                return NULL;
        }
        p->id = id;
        p->nodes = *nodes;
        HASH_ADD_KEYPTR(hh, u->tenants, p->name, strlen(p->name), p);
        return p;
}

static int promise_add(PromiseTable *t, const char *path, size_t n_unit, uint64_t id, const NodeSet *nodes)
{
        PromiseUnit *u = promise_unit_find(t, path, n_unit);

        if (u)
                return promise_add_to(u, path + n_unit + 1, id, nodes) ? 0 : -ENOMEM;
        u = calloc(1, sizeof(*u));
        if (!u || !(u->path = strndup(path, n_unit)) || !promise_add_to(u, path + n_unit + 1, id, nodes)) {
                promise_unit_free(u);
                return -ENOMEM;
        }
        HASH_ADD_KEYPTR(hh, *t, u->path, n_unit, u);
        return 0;
}

const Promise *promise_find(const PromiseTable *t, const char *path)
{
        const char *name = strrchr(path, '/') + 1;
        const PromiseUnit *u = promise_unit_find(t, path, (size_t)(name - 1 - path));

        return u ? promise_find_in(u, name, strlen(name)) : NULL;
}

int promise_set(PromiseTable *t, const char *path, uint64_t id, const NodeSet *nodes, bool add)
{
        const char *name = strrchr(path, '/') + 1;
        size_t n_unit = (size_t)(name - 1 - path);
        PromiseUnit *u = promise_unit_find(t, path, n_unit);
        Promise *p = u ? promise_find_in(u, name, strlen(name)) : NULL;

        if (!p)
                return nodeset_is_empty(nodes) ? 0 : promise_add(t, path, n_unit, id, nodes);
        bool is_other = id != 0 && p->id != 0 && id != p->id;
        if (is_other && !add)
                return 0;
        p->nodes = add && !is_other ? nodeset_union(&p->nodes, nodes) : *nodes;
        if (id != 0)
                p->id = id;
        if (!nodeset_is_empty(&p->nodes))
                return 0;
        HASH_DEL(u->tenants, p);
        promise_free(p);
        if (!u->tenants) {
                HASH_DEL(*t, u);
                promise_unit_free(u);
        }
        return 0;
}

const PromiseUnit *promise_unit(const PromiseTable *t, const char *unit_path)
{
        return promise_unit_find(t, unit_path, strlen(unit_path));
}

const PromiseUnit *promise_above(const PromiseTable *t, const char *path, NodeSet *ret)
{
        *ret = NODESET_EMPTY;
        for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                const PromiseUnit *u = promise_unit_find(t, path, (size_t)(slash - path));
                const Promise *p = u ? promise_find_in(u, slash + 1, strcspn(slash + 1, "/")) : NULL;

                if (p)
                        *ret = p->nodes;
                if (u)
                        return u;
        }
        return NULL;
}

NodeSet promise_unit_nodes(const PromiseUnit *u)
{
        NodeSet nodes = NODESET_EMPTY;

        for (const Promise *p = u ? u->tenants : NULL; p; p = p->hh.next)
                nodes = nodeset_union(&nodes, &p->nodes);
        return nodes;
}

void promise_unit_note(PromiseTable *t, const char *unit_path, const NodeSet *written)
{
        PromiseUnit *u = promise_unit_find(t, unit_path, strlen(unit_path));

        if (u)
                u->written = *written;
}

int promise_unit_copy(const PromiseUnit *u, PromiseUnit **ret)
{
        PromiseUnit *copy = u ? calloc(1, sizeof(*copy)) : NULL;

        if (u && (!copy || !(copy->path = strdup(u->path)))) {
                promise_unit_free(copy);
                return -ENOMEM;
        }
        for (const Promise *p = u ? u->tenants : NULL; p; p = p->hh.next)
                if (!promise_add_to(copy, p->name, p->id, &p->nodes)) {
                        promise_unit_free(copy);
                        return -ENOMEM;
                }
        *ret = copy;
        return 0;
}
