/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The exact buffers of all reservations: opens them, keeps their pages on their nodes, and frees them after
 * the last close. */

#include "daemon/tenant/buffer-set.h"

typedef struct Entry Entry;

/* Must be called once at start, after the reservations were loaded; takes over the descriptors that systemd
 * kept. */
void buffers_recover(BufferSet *s);

/* huge_bytes: the size of the huge pages; 0: the default size. done is called once, perhaps before this
 * returns, with an error or with a descriptor, which the callback must not close. done is not called if a
 * negative errno is returned, or after buffers_abandon() for the same userdata. */
int buffers_open(BufferSet *s, Entry *e, uint64_t size_bytes, bool huge, uint64_t huge_bytes,
                 buffer_done_t done, void *userdata);
void buffers_abandon(BufferSet *s, void *userdata);

/* Checks all open buffers. Must be called when a tenant's nodes were changed or a node was drained, because
 * either can move pages of buffers away. */
void buffers_look(BufferSet *s);

/* Must be called when the reservation ends. True: buffers are still in use; the reservation stays `draining`
 * with the bytes of these buffers, and release_start() is called when the last one is freed. */
bool buffers_keep(BufferSet *s, Entry *e);
