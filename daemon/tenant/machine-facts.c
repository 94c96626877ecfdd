/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Settings of the kernel and of drivers. There are no events for their changes, so they are read for each
 * query, and a warning disappears as soon as its advice was followed. A worker reads them, because a driver
 * may block the reader of its files. All queries during a read, and within MACHINE_FRESH_USEC after its
 * start, get its result. If a driver does not answer within MACHINE_PATIENCE_USEC, queries get the previous
 * values. */

#include "daemon/tenant/machine-facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/fence/fence.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/machine/topology-read.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/record.h"
#include "policy/cdm-names.h"

/* Shorter than an administrator needs to follow an advice and query again. */
#define MACHINE_FRESH_USEC    UINT64_C(10000)
#define MACHINE_PATIENCE_USEC (UINT64_C(5) * 1000 * 1000)

struct MachineLook {
        MachineFacts *facts;
        done_t done;
        void *userdata;
        MachineLook *prev, *next;
};

/* Owned by its job until the job has completed. */
typedef struct MachineRead {
        MachineFacts *facts; /* NULL: already freed */
        char *root;
        Topology *topology;
} MachineRead;

struct MachineFacts {
        Book *book;
        Fence *fence;
        Record *record;
        MachineRead *read; /* in flight */
        Job *job;
        uint64_t read_usec; /* when the last read began */
        sd_event_source *patience;
        bool is_late; /* the read in flight has exceeded MACHINE_PATIENCE_USEC */
        bool serving; /* callbacks are running; a query from a callback gets the current values */
        MachineLook *looks;
        char *texts[_FACT_MAX];
};

static void machine_read_free(MachineRead *r)
{
        free(r->root);
        topology_free(r->topology);
        free(r);
}

void machine_facts_judge(MachineFacts *f)
{
        Book *book = f->book;

        for (Fact i = 0; i < _FACT_MAX; i++) {
                char *text = NULL;

                if (fact_judge(i, book->topology, book->pools, &text) < 0)
                        continue; /* out of memory: keep the previous text */
                if (text && (!f->texts[i] || strcmp(text, f->texts[i]) != 0))
                        log_warning("%s", text);
                free(f->texts[i]);
                f->texts[i] = text;
        }
        record_judge(f->record, book->topology, book->pools);
}

/* A callback may free other looks, and request a new one. */
static void machine_serve(MachineFacts *f)
{
        f->serving = true;
        f->patience = sd_event_source_disable_unref(f->patience);
        while (f->looks) {
                MachineLook l = *f->looks;

                machine_look_free(f->looks);
                l.done(0, l.userdata);
        }
        f->serving = false;
}

static int machine_on_patience_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        MachineFacts *f = userdata;

        f->is_late = true;
        machine_serve(f);
        return 0;
}

static int machine_on_worker(Job *job _unused_, void *userdata)
{
        MachineRead *r = userdata;

        return topology_read_facts(r->root, r->topology);
}

static void machine_on_read(int result, void *userdata)
{
        MachineRead *r = userdata;
        MachineFacts *f = r->facts;

        if (f) {
                f->read = NULL;
                f->job = NULL;
                f->is_late = false;
                if (result >= 0) {
                        topology_take_facts(f->book->topology, r->topology);
                        machine_facts_judge(f);
                }
                machine_serve(f);
        }
        machine_read_free(r);
}

static int machine_read(MachineFacts *f)
{
        Book *book = f->book;
        MachineRead *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        *r = (MachineRead){ .facts = f, .root = strdup(book->core->root) };
        int k = r->root ? topology_copy_devices(book->topology, &r->topology) : -ENOMEM;
        if (k >= 0)
                k = worker_submit(book->core->worker, machine_on_worker, machine_on_read, NULL, r, &f->job);
        if (k < 0) {
                machine_read_free(r);
                return k;
        }
        f->read = r;
        f->read_usec = clock_monotonic_usec();
        return 0;
}

static int machine_begin(MachineFacts *f)
{
        if (f->serving)
                return 1;
        if (f->read)
                return f->is_late;
        if (clock_monotonic_usec() - f->read_usec < MACHINE_FRESH_USEC)
                return 1;
        return machine_read(f);
}

int machine_look(MachineFacts *f, done_t done, void *userdata, MachineLook **ret)
{
        int r = machine_begin(f);

        if (r != 0)
                return r;
        if (!f->patience)
                r = sd_event_add_time_relative(f->book->core->event, &f->patience, CLOCK_MONOTONIC,
                                               MACHINE_PATIENCE_USEC, 0, machine_on_patience_over, f);
        MachineLook *l = r < 0 ? NULL : calloc(1, sizeof(*l));
        if (!l)
                return r < 0 ? r : -ENOMEM;
        *l = (MachineLook){ .facts = f, .done = done, .userdata = userdata };
        DL_APPEND(f->looks, l);
        *ret = l;
        return 0;
}

MachineLook *machine_look_free(MachineLook *l)
{
        if (!l)
                return NULL;
        DL_DELETE(l->facts->looks, l);
        free(l);
        return NULL;
}

int machine_facts_new(Book *book, Fence *fence, Record *record, MachineFacts **ret)
{
        MachineFacts *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        f->book = book;
        f->fence = fence;
        f->record = record;
        *ret = f;
        return 0;
}

MachineFacts *machine_facts_free(MachineFacts *f)
{
        if (!f)
                return NULL;
        while (f->looks)
                machine_look_free(f->looks);
        sd_event_source_disable_unref(f->patience);
        for (size_t i = 0; i < _FACT_MAX; i++)
                free(f->texts[i]);
        if (f->read) {
                f->read->facts = NULL;
                job_cancel(f->job);
        }
        free(f);
        return NULL;
}

const char *machine_facts_get(const MachineFacts *f, Fact fact)
{
        return f->texts[fact];
}

const char *machine_fence_state(const MachineFacts *f, const Pool *pool)
{
        const Book *book = f->book;
        FenceState state = fence_state(f->fence);
        const NodeSet *nodes = pool ? &pool->nodes : &book->pools->cdm;

        if ((state == FENCE_CLOSED || state == FENCE_LEAKY) &&
            facts_pool_takes_demotions(book->topology, &book->pools->ordinary, nodes))
                return CDM_FENCE_OPEN_DEMOTION;
        return fence_state_to_string(state);
}
