/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/tenant/entry-walk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "daemon/loop/slice.h"

#define ENTRIES_A_SLICE 64
#define CHANGES_A_SLICE 8

struct EntryWalk {
        const Ledger *ledger;
        entry_walk_t fn;
        done_t ended;
        void *userdata;
        Slice *slice;
        uint32_t last_id;
        unsigned n_changes; /* in this slice */
        bool anew;          /* the walk began anew in this slice */
        bool under_way;
};

/* The ledger must not change while it is walked, so the ids are collected first. */
typedef struct EntryIds {
        uint32_t ids[ENTRIES_A_SLICE];
        size_t n;
} EntryIds;

static int entry_walk_collect(Reservation *r, void *userdata)
{
        EntryIds *i = userdata;

        i->ids[i->n++] = r->id;
        return i->n == ENTRIES_A_SLICE;
}

static void entry_walk_on_slice(void *userdata)
{
        EntryWalk *w = userdata;
        EntryIds i = { .n = 0 };
        size_t k = 0;

        w->n_changes = 0;
        w->anew = false;
        (void)ledger_foreach_after(w->ledger, w->last_id, entry_walk_collect, &i);
        while (k < i.n && w->n_changes < CHANGES_A_SLICE && !w->anew)
                w->fn(i.ids[k++], w->userdata);
        if (w->anew)
                return;
        if (k > 0)
                w->last_id = i.ids[k - 1];
        if (k < ENTRIES_A_SLICE && k == i.n) {
                entry_walk_stop(w);
                if (w->ended)
                        w->ended(0, w->userdata);
        }
}

int entry_walk_new(sd_event *event, const Ledger *ledger, entry_walk_t fn, done_t ended, void *userdata,
                   EntryWalk **ret)
{
        EntryWalk *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        *w = (EntryWalk){ .ledger = ledger, .fn = fn, .ended = ended, .userdata = userdata };
        int r = slice_new(event, entry_walk_on_slice, w, &w->slice);
        if (r < 0) {
                free(w);
                return r;
        }
        *ret = w;
        return 0;
}

EntryWalk *entry_walk_free(EntryWalk *w)
{
        if (!w)
                return NULL;
        slice_free(w->slice);
        free(w);
        return NULL;
}

void entry_walk_begin(EntryWalk *w)
{
        w->last_id = 0;
        w->anew = w->under_way = true;
        slice_set(w->slice, true);
}

void entry_walk_changed(EntryWalk *w)
{
        w->n_changes++;
}

void entry_walk_finish(EntryWalk *w)
{
        while (w->under_way)
                entry_walk_on_slice(w);
}

void entry_walk_stop(EntryWalk *w)
{
        w->under_way = false;
        slice_set(w->slice, false);
}
