/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/pool-record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/size.h"

typedef struct RecordLine {
        char *pool;
        NodeSet nodes;
} RecordLine;

struct PoolRecord {
        RecordLine *lines;
        size_t n_lines;
};

int pool_record_new(PoolRecord **ret)
{
        PoolRecord *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        *ret = r;
        return 0;
}

static void record_clear(PoolRecord *r)
{
        for (size_t i = 0; i < r->n_lines; i++)
                free(r->lines[i].pool);
        free(r->lines);
        *r = (PoolRecord){ 0 };
}

PoolRecord *pool_record_free(PoolRecord *r)
{
        if (r)
                record_clear(r);
        free(r);
        return NULL;
}

static int record_add(PoolRecord *r, const char *pool, const NodeSet *nodes)
{
        for (size_t i = 0; i < r->n_lines; i++)
                if (strcmp(r->lines[i].pool, pool) == 0) {
                        r->lines[i].nodes = nodeset_union(&r->lines[i].nodes, nodes);
                        return 0;
                }
        RecordLine *lines = reallocarray(r->lines, r->n_lines + 1, sizeof(*lines));
        if (!lines)
                return -ENOMEM;
        r->lines = lines;
        lines[r->n_lines] = (RecordLine){ .pool = strdup(pool), .nodes = *nodes };
        return lines[r->n_lines].pool ? (r->n_lines++, 0) : -ENOMEM;
}

int pool_record_parse(const char *text, PoolRecord **ret)
{
        _cleanup_(pool_record_free_p) PoolRecord *r = NULL;
        _cleanup_free_ char *copy = strdup(text);
        char *save = NULL;

        int k = copy ? pool_record_new(&r) : -ENOMEM;
        if (k < 0)
                return k;
        for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *list = strrchr(line, ' ');
                NodeSet nodes;

                if (!list || list == line || nodeset_parse(list + 1, &nodes) < 0)
                        return -EBADMSG;
                *list = '\0';
                k = record_add(r, line, &nodes);
                if (k < 0)
                        return k;
        }
        *ret = TAKE_PTR(r);
        return 0;
}

int pool_record_format(const PoolRecord *r, char **ret)
{
        char list[NODESET_STR_MAX];
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < r->n_lines; i++)
                if (!nodeset_is_empty(&r->lines[i].nodes))
                        fprintf(f, "%s %s\n", r->lines[i].pool, nodeset_format(&r->lines[i].nodes, list));
        if (fclose(f) != 0) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        return 0;
}

int pool_record_update(PoolRecord *r, const Topology *t, const PoolSet *pools, bool forget)
{
        NodeSet memory = topology_memory_nodes(t);
        int k = 0;

        if (forget)
                record_clear(r);
        for (size_t i = 0; i < r->n_lines; i++)
                r->lines[i].nodes = nodeset_subtract(&r->lines[i].nodes, &pools->cdm);
        for (size_t i = 0; k >= 0 && i < pools->n_pools; i++) {
                NodeSet nodes = nodeset_intersect(&pools->pools[i].nodes, &memory);

                if (!nodeset_is_empty(&nodes))
                        k = record_add(r, pools->pools[i].name, &nodes);
        }
        return k;
}

static void record_tell(FILE *f, const RecordLine *l, const Topology *t, const PoolSet *pools)
{
        NodeSet left = nodeset_subtract(&l->nodes, &pools->cdm),
                open = nodeset_intersect(&left, &pools->ordinary), gone = nodeset_subtract(&left, &open);
        char list[NODESET_STR_MAX], size[SIZE_STR_MAX];
        uint64_t bytes = 0;

        NODESET_FOREACH (node, &open)
                bytes += topology_find(t, node)->size_bytes;
        nodeset_format(&open, list);
        if (!nodeset_is_empty(&open))
                fprintf(f,
                        "%snode %s was in pool %s before and is in none now: everybody may use its %s; to have "
                        "it there again, write Nodes=%s in the pool's file in /etc/cdm/pools.d; if it is "
                        "ordinary memory, `cdmctl reload` accepts that",
                        ftell(f) > 0 ? "; " : "", list, l->pool, size_format(bytes, size), list);
        if (!nodeset_is_empty(&gone))
                fprintf(f,
                        "%snode %s was in pool %s before and has no memory now; if that does not come back, "
                        "`cdmctl reload` accepts that",
                        ftell(f) > 0 ? "; " : "", nodeset_format(&gone, list), l->pool);
}

int pool_record_judge(const PoolRecord *r, const Topology *t, const PoolSet *pools, char **ret)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < r->n_lines; i++)
                record_tell(f, &r->lines[i], t, pools);
        if (fclose(f) != 0 || size == 0) {
                free(text);
                return size == 0 ? 0 : -ENOMEM;
        }
        *ret = text;
        return 1;
}
