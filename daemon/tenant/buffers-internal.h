/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files buffer*.c share. */

#include <uthash.h>

#include "daemon/kernel/memory.h"
#include "daemon/tenant/buffer-set.h"

/* In the order in which it is done. */
typedef enum Todo { DO_NOTHING, DO_DESTROY, DO_LOOK, DO_SAMPLE, DO_ADOPT, DO_MAKE, _DO_MAX } Todo;

typedef struct Buffer Buffer;

/* A reservation that has buffers. */
typedef struct BufferOwner {
        uint32_t id;
        Buffer *buffers;
        size_t n;
        UT_hash_handle hh;
} BufferOwner;

struct Buffer {
        BufferSet *set;
        uint32_t id; /* of the reservation, which outlives it */
        BufferOwner *owner;
        uint32_t serial;
        bool huge;
        BufferLayout layout; /* empty until it is known where it goes */
        uint64_t here_bytes; /* on its nodes, as seen last; 0 until it is open */
        bool lost;           /* was told that it could not be moved back */
        Todo todo, doing;
        sd_event_source *last_close;
        bool closed; /* by some user, so perhaps by the last one */
        /* of the one who asked, until the answer */
        buffer_done_t done; /* NULL: nobody waits */
        void *userdata;
        uint64_t asked_bytes, page_bytes;
        /* the worker's while doing */
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
        Buffer *working; /* the one that a job is about */
        bool stopping;
        sd_event_source *timer; /* looks now and then */
        sd_event_source *sweep; /* looks for those that nobody has any more */
        uint64_t sweep_usec;
};

/* Adds one to the set. */
int buffer_new(BufferSet *s, uint32_t id, Todo todo, Buffer **ret);
/* Takes it out; what it holds stays its users'. */
void buffer_free(Buffer *b);
bool buffer_is_open(const Buffer *b);
/* NULL: the reservation has none. */
BufferOwner *buffers_owner(const BufferSet *s, uint32_t id);

/* Does what is to be done next. */
void buffers_go_on(BufferSet *s);
/* The event of a last close may be on its way: those of the reservation (0: of all) that nobody uses are to
 * be destroyed. */
void buffers_sweep(BufferSet *s, uint32_t id);
/* What is certain to be there changed: the reservation's strength follows it. */
void buffers_update_strength(BufferSet *s, uint32_t id);
