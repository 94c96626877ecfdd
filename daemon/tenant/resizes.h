/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Changes the sizes of reservations. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/loop/answer.h"

typedef struct Book Book;
typedef struct ChangeContext ChangeContext;
typedef struct Degrades Degrades;
typedef struct Entry Entry;
typedef struct FollowSet FollowSet;
typedef struct HoldSet HoldSet;
typedef struct Neighbours Neighbours;
typedef struct Overrun Overrun;

typedef struct ResizeSet ResizeSet;

typedef struct ResizeContext {
        Book *book;
        const ChangeContext *changes;
        Degrades *degrades;
        FollowSet *follows;
        HoldSet *holds;
        Neighbours *neighbours;
        Overrun *overrun;
} ResizeContext;

int resizes_new(const ResizeContext *context, ResizeSet **ret);
/* Callbacks are not called any more. Changes in flight may be half done; the next start repairs them. */
ResizeSet *resizes_free(ResizeSet *s);

/* client: the bus name of the caller, which must already be allowed to change the reservation. interactive:
 * polkit may ask the user. done is called once, perhaps before this returns; not if a negative errno is
 * returned. */
int resizes_start(ResizeSet *s, Entry *e, uint64_t size_bytes, const char *client, bool interactive,
                  answer_done_t done, void *userdata);
