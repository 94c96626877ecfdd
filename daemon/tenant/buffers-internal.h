/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the files buffer*.c. */

#include <uthash.h>

#include "daemon/kernel/memory.h"
#include "daemon/tenant/buffer-set.h"

/* In the order of priority. */
typedef enum Todo { DO_NOTHING, DO_DESTROY, DO_LOOK, DO_SAMPLE, DO_ADOPT, DO_MAKE, _DO_MAX } Todo;

typedef struct Buffer Buffer;

/* A reservation with buffers. */
typedef struct BufferOwner {
        uint32_t id;
        Buffer *buffers;
        size_t n;
        UT_hash_handle hh;
} BufferOwner;

struct Buffer {
        BufferSet *set;
        uint32_t id; /* of the reservation, which outlives the buffer */
        BufferOwner *owner;
        uint32_t serial;
        bool huge;
        BufferLayout layout; /* empty until the nodes are chosen */
        uint64_t here_bytes; /* on its nodes at the last check; 0 until it is open */
        bool lost;           /* an event has reported that pages could not be moved back */
        Todo todo, doing;
        sd_event_source *last_close;
        bool closed; /* by a user, perhaps the last one */
        /* the caller's, until the answer */
        buffer_done_t done; /* NULL: no caller waits */
        void *userdata;
        uint64_t asked_bytes, page_bytes;
        /* owned by the worker while `doing` is set */
        Memory *memory;
        MemoryCheck check;
        int fd, full_node;
        Job *job;
        Buffer *prev, *next;
        Buffer *owner_prev, *owner_next;
};

struct BufferSet {
        Book *book;
        HoldSet *holds;
        entry_release_t release;
        void *userdata;
        Buffer *buffers;
        size_t n;
        BufferOwner *owners; /* by id */
        uint32_t last_serial;
        Buffer *working; /* the buffer of the job that is running */
        bool stopping;
        sd_event_source *timer; /* for periodic checks */
        sd_event_source *sweep; /* timer that finds buffers without users */
        uint64_t sweep_usec;
};

/* Creates a buffer and adds it to the set. */
int buffer_new(BufferSet *s, uint32_t id, Todo todo, Buffer **ret);
/* Removes the buffer from the set and frees it; users that have it open keep its memory. */
void buffer_free(Buffer *b);
bool buffer_is_open(const Buffer *b);
/* NULL: the reservation has no buffers. */
BufferOwner *buffers_owner(const BufferSet *s, uint32_t id);

/* Starts the next job, if none is running. */
void buffers_go_on(BufferSet *s);
/* Marks the reservation's buffers (0: all buffers) without users to be destroyed, because the event of the
 * last close may not have arrived yet. */
void buffers_sweep(BufferSet *s, uint32_t id);
/* Must be called when the bytes on the buffers' nodes may have changed; updates the reservation's
 * strength. */
void buffers_update_strength(BufferSet *s, uint32_t id);
