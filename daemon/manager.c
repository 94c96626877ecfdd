/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/bus.h"
#include "daemon/log.h"
#include "daemon/manager-buffer.h"
#include "daemon/manager-hold.h"
#include "daemon/manager-holders.h"
#include "daemon/manager.h"
#include "daemon/slice.h"
#include "daemon/usage.h"
#include "policy/cdm-names.h"

/* Four pools, so that what is short never waits for what takes long.
 *
 * worker: reads and writes of a few files. mover: moves pages; its jobs pause, so that all of them get on,
 * and what closes something goes first. filler: buffers and held memory, which take as long as they are
 * large. reader: looks at all cgroups, on behalf of callers or from time to time.
 *
 * More threads would only fight for the same memory bandwidth. */
#define WORKER_THREADS_MAX 4
#define MOVER_THREADS_MAX  4
#define FILLER_THREADS_MAX 2
#define READER_THREADS_MAX 2

static uint64_t clock_usec(clockid_t clock)
{
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t manager_realtime_usec(void)
{
        return clock_usec(CLOCK_REALTIME);
}

uint64_t manager_boottime_usec(void)
{
        return clock_usec(CLOCK_BOOTTIME);
}

uint64_t manager_monotonic_usec(void)
{
        return clock_usec(CLOCK_MONOTONIC);
}

static int open_store(Manager *m)
{
        _cleanup_free_ char *directory = NULL;

        if (asprintf(&directory, "%s" CDM_STATE_DIR, m->root) < 0) {
                directory = NULL;
                return -ENOMEM;
        }
        int r = store_open(directory, &m->store);
        if (r < 0)
                log_error("Cannot keep reservations in %s: %s.", directory, strerror(-r));
        return r < 0 ? r : manager_record_load(m);
}

static int open_workers(Manager *m)
{
        int r = worker_new(m->event, WORKER_THREADS_MAX, &m->worker);

        if (r >= 0)
                r = worker_new(m->event, MOVER_THREADS_MAX, &m->mover);
        if (r >= 0)
                r = worker_new(m->event, FILLER_THREADS_MAX, &m->filler);
        if (r >= 0)
                r = worker_new(m->event, READER_THREADS_MAX, &m->reader);
        return r < 0 ? r : names_new(m->event, m->root, name_lookup, NAMES_PATIENCE_USEC, &m->names);
}

/* What bounds and orders the calls of clients, and those to PID 1 and polkit. */
static int open_calls(Manager *m)
{
        int r = sender_cache_new(m->bus, &m->senders);

        if (r >= 0)
                r = peers_new(m->bus, &m->peers);
        if (r >= 0)
                r = event_limit_new(&m->event_limit);
        if (r >= 0)
                r = authorizer_new(m->bus, m->event, &m->authorizer);
        if (r >= 0)
                r = unit_jobs_new(m->bus, &m->jobs);
        if (r >= 0)
                r = turn_queue_new(m->event, &m->turns);
        return r < 0 ? r : gate_new(m->event, m->bus, UNIT_TIMEOUT_USEC, &m->gate);
}

static int open_books(Manager *m)
{
        int r = ledger_new(&m->ledger);

        if (r >= 0)
                r = queue_new(&m->queue);
        if (r >= 0)
                r = buffers_new(m, &m->buffers);
        if (r >= 0)
                r = holds_new(m, &m->holds);
        if (r >= 0)
                r = bus_lister_new(m, &m->lister);
        if (r >= 0)
                r = bus_lister_new(m, &m->lister_used);
        if (r >= 0)
                r = holders_new(m, &m->holders);
        if (r < 0)
                return r;
        UsageContext usage = { .root = m->root,
                               .event = m->event,
                               .worker = m->worker,
                               .ledger = m->ledger,
                               .buffers = m->buffers };
        return usage_new(&usage, &m->usage);
}

static int open_fence(Manager *m)
{
        _cleanup_free_ char *marks = NULL;

        if (asprintf(&marks, "%s" CDM_FOREIGN_DIR, m->root) < 0) {
                marks = NULL;
                return -ENOMEM;
        }
        int r = foreign_new(marks, &m->foreign);
        if (r < 0) {
                log_error("Cannot use %s: %s.", marks, strerror(-r));
                return r;
        }
        m->fence_context = (FenceContext){
                .event = m->event,
                .gate = m->gate,
                .worker = m->worker,
                .mover = m->mover,
                .turns = m->turns,
                .ledger = m->ledger,
                .foreign = m->foreign,
                .root = m->root,
                .repaired = manager_drift_repaired,
                .userdata = m,
        };
        return fence_new(&m->fence_context, &m->fence);
}

static int open_parts(Manager *m)
{
        int r = open_store(m);

        if (r >= 0)
                r = open_workers(m);
        if (r >= 0)
                r = open_calls(m);
        if (r >= 0)
                r = open_books(m);
        return r < 0 ? r : open_fence(m);
}

int manager_new(const char *root, sd_event *event, sd_bus *bus, Manager **ret)
{
        _cleanup_(manager_free_p) Manager *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        m->root = strdup(root);
        if (!m->root)
                return -ENOMEM;
        m->event = sd_event_ref(event);
        m->bus = sd_bus_ref(bus);
        m->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
        int r = open_parts(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

static void entry_free(Entry *e)
{
        entry_stop(e);
        waiter_free(e->waiter);
        sd_event_source_disable_unref(e->lease);
        free(e);
}

/* Stopping leaves the fence and all grants as they are: this frees memory and touches nothing else. */
Manager *manager_free(Manager *m)
{
        Entry *e, *next;

        if (!m)
                return NULL;
        bus_guarded_free(m);
        m->lister = bus_lister_free(m->lister);
        m->lister_used = bus_lister_free(m->lister_used);
        manager_requests_free(m);
        manager_statics_free(m);
        manager_overrun_free(m);
        manager_grants_free(m);
        manager_checks_free(m);
        manager_watch_free(m);
        manager_drift_free(m);
        m->holders = holders_free(m->holders);
        manager_migrations_free(m);
        manager_reloads_free(m);
        manager_drains_free(m);
        manager_follows_free(m);
        manager_reading_abandon(m);
        manager_record_abandon(m);
        hotplug_free(m->hotplug);
        m->queue_restored = NULL;
        m->buffers = buffers_free(m->buffers);
        m->holds = holds_free(m->holds);
        HASH_ITER (hh, m->entries, e, next) {
                HASH_DEL(m->entries, e);
                entry_free(e);
        }
        unit_call_free(m->unit_events);
        sd_event_source_disable_unref(m->patience);
        sd_event_source_disable_unref(m->names_wait);
        fence_free(m->fence);
        manager_neighbours_free(m);
        usage_free(m->usage);
        worker_free(m->worker);
        worker_free(m->mover);
        worker_free(m->filler);
        worker_free(m->reader);
        foreign_free(m->foreign);
        turn_queue_free(m->turns);
        gate_free(m->gate);
        sender_cache_free(m->senders);
        authorizer_free(m->authorizer);
        peers_free(m->peers);
        event_limit_free(m->event_limit);
        unit_jobs_free(m->jobs);
        names_free(m->names);
        slice_free(m->queue_slice);
        sd_event_source_disable_unref(m->queue_again);
        queue_free(m->queue);
        store_free(m->store);
        manager_record_free(m);
        ledger_free(m->ledger);
        pool_set_free(m->pools);
        config_free(m->config);
        topology_free(m->topology);
        manager_clear_warnings(m);
        free(m->warnings);
        for (size_t i = 0; i < _FACT_MAX; i++)
                free(m->facts[i]);
        free(m->root);
        sd_bus_unref(m->bus);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}

void manager_clear_warnings(Manager *m)
{
        for (size_t i = 0; i < m->n_warnings; i++)
                free(m->warnings[i].text);
        m->n_warnings = 0;
}

void manager_warn(Manager *m, const char *name, const char *format, ...)
{
        char *text;
        va_list ap;

        va_start(ap, format);
        int r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return;
        /* The fence closes again whenever nodes come or go, and has the same to say each time. */
        for (size_t i = 0; i < m->n_warnings; i++)
                if (strcmp(m->warnings[i].text, text) == 0) {
                        free(text);
                        return;
                }
        log_warning("%s", text);
        ManagerWarning *w = reallocarray(m->warnings, m->n_warnings + 1, sizeof(*w));
        if (!w) {
                free(text);
                return;
        }
        m->warnings = w;
        w[m->n_warnings++] = (ManagerWarning){ name, text };
}

void manager_unwarn(Manager *m, const char *text)
{
        for (size_t i = 0; i < m->n_warnings; i++) {
                if (strcmp(m->warnings[i].text, text) != 0)
                        continue;
                free(m->warnings[i].text);
                m->n_warnings--;
                memmove(&m->warnings[i], &m->warnings[i + 1], (m->n_warnings - i) * sizeof(*m->warnings));
                return;
        }
}

Entry *manager_find(Manager *m, uint32_t id)
{
        Entry *e;

        HASH_FIND(hh, m->entries, &id, sizeof(id), e);
        return e;
}

int manager_reservation_new(Manager *m, const Identity *i, const RequestArgs *a, const Decision *d,
                            uint32_t id, Reservation **ret)
{
        _cleanup_(reservation_free_p) Reservation *r = NULL;

        int k = reservation_new(&r);
        if (k < 0)
                return k;
        r->id = id;
        if (id == 0)
                k = store_next_id(m->store, &r->id);
        if (k < 0)
                return k;
        r->target = subject_free(r->target);
        k = subject_copy(i->subject, &r->target);
        if (k < 0)
                return k;
        r->pool = strdup(a->pool);
        r->rule_file = d->rule ? strdup(d->rule->file) : NULL;
        if (!r->pool || (d->rule && !r->rule_file))
                return -ENOMEM;
        r->rule_line = d->line;
        r->size_bytes = d->size_bytes;
        r->priority = a->priority;
        r->exclusive = a->exclusive;
        *ret = TAKE_PTR(r);
        return 0;
}

int manager_add(Manager *m, Reservation *r, StorePhase phase, Entry **ret)
{
        Entry *e = calloc(1, sizeof(*e));

        if (!e)
                return -ENOMEM;
        *e = (Entry){ .manager = m, .id = r->id, .r = r, .phase = phase, .known = phase != STORE_GRANTING };
        int k = ledger_add(m->ledger, r);
        if (k < 0) {
                free(e);
                return k;
        }
        HASH_ADD(hh, m->entries, id, sizeof(e->id), e);
        manager_queue_look(m); /* who waits for the quota that this one uses claims nothing any more */
        *ret = e;
        return 0;
}

void manager_forget(Entry *e)
{
        Manager *m = e->manager;

        int k = store_remove(m->store, e->id);
        if (k < 0)
                log_error("Cannot remove the file of reservation %" PRIu32 ": %s.", e->id, strerror(-k));
        Reservation *r = ledger_take(m->ledger, e->id);
        if (!r) /* there was no memory to put it back: see replace() */
                r = e->r;
        holds_settle(m->holds);
        if (e->known) {
                bus_reservation_removed(m, e->id);
                manager_tell_neighbours(m, r);
        }
        reservation_free(r);
        HASH_DEL(m->entries, e);
        entry_free(e);
        manager_queue_look(m);
}

int manager_store(Entry *e)
{
        return store_write(e->manager->store, e->r, e->phase);
}

void manager_set_state(Entry *e, ReservationState state)
{
        if (e->r->state == state)
                return;
        ledger_set_state(e->manager->ledger, e->r, state);
        if (e->known)
                bus_reservation_changed(e->manager, e->id, "State");
}

/* What else it may be degraded for is judged where nodes are: it is active again when nothing is left. */
void manager_degrade(Entry *e, Degraded why, bool on)
{
        unsigned now = on ? e->degraded | why : e->degraded & ~(unsigned)why;

        if (now == e->degraded)
                return;
        e->degraded = now;
        if (!now) {
                manager_judge(e, true);
                return;
        }
        if (e->r->state != RESERVATION_ACTIVE)
                return;
        manager_set_state(e, RESERVATION_DEGRADED);
        int r = manager_store(e);
        if (r < 0)
                log_error("Cannot store the state of reservation %" PRIu32 ": %s.", e->id, strerror(-r));
}

Event manager_event(const Entry *e, EventKind kind, char nodes[static NODESET_STR_MAX],
                    char policy[static 512])
{
        const Reservation *r = e->r;
        NodeSet set = reservation_nodes(r);

        if (r->rule_file)
                snprintf(policy, 512, "%s:%u", r->rule_file, r->rule_line);
        return (Event){
                .kind = kind,
                .id = e->id,
                .has = EVENT_HAS_SIZE | EVENT_HAS_UID,
                .pool = r->pool,
                .unit = r->target->unit,
                .cgroup = r->target->cgroup,
                .nodes = nodeset_format(&set, nodes),
                .policy = r->rule_file ? policy : NULL,
                .size_bytes = r->size_bytes,
                .uid = r->target->uid,
        };
}
