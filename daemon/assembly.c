/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Makes all parts of the manager and frees them, and says what follows from what: the only file that knows
 * every part. */

#include "daemon/assembly.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/keeper/below-units.h"
#include "daemon/keeper/drift.h"
#include "daemon/keeper/holders.h"
#include "daemon/keeper/node-drain.h"
#include "daemon/keeper/node-watch.h"
#include "daemon/keeper/reload.h"
#include "daemon/keeper/start.h"
#include "daemon/keeper/tree-events.h"
#include "daemon/loop/log.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/follow.h"
#include "daemon/tenant/grant.h"
#include "daemon/tenant/holds.h"
#include "daemon/tenant/leases.h"
#include "daemon/tenant/machine-facts.h"
#include "daemon/tenant/migrate.h"
#include "daemon/tenant/neighbours.h"
#include "daemon/tenant/overruns.h"
#include "daemon/tenant/owner-ask.h"
#include "daemon/tenant/queue-server.h"
#include "daemon/tenant/record.h"
#include "daemon/tenant/release.h"
#include "daemon/tenant/request.h"
#include "daemon/tenant/resizes.h"
#include "daemon/tenant/statics.h"
#include "daemon/tenant/unit-check.h"
#include "daemon/tenant/usage.h"
#include "daemon/tenant/vouches.h"
#include "daemon/tenant/waiter.h"
#include "daemon/tenant/warnings.h"
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

static int open_store(Manager *m)
{
        _cleanup_free_ char *directory = NULL;

        if (asprintf(&directory, "%s" CDM_STATE_DIR, m->root) < 0) {
                directory = NULL;
                return -ENOMEM;
        }
        int r = store_open(directory, &m->store);
        if (r < 0)
                log_error("cannot keep reservations in %s: %s", directory, strerror(-r));
        return r;
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
        if (r >= 0)
                r = record_new(m->root, m->worker, &m->record);
        return r < 0 ? r : names_new(m->event, m->root, name_lookup, NAMES_PATIENCE_USEC, &m->names);
}

/* What bounds and orders the calls of clients, and those to PID 1 and polkit. */
static int open_calls(Manager *m)
{
        int r = notify_new(&m->notify);

        if (r >= 0)
                r = sender_cache_new(m->bus, &m->senders);
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
        if (r >= 0)
                r = gate_new(m->event, m->bus, UNIT_TIMEOUT_USEC, &m->gate);
        m->identity_context = (IdentityContext){ .gate = m->gate,
                                                 .senders = m->senders,
                                                 .names = m->names,
                                                 .worker = m->worker,
                                                 .root = m->root };
        return r;
}

static uint32_t usage_mark_buffers(const void *set)
{
        return buffers_mark(set);
}

static void usage_foreach_buffer(const void *set, uint32_t mark, usage_buffer_t fn, void *userdata)
{
        buffers_foreach(set, mark, fn, userdata);
}

static int open_books(Manager *m)
{
        int r = ledger_new(&m->ledger);

        if (r >= 0)
                r = queue_new(&m->queue);
        if (r >= 0)
                r = warnings_new(&m->warnings);
        if (r >= 0)
                r = machine_facts_new(m, &m->facts);
        return r;
}

static int open_tenants(Manager *m)
{
        int r = requests_new(m, &m->requests);

        if (r >= 0)
                r = waiters_new(m, &m->waiters);
        if (r >= 0)
                r = leases_new(m, &m->leases);
        if (r >= 0)
                r = unit_checks_new(m, &m->unit_checks);
        if (r >= 0)
                r = buffers_new(m, &m->buffers);
        if (r >= 0)
                r = holds_new(m, &m->holds);
        if (r >= 0)
                r = queue_server_new(m, &m->queue_server);
        if (r >= 0)
                r = statics_new(m, &m->statics);
        if (r >= 0)
                r = vouches_new(m->store, m->worker, &m->vouches);
        if (r >= 0)
                r = resizes_new(m, &m->resizes);
        if (r >= 0)
                r = migrations_new(m, &m->migrations);
        if (r >= 0)
                r = overruns_new(m, &m->overrun);
        if (r >= 0)
                r = neighbours_new(m->event, m->ledger, m->notify, &m->neighbours);
        if (r >= 0)
                r = follows_new(m, &m->follows);
        return r;
}

static int open_keepers(Manager *m)
{
        int r = owner_asks_new(m, &m->owner_asks);

        if (r >= 0)
                r = start_new(m, &m->start);
        if (r >= 0)
                r = reloads_new(m, &m->reloads);
        if (r >= 0)
                r = drift_new(m, &m->drift);
        if (r >= 0)
                r = tree_events_new(m, &m->tree_events);
        if (r >= 0)
                r = node_watch_new(m, &m->node_watch);
        if (r >= 0)
                r = node_drains_new(m, &m->node_drains);
        if (r >= 0)
                r = holders_new(m, &m->holders);
        return r;
}

static int open_usage(Manager *m)
{
        m->usage_buffers = (UsageBuffers){ usage_mark_buffers, usage_foreach_buffer, m->buffers };
        UsageContext usage = { .root = m->root,
                               .event = m->event,
                               .worker = m->worker,
                               .ledger = m->ledger,
                               .buffers = &m->usage_buffers };
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
                log_error("cannot use %s: %s", marks, strerror(-r));
                return r;
        }
        FenceContext context = {
                .event = m->event,
                .gate = m->gate,
                .worker = m->worker,
                .mover = m->mover,
                .turns = m->turns,
                .ledger = m->ledger,
                .foreign = m->foreign,
                .root = m->root,
                .repaired = drift_on_fence_repaired,
                .userdata = m->drift,
        };
        r = below_units_new(m, &m->below_units);
        return r < 0 ? r : fence_new(&context, &m->fence);
}

/* What follows from what. */
static void assembly_on_notice(const Notice *n, void *userdata)
{
        Manager *m = userdata;

        switch (n->kind) {
        case NOTICE_RESERVATION_CAME:
                neighbours_tell(m->neighbours, n->entry->r);
                overruns_arm(m->overrun);
                return;
        case NOTICE_RESERVATION_LEFT:
                holds_settle(m->holds);
                if (n->entry->known) {
                        neighbours_tell(m->neighbours, n->reservation);
                        overruns_arm(m->overrun);
                }
                release_stop(n->entry);
                n->entry->waiter = waiter_free(n->entry->waiter);
                lease_forget(n->entry);
                return;
        case NOTICE_FENCE_BEGINS:
                tree_events_watch(m->tree_events, n->wanted);
                return;
        case NOTICE_NODES:
                node_watch_outdate(m->node_watch);
                return;
        case NOTICE_SYSTEMD:
                drift_systemd(m->drift, n->reason);
                return;
        case NOTICE_ROOM:
                queue_server_look(m->queue_server);
                return;
        default:
                return;
        }
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
        if (r >= 0)
                r = open_tenants(m);
        if (r >= 0)
                r = open_usage(m);
        if (r >= 0)
                r = open_keepers(m);
        if (r >= 0)
                r = open_fence(m);
        return r < 0 ? r : notify_subscribe(m->notify, assembly_on_notice, m);
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
        m->release = release_start;
        m->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
        int r = open_parts(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

/* Stopping leaves the fence and all grants as they are: this frees memory and touches nothing else. */
Manager *manager_free(Manager *m)
{
        Entry *e, *next;

        if (!m)
                return NULL;
        notify_unsubscribe(m->notify, assembly_on_notice, m); /* from here on nothing follows */
        m->requests = requests_free(m->requests);
        m->statics = statics_free(m->statics);
        m->overrun = overruns_free(m->overrun);
        manager_grants_free(m);
        m->unit_checks = unit_checks_free(m->unit_checks);
        m->tree_events = tree_events_free(m->tree_events);
        m->owner_asks = owner_asks_free(m->owner_asks);
        m->drift = drift_free(m->drift);
        m->below_units = below_units_free(m->below_units);
        m->vouches = vouches_free(m->vouches);
        m->holders = holders_free(m->holders);
        m->migrations = migrations_free(m->migrations);
        m->resizes = resizes_free(m->resizes);
        m->reloads = reloads_free(m->reloads);
        m->node_drains = node_drains_free(m->node_drains);
        m->follows = follows_free(m->follows);
        m->node_watch = node_watch_free(m->node_watch);
        m->record = record_free(m->record);
        m->facts = machine_facts_free(m->facts);
        if (m->waiters)
                waiters_stop(m->waiters);
        m->queue_server = queue_server_free(m->queue_server);
        m->buffers = buffers_free(m->buffers);
        m->holds = holds_free(m->holds);
        HASH_ITER (hh, m->entries, e, next) {
                release_stop(e);
                e->waiter = waiter_free(e->waiter);
                lease_forget(e);
        }
        manager_entries_free(m);
        waiters_free(m->waiters);
        leases_free(m->leases);
        start_free(m->start);
        fence_free(m->fence);
        neighbours_free(m->neighbours);
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
        queue_free(m->queue);
        store_free(m->store);
        ledger_free(m->ledger);
        pool_set_free(m->pools);
        config_free(m->config);
        topology_free(m->topology);
        warnings_free(m->warnings);
        free(m->root);
        notify_free(m->notify);
        sd_bus_unref(m->bus);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}
