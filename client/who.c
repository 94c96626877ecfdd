/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl who: which cgroup has pages on which CDM node, and by what right. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/objects.h"
#include "policy/cdm-names.h"

static const Column columns[] = {
        { "NODE", "node", true }, { "CGROUP", "cgroup" },   { "UNIT", "unit" }, { "BYTES", "bytes", true },
        { "ANON", "anon", true }, { "FILE", "file", true }, { "KIND", "kind" },
};

/* A word of digits is a node, anything else a pool. */
static int find_nodes(sd_bus *bus, const char *what, NodeSet *ret)
{
        _cleanup_(objects_free_p) Objects *objects = NULL;
        char *end;

        int status = objects_read(bus, &objects);
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

typedef struct Filter {
        const NodeSet *only; /* NULL: all nodes */
        bool hide_small;
        unsigned n_small; /* so many were hidden */
} Filter;

static bool is_hidden(Filter *f, uint32_t node, uint64_t bytes, uint64_t user_bytes)
{
        if (f->only && (node >= NODE_MAX || !nodeset_contains(f->only, (int)node)))
                return true;
        if (!f->hide_small || user_bytes > 0 || bytes >= SMALL_BYTES)
                return false;
        f->n_small++;
        return true;
}

static int fill(sd_bus_message *m, Filter *f, Table *t)
{
        const char *cgroup, *unit, *kind;
        uint64_t bytes, anon, file;
        uint32_t node;

        int r = sd_bus_message_enter_container(m, 'a', "(ussttts)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(ussttts)", &node, &cgroup, &unit, &bytes, &anon, &file,
                                        &kind)) > 0) {
                if (is_hidden(f, node, bytes, anon + file))
                        continue;
                table_row(t);
                table_unsigned(t, node);
                table_string_or_null(t, cgroup);
                table_string_or_null(t, unit);
                table_bytes(t, bytes);
                table_bytes(t, anon);
                table_bytes(t, file);
                table_string(t, kind);
                table_color(t, kind_color(kind));
        }
        return r;
}

int verb_who(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *reply = NULL;
        _cleanup_(table_free_p) Table *t = NULL;
        NodeSet only;

        int status = client_open(&bus);
        if (status == 0 && args->n_positional > 0)
                status = find_nodes(bus, args->positional[0], &only);
        if (status == 0)
                status = client_call(bus, CDM_PATH, CDM_INTERFACE_MANAGER, "ListHolders", &reply, "");
        if (status != 0)
                return status;

        int r = table_new(columns, ARRAY_SIZE(columns), &t);
        if (r < 0)
                return printed(r);
        Filter f = { .only = args->n_positional > 0 ? &only : NULL,
                     .hide_small = args->style.json == JSON_OFF };
        r = fill(reply, &f, t);
        if (r < 0)
                return client_garbled(r);
        r = table_print(t, &args->style);
        if (r >= 0 && f.n_small > 0 && args->style.legend)
                printf("(%u more have less than a page of kernel memory each; --json shows them)\n",
                       f.n_small);
        return printed(r);
}
