/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who has pages on CDM nodes: a worker reads every control group, PID 1 names those of its units, and the
 * rows are made and sent.
 *
 *   calls wait (callers.h) ── look: a worker reads ── units are looked up ── rows are made ── replies
 *
 * One look at a time serves all callers that waited when it began: many callers keep one worker busy, and
 * none waits for more than two looks. What the event loop does about a look is done in slices, one a turn.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/callers.h"
#include "daemon/fence-scan.h"
#include "daemon/log.h"
#include "daemon/manager-holders.h"
#include "policy/cdm-names.h"

/* Of holders without a reservation, so many are looked up at PID 1, one after the other; the rest are shown
 * by their cgroup. */
#define LOOKUPS_MAX   128

#define LOOKUPS_SLICE 64
#define ROWS_SLICE    32

typedef enum Phase {
        PHASE_IDLE,
        PHASE_READ,    /* a worker reads the control groups */
        PHASE_LOOK_UP, /* PID 1 is asked for units */
        PHASE_MAKE,    /* rows */
        PHASE_REPLY,
} Phase;

struct HolderSet {
        Manager *manager;
        Callers *callers;
        sd_event_source *slice;
        bool stopping;
        /* of the look under way */
        Phase phase;
        sd_bus_message **calls;
        size_t n_calls, next_call;
        char *root;
        NodeSet nodes;
        Observation *observation; /* these two are written by the worker until it is done */
        Unattributed *unattributed;
        Job *job;
        char **units; /* one a holder, NULL where not known */
        size_t n_lookups, looking_at;
        UnitCall *lookup;
        HolderRows *rows;
        sd_bus_message *reply;
        size_t next_row;
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
        for (size_t i = 0; i < s->n_calls; i++)
                sd_bus_message_unref(s->calls[i]);
        free(s->calls);
        sd_bus_message_unref(s->reply);
        *s = (HolderSet){ .manager = s->manager,
                          .callers = s->callers,
                          .slice = s->slice,
                          .stopping = s->stopping,
                          .root = s->root };
}

static void holders_set_slice(HolderSet *s, bool on)
{
        int r = sd_event_source_set_enabled(s->slice, on ? SD_EVENT_ON : SD_EVENT_OFF);

        if (r < 0)
                log_error("Cannot go on with a list of holders: %s.", strerror(-r));
}

static void holders_free_all(HolderSet *s)
{
        look_clear(s);
        free(s->root);
        free(s);
}

/* The worker may still write to the look; worker_free() waits for it, and then the job's end frees the rest.
 */
HolderSet *holders_free(HolderSet *s)
{
        if (!s)
                return NULL;
        s->stopping = true;
        s->callers = callers_free(s->callers);
        s->slice = sd_event_source_disable_unref(s->slice);
        if (!s->job)
                holders_free_all(s);
        return NULL;
}

/* Calls that came meanwhile start the next look. */
static void look_finish(HolderSet *s, int error)
{
        for (size_t i = s->next_call; error < 0 && i < s->n_calls; i++)
                (void)sd_bus_reply_method_errno(s->calls[i], error, NULL);
        look_clear(s);
        holders_set_slice(s, true);
}

static void holders_on_ready(void *userdata)
{
        HolderSet *s = userdata;

        if (s->phase == PHASE_IDLE)
                holders_set_slice(s, true);
}

/* --- the look ----------------------------------------------------------------------------------------- */

static int look_on_worker(Job *job, void *userdata)
{
        HolderSet *s = userdata;

        int r = observe_all(s->root, &s->nodes, &s->observation);
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
                look_finish(s, result);
        else
                holders_set_slice(s, true);
}

static int take_calls(HolderSet *s)
{
        sd_bus_message *call;

        while ((call = callers_next(s->callers))) {
                sd_bus_message **larger = reallocarray(s->calls, s->n_calls + 1, sizeof(*larger));
                if (!larger) {
                        sd_bus_message_unref(call);
                        return -ENOMEM;
                }
                s->calls = larger;
                s->calls[s->n_calls++] = call;
        }
        return s->n_calls > 0;
}

static int look_begin(HolderSet *s)
{
        int r = take_calls(s);

        holders_set_slice(s, false);
        if (r <= 0)
                return r;
        s->phase = PHASE_READ;
        s->nodes = s->manager->pools->cdm;
        return worker_submit(s->manager->reader, look_on_worker, look_on_read, NULL, s, &s->job);
}

/* --- units -------------------------------------------------------------------------------------------- */

static void on_unit(int error, UnitInfo *info, void *userdata)
{
        HolderSet *c = userdata;

        c->lookup = unit_call_free(c->lookup);
        if (info) {
                c->units[c->looking_at] = TAKE_PTR(info->name);
                unit_info_free(info);
        }
        c->looking_at++;
        holders_set_slice(c, true);
}

static bool needs_look_up(const HolderSet *s, const Holder *h)
{
        return !h->inner && h->cgroup[1] != '\0' && !ledger_find_above(s->manager->ledger, h->cgroup);
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
            unit_get_by_cgroup(c->manager->gate, GATE_HOLDERS, o->holders[c->looking_at].cgroup, on_unit, c,
                               &c->lookup) < 0)
                c->phase = PHASE_MAKE;
        else
                holders_set_slice(c, false);
}

/* --- rows and replies --------------------------------------------------------------------------------- */

static int look_make(HolderSet *s)
{
        int r = 0;

        if (!s->rows)
                r = holder_rows_new(s->manager, s->observation, s->units, s->unattributed, &s->rows);
        if (r >= 0)
                r = holder_rows_make(s->rows);
        if (r > 0)
                s->phase = PHASE_REPLY;
        return r < 0 ? r : 0;
}

static int append_row(sd_bus_message *m, const HolderRow *row)
{
        const NumaBytes *b = &row->bytes;

        return sd_bus_message_append(m, CDM_HOLDER, (uint32_t)b->node, row->cgroup,
                                     row->unit ? row->unit : "", numa_bytes_all(b), b->anon, b->file,
                                     b->shmem, b->hugetlb, row->kind, row->name ? row->name : "");
}

/* 1: all were answered. */
static int look_reply(HolderSet *s)
{
        size_t n_rows;
        const HolderRow *rows = holder_rows(s->rows, &n_rows);
        int r = 0;

        if (!s->reply) {
                r = sd_bus_message_new_method_return(s->calls[s->next_call], &s->reply);
                if (r >= 0)
                        r = sd_bus_message_open_container(s->reply, 'a', CDM_HOLDER);
        }
        for (size_t n = 0; r >= 0 && n < ROWS_SLICE && s->next_row < n_rows; n++)
                r = append_row(s->reply, &rows[s->next_row++]);
        if (r < 0 || s->next_row < n_rows)
                return r < 0 ? r : 0;
        r = sd_bus_message_close_container(s->reply);
        if (r >= 0)
                r = sd_bus_send(NULL, s->reply, NULL);
        if (r < 0)
                return r;
        s->reply = sd_bus_message_unref(s->reply);
        s->next_row = 0;
        return ++s->next_call == s->n_calls;
}

static int look_step(HolderSet *s)
{
        switch (s->phase) {
        case PHASE_IDLE:
                return look_begin(s);
        case PHASE_LOOK_UP:
                look_up(s);
                return 0;
        case PHASE_MAKE:
                return look_make(s);
        case PHASE_REPLY:
                return look_reply(s);
        default:
                return 0;
        }
}

static int holders_on_slice(sd_event_source *source, void *userdata)
{
        HolderSet *s = userdata;

        int r = look_step(s);
        if (r != 0)
                look_finish(s, r);
        return 0;
}

int holders_new(Manager *m, HolderSet **ret)
{
        HolderSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->manager = m;
        s->root = strdup(m->root);
        int r = s->root ? callers_new(m->senders, holders_on_ready, s, &s->callers) : -ENOMEM;
        if (r >= 0)
                r = sd_event_add_defer(m->event, &s->slice, holders_on_slice, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->slice, SD_EVENT_OFF);
        if (r < 0) {
                holders_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

int holders_list(HolderSet *s, sd_bus_message *call)
{
        return callers_add(s->callers, call, "lists of holders");
}
