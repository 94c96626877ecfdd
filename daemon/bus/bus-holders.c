/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Manager.ListHolders.
 *
 *   calls wait (bus-callers.h) ── listing (holders.h) ── replies
 *
 * One listing serves all calls that waited when it began; later calls start the next listing. The replies
 * are made in slices, one for each iteration of the event loop. */

#include <errno.h>
#include <stdlib.h>

#include "daemon/bus/bus-callers.h"
#include "daemon/bus/bus-internal.h"
#include "daemon/keeper/holders.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "policy/cdm-names.h"

#define ROWS_SLICE 16

struct BusHolders {
        Book *book;
        HolderSet *holders;
        BusCallers *callers;
        Slice *slice;
        /* state of the listing in flight */
        bool looking, replying;
        sd_bus_message **calls;
        size_t n_calls, next_call;
        const HolderRow *rows; /* lent until holders_end() */
        size_t n_rows, next_row;
        sd_bus_message *reply;
};

static void bus_holders_clear(BusHolders *h)
{
        for (size_t i = 0; i < h->n_calls; i++)
                sd_bus_message_unref(h->calls[i]);
        free(h->calls);
        sd_bus_message_unref(h->reply);
        *h = (BusHolders){
                .book = h->book, .holders = h->holders, .callers = h->callers, .slice = h->slice
        };
}

BusHolders *bus_holders_free(BusHolders *h)
{
        if (!h)
                return NULL;
        bus_holders_clear(h);
        bus_callers_free(h->callers);
        slice_free(h->slice);
        free(h);
        return NULL;
}

static void bus_holders_finish(BusHolders *h, int error)
{
        for (size_t i = h->next_call; error < 0 && i < h->n_calls; i++)
                (void)sd_bus_reply_method_errno(h->calls[i], error, NULL);
        if (h->replying)
                holders_end(h->holders);
        bus_holders_clear(h);
        slice_set(h->slice, true);
}

static void bus_holders_on_look(int error, const HolderRow *rows, size_t n_rows, void *userdata)
{
        BusHolders *h = userdata;

        h->looking = false;
        if (error < 0) {
                bus_holders_finish(h, error);
                return;
        }
        h->replying = true;
        h->rows = rows;
        h->n_rows = n_rows;
        slice_set(h->slice, true);
}

static int take_calls(BusHolders *h)
{
        sd_bus_message *call;

        while ((call = bus_callers_next(h->callers, NULL, NULL))) {
                sd_bus_message **larger = reallocarray(h->calls, h->n_calls + 1, sizeof(*larger));
                if (!larger) {
                        sd_bus_message_unref(call);
                        return -ENOMEM;
                }
                h->calls = larger;
                h->calls[h->n_calls++] = call;
        }
        return h->n_calls > 0;
}

static int bus_holders_begin(BusHolders *h)
{
        int r = take_calls(h);

        slice_set(h->slice, false);
        if (r <= 0)
                return r;
        r = holders_look(h->holders, bus_holders_on_look, h);
        h->looking = r >= 0;
        return r;
}

static int holders_append_row(sd_bus_message *m, const HolderRow *row)
{
        const NumaBytes *b = &row->bytes;

        return sd_bus_message_append(m, CDM_HOLDER, (uint32_t)b->node, row->cgroup,
                                     row->unit ? row->unit : "", numa_bytes_all(b), b->anon, b->file,
                                     b->shmem, b->hugetlb, row->kind, row->name ? row->name : "");
}

/* 1: all calls were answered. */
static int bus_holders_reply(BusHolders *h)
{
        int r = 0;

        if (!h->reply) {
                r = sd_bus_message_new_method_return(h->calls[h->next_call], &h->reply);
                if (r >= 0)
                        r = sd_bus_message_open_container(h->reply, 'a', CDM_HOLDER);
        }
        for (size_t n = 0; r >= 0 && n < ROWS_SLICE && h->next_row < h->n_rows; n++)
                r = holders_append_row(h->reply, &h->rows[h->next_row++]);
        if (r < 0 || h->next_row < h->n_rows)
                return r < 0 ? r : 0;
        r = sd_bus_message_close_container(h->reply);
        if (r >= 0)
                r = sd_bus_send(NULL, h->reply, NULL);
        if (r < 0)
                return r;
        h->reply = sd_bus_message_unref(h->reply);
        h->next_row = 0;
        return ++h->next_call == h->n_calls;
}

static void bus_holders_on_slice(void *userdata)
{
        BusHolders *h = userdata;

        int r = h->replying ? bus_holders_reply(h) : bus_holders_begin(h);
        if (r != 0)
                bus_holders_finish(h, r);
}

static void bus_holders_on_ready(void *userdata)
{
        BusHolders *h = userdata;

        if (!h->looking && !h->replying)
                slice_set(h->slice, true);
}

int bus_holders_new(Book *book, HolderSet *holders, BusHolders **ret)
{
        BusHolders *h = calloc(1, sizeof(*h));

        if (!h)
                return -ENOMEM;
        h->book = book;
        h->holders = holders;
        int r = bus_callers_new(book->core->senders, book->core->peers, &bus_limits_lists,
                                bus_holders_on_ready, h, &h->callers);
        if (r >= 0)
                r = slice_new_patient(book->core->event, bus_holders_on_slice, h, &h->slice);
        if (r < 0) {
                bus_holders_free(h);
                return r;
        }
        *ret = h;
        return 0;
}

int bus_list_holders(Bus *b, sd_bus_message *message)
{
        return bus_callers_add(b->holders->callers, message, "lists of holders", NULL);
}
