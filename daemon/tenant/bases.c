/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The fence and the changes of cgroups use the bases, so these change at once, in memory. Storing 100,000 of
 * them takes seconds, so they are stored in slices. */

#include "daemon/tenant/bases.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop/log.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/entry-walk.h"

struct Bases {
        Book *book;
        EntryWalk *storing;
};

static void bases_store(uint32_t id, void *userdata)
{
        Bases *b = userdata;
        Entry *e = book_find(b->book, id);

        if (!e || !nodeset_equal(&e->r->base, &b->book->pools->ordinary))
                return;
        int r = book_store(e);
        if (r < 0)
                log_error("cannot store reservation %" PRIu32 ": %s", e->id, strerror(-r));
        entry_walk_changed(b->storing);
}

void bases_follow(Bases *b, const NodeSet *before)
{
        const NodeSet *now = &b->book->pools->ordinary;
        Entry *e, *next;

        if (nodeset_equal(before, now))
                return;
        HASH_ITER (hh, b->book->entries, e, next) {
                if (nodeset_equal(&e->r->base, before))
                        e->r->base = *now;
        }
        entry_walk_begin(b->storing);
}

int bases_new(Book *book, Bases **ret)
{
        Bases *b = calloc(1, sizeof(*b));

        if (!b)
                return -ENOMEM;
        *b = (Bases){ .book = book };
        int r = entry_walk_new(book->core->event, book->ledger, bases_store, NULL, b, &b->storing);
        if (r < 0) {
                free(b);
                return r;
        }
        *ret = b;
        return 0;
}

Bases *bases_free(Bases *b)
{
        if (!b)
                return NULL;
        entry_walk_finish(b->storing);
        entry_walk_free(b->storing);
        free(b);
        return NULL;
}
