/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl nodes: lists the machine's memory nodes. Some machines also have many empty nodes. Those are listed
 * in JSON and with --all; otherwise one line per device says that they exist. */

#include <stdio.h>
#include <string.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/objects.h"
#include "client/offline.h"
#include "client/text.h"

static const char *device_of(const NodeInfo *n)
{
        return n->device ? n->device : "";
}

static bool nodes_seen_before(const Objects *o, size_t i)
{
        for (size_t k = 0; k < i; k++)
                if (node_info_is_empty(&o->nodes[k]) &&
                    strcmp(device_of(&o->nodes[k]), device_of(&o->nodes[i])) == 0)
                        return true;
        return false;
}

static void nodes_tell_empty(const Objects *o, const char *device)
{
        _cleanup_free_ char *clean = text_sanitise(device);
        NodeSet nodes = NODESET_EMPTY;
        char list[NODESET_STR_MAX];

        for (size_t i = 0; i < o->n_nodes; i++)
                if (node_info_is_empty(&o->nodes[i]) && o->nodes[i].node < NODE_MAX &&
                    strcmp(device_of(&o->nodes[i]), device) == 0)
                        nodeset_add(&nodes, (int)o->nodes[i].node);
        printf("Without memory: node %s%s%s\n", nodeset_format(&nodes, list), *device ? " of device " : "",
               clean ? clean : TEXT_REPLACEMENT);
}

int verb_nodes(const Args *args)
{
        _cleanup_(objects_free_p) Objects *objects = NULL;
        _cleanup_(table_free_p) Table *t = NULL;
        bool hide = args->style.json == JSON_OFF && !args_given(args, OPTION_ALL);

        int status = offline_or_bus_objects(args, &objects);
        if (status != 0)
                return status;

        int r = objects_table_nodes(objects, hide, &t);
        if (r >= 0)
                r = table_print(t, &args->style);
        for (size_t i = 0; r >= 0 && hide && args->style.legend && i < objects->n_nodes; i++)
                if (node_info_is_empty(&objects->nodes[i]) && !nodes_seen_before(objects, i))
                        nodes_tell_empty(objects, device_of(&objects->nodes[i]));
        return printed(r);
}
