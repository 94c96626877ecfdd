/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The exact buffers of all reservations, and what they hold. */

#include "daemon/tenant/book.h"
#include "policy/reservation.h"

typedef struct Answer Answer;
typedef struct BufferSet BufferSet;
typedef struct HoldSet HoldSet;

/* An answer to one who asked for a buffer; fd: of it, stays the callee's. */
typedef void (*buffer_done_t)(const Answer *answer, int fd, void *userdata);

/* release: for a reservation that drains when its last buffer has gone. */
int buffers_new(Book *book, HoldSet *holds, entry_release_t release, void *userdata, BufferSet **ret);
/* What is open stays open, and comes back with buffers_recover(). */
BufferSet *buffers_free(BufferSet *s);

/* What all buffers hold of a node (-1: of all). */
uint64_t buffers_node_bytes(const BufferSet *s, int node, bool huge_too);
/* What buffers hold of a node (-1: of all), charged to cdmd's cgroup; huge pages are charged to nobody. Of
 * one reservation; of all of a tenant; of one reservation by node. s may be NULL. */
uint64_t buffers_bytes(const BufferSet *s, uint32_t id, int node, bool huge_too);
uint64_t buffers_tenant_bytes(const BufferSet *s, const char *tenant, int node, bool huge_too);
/* A sentence about those whose pages are elsewhere and could not be moved back; NULL when there are none, or
 * no memory for it. The caller frees it. */
char *buffers_warning(const BufferSet *s);
/* Every reservation that has buffers. fn must not change the buffers. */
void buffers_foreach_owner(const BufferSet *s, void (*fn)(uint32_t id, void *userdata), void *userdata);
/* A mark of now; and what the buffers that were filled by then, and still are, hold of nodes. */
uint32_t buffers_mark(const BufferSet *s);
typedef void (*buffers_part_t)(const char *tenant, int node, uint64_t bytes, bool huge, void *userdata);
void buffers_foreach(const BufferSet *s, uint32_t mark, buffers_part_t fn, void *userdata);
size_t buffers_shares(const BufferSet *s, uint32_t id, Share out[static SHARES_MAX]);
