/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl who: shows which cgroup has pages on which CDM node, and by what right. */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/filter.h"
#include "client/holders.h"
#include "client/objects.h"
#include "client/text.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

static const Column columns[] = {
        { "NODE", "node", .right = true },
        { "CGROUP", "cgroup", .cut = true },
        { "UNIT", "unit", .cut = true },
        { "BYTES", "bytes", .right = true },
        { "ANON", "anon", .right = true, .hide_zero = true },
        { "FILE", "file", .right = true, .hide_zero = true },
        { "KIND", "kind" },
        { "SHMEM", "shmem", .right = true, .hide_zero = true },
        { "HUGETLB", "hugetlb", .right = true, .hide_zero = true },
        { "WHAT", "name", .cut = true },
};
/* Important columns first, long columns last. */
#define ORDER "NODE,KIND,BYTES,ANON,FILE,SHMEM,HUGETLB,CGROUP,UNIT,WHAT"
/* Without UNIT, for paths that end with the unit's name. */
#define ORDER_SHORT "NODE,KIND,BYTES,ANON,FILE,SHMEM,HUGETLB,CGROUP,WHAT"

/* A word of digits is a node, any other word a pool. */
static int find_nodes(sd_bus *bus, const char *what, NodeSet *ret)
{
        _cleanup_(objects_free_p) Objects *objects = calloc(1, sizeof(*objects));
        char *end;

        if (!objects)
                return fail(CDM_EXIT_FAILED, "out of memory");
        int status = objects_read_pools_and_nodes(bus, objects);
        if (status != 0)
                return status;

        unsigned long node = strtoul(what, &end, 10);
        if (isdigit((unsigned char)*what) && *end == '\0') {
                if (node >= NODE_MAX || !objects_find_node(objects, (uint32_t)node))
                        return fail(CDM_EXIT_FAILED, "no node %s; `cdmctl nodes` shows those there are",
                                    what);
                *ret = nodeset_of((int)node);
                return 0;
        }

        const PoolInfo *pool = objects_find_pool(objects, what);
        if (!pool)
                return no_such_pool(objects, what);
        *ret = pool->nodes;
        return 0;
}

static const char *kind_color(const char *kind)
{
        if (strcmp(kind, "intruder") == 0)
                return "red";
        return strcmp(kind, "residue") == 0 || strcmp(kind, "unattributed") == 0 ? "yellow" : NULL;
}

/* One row, with strings of its own. */
typedef struct Holder {
        HolderInfo info;
        char *cgroup, *unit, *kind, *name;
} Holder;

typedef struct List {
        const NodeSet *only; /* NULL: all nodes */
        bool tenants_only;   /* without memory of the kernel's own */
        unsigned n_hidden;
        uint64_t hidden_bytes;
        Holder *holders;
        size_t n_holders;
        bool out_of_memory;
} List;

static void list_clear(List *l)
{
        for (size_t i = 0; i < l->n_holders; i++) {
                free(l->holders[i].cgroup);
                free(l->holders[i].unit);
                free(l->holders[i].kind);
                free(l->holders[i].name);
        }
        free(l->holders);
}

/* Every cgroup has a few hundred bytes of kernel memory on some node, and every node has tables of its own.
 * Such rows would hide what matters. A larger amount, such as that of a driver, is worth a look. */
#define KERNELS_OWN_BYTES_MAX (UINT64_C(64) << 20)

static bool is_kernels_own(const HolderInfo *h)
{
        return h->anon + h->file + h->shmem + h->hugetlb == 0 && h->bytes < KERNELS_OWN_BYTES_MAX &&
               strcmp(h->kind, "reserved") != 0 && strcmp(h->kind, "held") != 0;
}

static void who_add_holder(const HolderInfo *h, void *userdata)
{
        List *l = userdata;

        if (l->only && (h->node >= NODE_MAX || !nodeset_contains(l->only, (int)h->node)))
                return;
        if (l->tenants_only && is_kernels_own(h)) {
                l->n_hidden++;
                l->hidden_bytes += h->bytes;
                return;
        }
        if ((l->n_holders & (l->n_holders - 1)) == 0) {
                Holder *more =
                        reallocarray(l->holders, l->n_holders > 0 ? l->n_holders * 2 : 1, sizeof(*more));

                l->out_of_memory = l->out_of_memory || !more;
                if (!more)
                        return;
                l->holders = more;
        }
        Holder *copy = &l->holders[l->n_holders++];
        *copy = (Holder){ *h, strdup(h->cgroup), strdup(h->unit), strdup(h->kind), strdup(h->name) };
        if (!copy->cgroup || !copy->unit || !copy->kind || !copy->name)
                l->out_of_memory = true;
}

static bool is_attributed(const Holder *h)
{
        return strcmp(h->kind, "unattributed") != 0;
}

/* Sorts rows with a cgroup before rows without, then by bytes, the most first. */
static int by_bytes(const void *a, const void *b)
{
        const Holder *x = a, *y = b;

        if (is_attributed(x) != is_attributed(y))
                return is_attributed(x) ? -1 : 1;
        if (x->info.bytes != y->info.bytes)
                return x->info.bytes > y->info.bytes ? -1 : 1;
        return (x->info.node > y->info.node) - (x->info.node < y->info.node);
}

static bool ends_with(const char *s, const char *end)
{
        size_t n = strlen(s), n_end = strlen(end);

        return n >= n_end && strcmp(s + n - n_end, end) == 0;
}

static void add_rows(const List *l, Table *t)
{
        bool unit_is_said = text_terminal_width() > 0;

        for (size_t i = 0; i < l->n_holders; i++) {
                const Holder *h = &l->holders[i];

                unit_is_said = unit_is_said && ends_with(h->cgroup, h->unit);
                table_row(t);
                table_unsigned(t, h->info.node);
                table_string_or_null(t, h->cgroup);
                table_string_or_null(t, h->unit);
                table_bytes(t, h->info.bytes);
                table_bytes(t, h->info.anon);
                table_bytes(t, h->info.file);
                table_string(t, h->kind);
                table_color(t, kind_color(h->kind));
                table_bytes(t, h->info.shmem);
                table_bytes(t, h->info.hugetlb);
                table_string_or_null(t, h->name);
        }
        table_set_order(t, unit_is_said ? ORDER_SHORT : ORDER);
}

static int who_print(List *l, const TableStyle *style)
{
        _cleanup_(table_free_p) Table *t = NULL;
        char size[SIZE_STR_MAX];

        int r = l->out_of_memory ? -ENOMEM : table_new(columns, ARRAY_SIZE(columns), &t);
        if (r < 0)
                return r;
        if (l->n_holders > 0 && style->json == JSON_OFF)
                qsort(l->holders, l->n_holders, sizeof(*l->holders), by_bytes);
        add_rows(l, t);
        r = table_print(t, style);
        if (r == 0 && l->n_hidden > 0 && style->legend)
                printf("(%u more, %s in all, are the kernel's own: --all shows them)\n", l->n_hidden,
                       size_format(l->hidden_bytes, size));
        return r;
}

int verb_who(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(list_clear) List l = {
                .tenants_only = args->style.json == JSON_OFF && !args_given(args, OPTION_ALL),
        };
        NodeSet only;

        int status = client_open(&bus);
        if (status == 0 && args->n_positional > 0) {
                l.only = &only;
                status = find_nodes(bus, args->positional[0], &only);
        }
        if (status == 0)
                status = holders_read(bus, who_add_holder, &l);
        return status != 0 ? status : printed(who_print(&l, &args->style));
}
