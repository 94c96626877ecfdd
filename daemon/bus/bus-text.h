/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Parts of messages and paths that several files use. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "daemon/loop/event.h"
#include "policy/nodeset.h"

/* Appends an au. */
int bus_append_nodes(sd_bus_message *m, const NodeSet *nodes);
/* Appends the elements of an a(sst), which must be open. */
int bus_append_holder_kinds(sd_bus_message *m, const EventHolder *holders, size_t n);

/* Checks that the arguments have at most about `max` bytes: 1, 0 or a negative errno. Reads nothing after the
 * first value that exceeds `max`, and rewinds the message. */
int bus_message_fits(sd_bus_message *m, size_t max);

/* "/org/cdmd1/reservation/ID" */
#define BUS_PATH_MAX 64
const char *bus_reservation_path(uint32_t id, char path[static BUS_PATH_MAX]);
/* Frees a NULL-terminated list. */
void bus_paths_free(char ***paths);
/* The inverse of bus_reservation_path(); 0: no such path. */
uint32_t bus_reservation_id(const char *path);

/* Limits the rows of a property that grows with the number of programs on the machine, and whose strings
 * unprivileged users can make long. The bus disconnects cdmd for a reply above 32 MiB. */
#define BUS_ROWS_MAX       10000
#define BUS_ROWS_BYTES_MAX ((size_t)4 << 20)
typedef struct BusRows {
        size_t n, bytes;
        size_t n_left; /* rows that were left out */
} BusRows;
/* True if there is room for the next row, whose strings have `bytes` bytes. After the first row without room
 * all further rows are left out. */
bool bus_rows_take(BusRows *r, size_t bytes);
