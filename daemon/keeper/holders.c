/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finds the cgroups that have pages on CDM nodes: a worker reads every control group, PID 1 tells which unit
 * some of them belong to, and the rows are made.
 *
 *   a worker reads ── units are looked up ── rows are made ── rows are lent to the caller
 *
 * The event loop does its part in slices, one for each iteration. */

#include "daemon/keeper/holders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fence/fence-scan.h"
#include "daemon/fence/subtenant.h"
#include "daemon/loop/slice.h"
#include "daemon/pid1/unit.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"

/* PID 1 is asked for the units of so many holders without a reservation, one after the other; the remaining
 * holders are shown without a unit. */
#define LOOKUPS_MAX   128

#define LOOKUPS_SLICE 64
#define ROWS_SLICE    16

typedef enum Phase {
        PHASE_IDLE,
        PHASE_READ,    /* a worker reads the control groups */
        PHASE_LOOK_UP, /* PID 1 is asked for units */
        PHASE_MAKE,    /* rows are made */
        PHASE_LENT,
} Phase;

struct HolderSet {
        Book *book;
        const BufferSet *buffers;
        const HoldSet *holds;
        Slice *slice;
        char *root;
        bool stopping;
        /* state of the listing in flight */
        Phase phase;
        holders_done_t done;
        void *userdata;
        NodeSet nodes;
        Observation *observation; /* the worker writes these two until it has completed */
        Unattributed *unattributed;
        Job *job;
        char **units; /* one for each holder, NULL where not known */
        size_t n_lookups, looking_at;
        UnitCall *lookup;
        HolderRows *rows;
};

static void look_clear(HolderSet *s)
{
        size_t n = s->observation ? s->observation->n_holders : 0;

        s->lookup = unit_call_free(s->lookup);
        s->rows = holder_rows_free(s->rows);
        for (size_t i = 0; s->units && i < n; i++)
                free(s->units[i]);
        free(s->units);
        free(s->unattributed);
        observation_free(s->observation);
        *s = (HolderSet){ .book = s->book,
                          .buffers = s->buffers,
                          .holds = s->holds,
                          .slice = s->slice,
                          .stopping = s->stopping,
                          .root = s->root };
}

static void holders_free_all(HolderSet *s)
{
        look_clear(s);
        free(s->root);
        free(s);
}

/* The worker may still write to the set; worker_free() waits for the worker, and then the job's callback
 * frees the rest. */
HolderSet *holders_free(HolderSet *s)
{
        if (!s)
                return NULL;
        s->stopping = true;
        s->slice = slice_free(s->slice);
        if (!s->job)
                holders_free_all(s);
        return NULL;
}

static void look_fail(HolderSet *s, int error)
{
        holders_done_t done = s->done;
        void *userdata = s->userdata;

        slice_set(s->slice, false);
        look_clear(s);
        done(error, NULL, 0, userdata);
}

static void look_lend(HolderSet *s)
{
        size_t n_rows;
        const HolderRow *rows = holder_rows(s->rows, &n_rows);

        slice_set(s->slice, false);
        s->phase = PHASE_LENT;
        s->done(0, rows, n_rows, s->userdata);
}

void holders_end(HolderSet *s)
{
        look_clear(s);
}

/* --- the look ----------------------------------------------------------------------------------------- */

static int look_on_worker(Job *job, void *userdata)
{
        HolderSet *s = userdata;

        int r = observe_all(s->root, &s->nodes, subtenant_is_split, &s->observation);
        if (r < 0)
                return r;
        s->unattributed = calloc(s->observation->n_nodes + 1, sizeof(*s->unattributed));
        if (!s->unattributed)
                return -ENOMEM;
        for (size_t i = 0; i < s->observation->n_nodes; i++)
                observation_unattributed(s->observation, s->observation->nodes[i].node, &s->unattributed[i]);
        return 0;
}

static void look_on_read(int result, void *userdata)
{
        HolderSet *s = userdata;

        s->job = NULL;
        if (s->stopping) {
                holders_free_all(s);
                return;
        }
        if (result >= 0) {
                s->units = calloc(s->observation->n_holders + 1, sizeof(*s->units));
                if (!s->units)
                        result = -ENOMEM;
        }
        s->phase = PHASE_LOOK_UP;
        if (result < 0)
                look_fail(s, result);
        else
                slice_set(s->slice, true);
}

int holders_look(HolderSet *s, holders_done_t done, void *userdata)
{
        if (s->phase != PHASE_IDLE)
                return -EBUSY;
        s->nodes = s->book->pools->cdm;
        int r = worker_submit(s->book->core->reader, look_on_worker, look_on_read, NULL, s, &s->job);
        if (r < 0)
                return r;
        s->phase = PHASE_READ;
        s->done = done;
        s->userdata = userdata;
        return 0;
}

/* --- units -------------------------------------------------------------------------------------------- */

static void look_on_unit(int error, UnitInfo *info, void *userdata)
{
        HolderSet *c = userdata;

        c->lookup = unit_call_free(c->lookup);
        if (info) {
                c->units[c->looking_at] = TAKE_PTR(info->name);
                unit_info_free(info);
        }
        c->looking_at++;
        slice_set(c->slice, true);
}

static bool needs_look_up(const HolderSet *s, const Holder *h)
{
        return !h->inner && h->cgroup[1] != '\0' && !ledger_find_above(s->book->ledger, h->cgroup);
}

static void look_up(HolderSet *c)
{
        const Observation *o = c->observation;

        for (size_t n = 0; c->looking_at < o->n_holders; c->looking_at++) {
                if (needs_look_up(c, &o->holders[c->looking_at]))
                        break;
                if (++n == LOOKUPS_SLICE)
                        return;
        }
        if (c->looking_at == o->n_holders || c->n_lookups++ == LOOKUPS_MAX ||
            unit_get_by_cgroup(c->book->core->gate, GATE_HOLDERS, o->holders[c->looking_at].cgroup,
                               look_on_unit, c, &c->lookup) < 0)
                c->phase = PHASE_MAKE;
        else
                slice_set(c->slice, false);
}

/* --- rows --------------------------------------------------------------------------------------------- */

/* 1: all rows are made. */
static int look_make(HolderSet *s)
{
        int r = 0;

        if (!s->rows)
                r = holder_rows_new(s->book, s->buffers, s->holds, s->observation, s->units, s->unattributed,
                                    &s->rows);
        return r < 0 ? r : holder_rows_make(s->rows);
}

static void holders_on_slice(void *userdata)
{
        HolderSet *s = userdata;
        int r = 0;

        if (s->phase == PHASE_LOOK_UP)
                look_up(s);
        else if (s->phase == PHASE_MAKE)
                r = look_make(s);
        if (r < 0)
                look_fail(s, r);
        else if (r > 0)
                look_lend(s);
}

int holders_new(Book *book, const BufferSet *buffers, const HoldSet *holds, HolderSet **ret)
{
        HolderSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->book = book;
        s->buffers = buffers;
        s->holds = holds;
        s->root = strdup(book->core->root);
        int r = s->root ? slice_new(book->core->event, holders_on_slice, s, &s->slice) : -ENOMEM;
        if (r < 0) {
                holders_free(s);
                return r;
        }
        *ret = s;
        return 0;
}
