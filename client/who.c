/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl who: which cgroup has pages on which CDM node, and by what right. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/holders.h"
#include "client/objects.h"
#include "policy/cdm-names.h"

static const Column columns[] = {
        { "NODE", "node", true },   { "CGROUP", "cgroup" },     { "UNIT", "unit" },
        { "BYTES", "bytes", true }, { "ANON", "anon", true },   { "FILE", "file", true },
        { "KIND", "kind" },         { "SHMEM", "shmem", true }, { "HUGETLB", "hugetlb", true },
        { "WHAT", "name" },
};

/* A word of digits is a node, anything else a pool. */
static int find_nodes(sd_bus *bus, const char *what, NodeSet *ret)
{
        _cleanup_(objects_free_p) Objects *objects = calloc(1, sizeof(*objects));
        char *end;

        if (!objects)
                return fail(CDM_EXIT_FAILED, "Out of memory.");
        int status = objects_read_pools_and_nodes(bus, objects);
        if (status != 0)
                return status;

        unsigned long node = strtoul(what, &end, 10);
        if (isdigit((unsigned char)*what) && *end == '\0') {
                if (node >= NODE_MAX || !objects_find_node(objects, (uint32_t)node))
                        return fail(CDM_EXIT_FAILED,
                                    "There is no node %s; `cdmctl nodes` shows those there are.", what);
                *ret = nodeset_of((int)node);
                return 0;
        }

        const PoolInfo *pool = objects_find_pool(objects, what);
        if (!pool)
                return fail(CDM_EXIT_FAILED, "There is no pool '%s'; `cdmctl pools` shows those there are.",
                            what);
        *ret = pool->nodes;
        return 0;
}

static const char *kind_color(const char *kind)
{
        if (strcmp(kind, "intruder") == 0)
                return "red";
        return strcmp(kind, "residue") == 0 || strcmp(kind, "unattributed") == 0 ? "yellow" : NULL;
}

/* Every cgroup has a few hundred bytes of kernel memory wherever the kernel put them. They are told to
 * programs, but a table of them hides from people what matters. */
#define SMALL_BYTES 4096

typedef struct List {
        const NodeSet *only; /* NULL: all nodes */
        bool hide_small;
        unsigned n_small; /* so many were hidden */
        Table *table;
} List;

static bool is_hidden(List *l, const HolderInfo *h)
{
        if (l->only && (h->node >= NODE_MAX || !nodeset_contains(l->only, (int)h->node)))
                return true;
        if (!l->hide_small || h->anon + h->file + h->shmem + h->hugetlb > 0 || h->bytes >= SMALL_BYTES)
                return false;
        l->n_small++;
        return true;
}

static void add_row(const HolderInfo *h, void *userdata)
{
        List *l = userdata;
        Table *t = l->table;

        if (is_hidden(l, h))
                return;
        table_row(t);
        table_unsigned(t, h->node);
        table_string_or_null(t, h->cgroup);
        table_string_or_null(t, h->unit);
        table_bytes(t, h->bytes);
        table_bytes(t, h->anon);
        table_bytes(t, h->file);
        table_string(t, h->kind);
        table_color(t, kind_color(h->kind));
        table_bytes(t, h->shmem);
        table_bytes(t, h->hugetlb);
        table_string_or_null(t, h->name);
}

int verb_who(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(table_free_p) Table *t = NULL;
        NodeSet only;

        int r = table_new(columns, ARRAY_SIZE(columns), &t);
        if (r < 0)
                return printed(r);
        List l = { .only = args->n_positional > 0 ? &only : NULL,
                   .hide_small = args->style.json == JSON_OFF,
                   .table = t };
        int status = client_open(&bus);
        if (status == 0 && args->n_positional > 0)
                status = find_nodes(bus, args->positional[0], &only);
        if (status == 0)
                status = holders_read(bus, add_row, &l);
        if (status != 0)
                return status;

        r = table_print(t, &args->style);
        if (r >= 0 && l.n_small > 0 && args->style.legend)
                printf("(%u more have less than a page of kernel memory each; --json shows them)\n",
                       l.n_small);
        return printed(r);
}
