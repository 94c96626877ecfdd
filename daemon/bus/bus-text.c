/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/bus-text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/cdm-names.h"

#define CONTAINER_BYTES 8u

/* 0: the value is longer than *left. */
static int take_basic(sd_bus_message *m, char type, size_t *left)
{
        const char *text = NULL;
        int r;

        if (strchr("sog", type))
                r = sd_bus_message_read_basic(m, type, &text);
        else
                r = sd_bus_message_skip(m, (char[2]){ type });
        if (r < 0)
                return r;
        size_t bytes = text ? strlen(text) + 5 : 8;
        if (bytes > *left)
                return 0;
        *left -= bytes;
        return 1;
}

/* Containers are counted too, because an empty one has few bytes but takes as long to read as a value. The
 * recursion is bounded, because the bus refuses deeply nested messages. */
static int take_bytes(sd_bus_message *m, size_t *left)
{
        const char *contents;
        char type;
        int r;

        while ((r = sd_bus_message_peek_type(m, &type, &contents)) > 0) {
                if (!strchr("aver", type)) {
                        r = take_basic(m, type, left);
                } else {
                        if (*left < CONTAINER_BYTES)
                                return 0;
                        *left -= CONTAINER_BYTES;
                        r = sd_bus_message_enter_container(m, type, contents);
                        if (r > 0)
                                r = take_bytes(m, left);
                        if (r > 0)
                                r = sd_bus_message_exit_container(m);
                }
                if (r <= 0)
                        return r;
        }
        return r < 0 ? r : 1;
}

int bus_message_fits(sd_bus_message *m, size_t max)
{
        int r = take_bytes(m, &max);

        if (r >= 0 && sd_bus_message_rewind(m, true) < 0)
                return -EIO;
        return r;
}

/* Accepts only the spelling of bus_reservation_path(). */
uint32_t bus_reservation_id(const char *path)
{
        char again[BUS_PATH_MAX];
        uint32_t id;

        if (sscanf(path, CDM_PATH_RESERVATION "/%" SCNu32, &id) != 1 ||
            strcmp(bus_reservation_path(id, again), path) != 0)
                return 0;
        return id;
}

const char *bus_reservation_path(uint32_t id, char path[static BUS_PATH_MAX])
{
        snprintf(path, BUS_PATH_MAX, CDM_PATH_RESERVATION "/%u", id);
        return path;
}

void bus_paths_free(char ***paths)
{
        for (char **s = *paths; s && *s; s++)
                free(*s);
        free(*paths);
}

int bus_append_nodes(sd_bus_message *m, const NodeSet *nodes)
{
        int r = sd_bus_message_open_container(m, 'a', "u");

        NODESET_FOREACH (node, nodes)
                if (r >= 0)
                        r = sd_bus_message_append(m, "u", (uint32_t)node);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int bus_append_holder_kinds(sd_bus_message *m, const EventHolder *holders, size_t n)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(m, "(sst)", holders[i].cgroup, holders[i].kind, holders[i].bytes);
        return r;
}

bool bus_rows_take(BusRows *r, size_t bytes)
{
        if (r->n_left > 0 || r->n == BUS_ROWS_MAX || bytes > BUS_ROWS_BYTES_MAX - r->bytes) {
                r->n_left++;
                return false;
        }
        r->n++;
        r->bytes += bytes;
        return true;
}
