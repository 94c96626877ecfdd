/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The exact buffers of all reservations: who has them, what they hold, and that they stay where they belong.
 */

#include "daemon/tenant/buffer-set.h"

typedef struct Entry Entry;

/* Once at start, when the reservations are known: takes what systemd kept. */
void buffers_recover(BufferSet *s);

/* huge_bytes: the size of the huge pages, 0 is the default one. done is called once, perhaps at once, with a
 * descriptor, which stays the callee's, or with an error; not if a negative errno is returned, nor after
 * buffers_abandon() for the same userdata. */
int buffers_open(BufferSet *s, Entry *e, uint64_t size_bytes, bool huge, uint64_t huge_bytes,
                 buffer_done_t done, void *userdata);
void buffers_abandon(BufferSet *s, void *userdata);

/* A change of some tenant's nodes, or a drain, may have dragged pages away: looks at all that are open. */
void buffers_look(BufferSet *s);

/* The reservation ends. True: its buffers are still in use; it stays, as `draining`, with what they hold,
 * and release_start() is called when the last one went. */
bool buffers_keep(BufferSet *s, Entry *e);
