/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What occurs in several messages and paths. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "daemon/loop/event.h"
#include "policy/nodeset.h"

/* au */
int bus_append_nodes(sd_bus_message *m, const NodeSet *nodes);
/* a(sst), without the container around it. */
int bus_append_holder_kinds(sd_bus_message *m, const EventHolder *holders, size_t n);

/* Are the arguments no longer than max bytes, about? 1, 0 or a negative errno. Nothing has been read after that. */
int bus_message_fits(sd_bus_message *m, size_t max);

/* "/org/cdmd1/reservation/ID" */
#define BUS_PATH_MAX 64
const char *bus_reservation_path(uint32_t id, char path[static BUS_PATH_MAX]);
/* A list with NULL at its end. */
void bus_paths_free(char ***paths);
/* The other way round; 0: it is no such path. */
uint32_t bus_reservation_id(const char *path);

/* Rows of a property that grows with what runs on the machine, and whose strings anybody may make long. A reply
 * above 32 MiB ends the connection. */
#define BUS_ROWS_MAX       10000
#define BUS_ROWS_BYTES_MAX ((size_t)4 << 20)
typedef struct BusRows {
        size_t n, bytes;
        size_t n_left; /* left out */
} BusRows;
/* Is there room for the next row, with strings of so many bytes? After the first one without room there is none
 * for the others. */
bool bus_rows_take(BusRows *r, size_t bytes);
