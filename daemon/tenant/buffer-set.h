/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The exact buffers of all reservations, and the bytes that they hold. */

#include "daemon/tenant/book.h"
#include "policy/reservation.h"

typedef struct Answer Answer;
typedef struct BufferSet BufferSet;
typedef struct HoldSet HoldSet;

/* Answers buffers_open(). fd: of the buffer; the callback must not close it. */
typedef void (*buffer_done_t)(const Answer *answer, int fd, void *userdata);

/* release: called for a draining reservation when its last buffer was freed. */
int buffers_new(Book *book, HoldSet *holds, entry_release_t release, void *userdata, BufferSet **ret);
/* Open buffers stay open, and come back with buffers_recover(). */
BufferSet *buffers_free(BufferSet *s);

/* The bytes that all buffers hold on a node (-1: on all nodes). */
uint64_t buffers_node_bytes(const BufferSet *s, int node, bool huge_too);
/* The bytes that buffers hold on a node (-1: on all nodes), for one reservation or for all reservations of a
 * tenant. They are charged to cdmd's cgroup; huge pages are charged to no cgroup. s may be NULL. */
uint64_t buffers_bytes(const BufferSet *s, uint32_t id, int node, bool huge_too);
uint64_t buffers_tenant_bytes(const BufferSet *s, const char *tenant, int node, bool huge_too);
/* A warning about buffers whose pages could not be moved back to their nodes; NULL: there are none, or out
 * of memory. Owned by the caller. */
char *buffers_warning(const BufferSet *s);
/* Calls fn for every reservation with buffers. fn must not change the buffers. */
void buffers_foreach_owner(const BufferSet *s, void (*fn)(uint32_t id, void *userdata), void *userdata);
/* buffers_mark() marks the current time. buffers_foreach() calls fn for the parts of all buffers that were
 * filled before the mark and still exist. */
uint32_t buffers_mark(const BufferSet *s);
typedef void (*buffers_part_t)(const char *tenant, int node, uint64_t bytes, bool huge, void *userdata);
void buffers_foreach(const BufferSet *s, uint32_t mark, buffers_part_t fn, void *userdata);
/* The bytes that the reservation's buffers hold, by node; returns the number of shares. s may be NULL. */
size_t buffers_shares(const BufferSet *s, uint32_t id, Share out[static SHARES_MAX]);
