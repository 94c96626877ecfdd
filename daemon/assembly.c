/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Creates and frees all parts of the daemon, and decides which part acts on which notice. This is the only
 * file that knows every part. */

#include "daemon/assembly.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/bus/bus.h"
#include "daemon/caller/authorize.h"
#include "daemon/caller/sender.h"
#include "daemon/fence/fence.h"
#include "daemon/fence/foreign.h"
#include "daemon/keeper/admit.h"
#include "daemon/keeper/below-units.h"
#include "daemon/keeper/drift.h"
#include "daemon/keeper/holders.h"
#include "daemon/keeper/node-drain.h"
#include "daemon/keeper/node-watch.h"
#include "daemon/keeper/reload.h"
#include "daemon/keeper/start.h"
#include "daemon/keeper/tree-events.h"
#include "daemon/loop/event-limit.h"
#include "daemon/loop/log.h"
#include "daemon/loop/notify.h"
#include "daemon/loop/peers.h"
#include "daemon/loop/slice.h"
#include "daemon/loop/store.h"
#include "daemon/loop/turn.h"
#include "daemon/loop/worker.h"
#include "daemon/machine/names.h"
#include "daemon/pid1/gate.h"
#include "daemon/pid1/unit-jobs.h"
#include "daemon/tenant/bases.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/change.h"
#include "daemon/tenant/degrade.h"
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
#include "policy/config.h"
#include "policy/ledger.h"
#include "policy/pool.h"
#include "policy/queue.h"
#include "policy/topology.h"

/* There are four thread pools, so that short jobs never wait for long ones:
 *
 *   worker  reads and writes a few files per job
 *   mover   moves pages; its jobs pause so that all of them make progress, and jobs that close nodes go first
 *   filler  allocates buffers and held memory; a job takes time in proportion to the size
 *   reader  reads all cgroups, for a caller or periodically; the machine's nodes; the configuration
 *
 * More threads would only compete for the same memory bandwidth. */
#define WORKER_THREADS_MAX 4
#define MOVER_THREADS_MAX  4
#define FILLER_THREADS_MAX 2
#define READER_THREADS_MAX 2

static int open_store(Assembly *a)
{
        _cleanup_free_ char *directory = NULL;

        if (asprintf(&directory, "%s" CDM_STATE_DIR, a->core.root) < 0) {
                directory = NULL;
                return -ENOMEM;
        }
        int r = store_open(directory, &a->core.store);
        if (r < 0)
                log_error("cannot keep reservations in %s: %s", directory, strerror(-r));
        return r;
}

static int open_workers(Assembly *a)
{
        int r = worker_new(a->core.event, WORKER_THREADS_MAX, &a->core.worker);

        if (r >= 0)
                r = worker_new(a->core.event, MOVER_THREADS_MAX, &a->core.mover);
        if (r >= 0)
                r = worker_new(a->core.event, FILLER_THREADS_MAX, &a->core.filler);
        if (r >= 0)
                r = worker_new(a->core.event, READER_THREADS_MAX, &a->core.reader);
        if (r >= 0)
                r = record_new(a->core.root, a->core.worker, &a->record);
        return r < 0 ? r
                     : names_new(a->core.event, a->core.root, name_lookup, NAMES_PATIENCE_USEC,
                                 &a->core.names);
}

/* Creates the parts that limit and order calls: from clients, to PID 1, and to polkit. */
static int open_calls(Assembly *a)
{
        int r = notify_new(&a->core.notify);

        if (r >= 0)
                r = sender_cache_new(a->core.bus, &a->core.senders);
        if (r >= 0)
                r = peers_new(a->core.bus, &a->core.peers);
        if (r >= 0)
                r = event_limit_new(&a->core.event_limit);
        if (r >= 0)
                r = authorizer_new(a->core.bus, a->core.event, &a->core.authorizer);
        if (r >= 0)
                r = unit_jobs_new(a->core.bus, &a->core.jobs);
        if (r >= 0)
                r = turn_queue_new(a->core.event, &a->core.turns);
        if (r >= 0)
                r = gate_new(a->core.event, a->core.bus, UNIT_TIMEOUT_USEC, &a->core.gate);
        a->core.identity_context = &a->identity_context;
        a->identity_context = (IdentityContext){ .gate = a->core.gate,
                                                 .senders = a->core.senders,
                                                 .names = a->core.names,
                                                 .worker = a->core.worker,
                                                 .root = a->core.root };
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

static int open_usage(Assembly *a)
{
        a->usage_buffers = (UsageBuffers){ usage_mark_buffers, usage_foreach_buffer, a->buffers };
        UsageContext usage = { .root = a->core.root,
                               .event = a->core.event,
                               .worker = a->core.worker,
                               .ledger = a->book.ledger,
                               .buffers = &a->usage_buffers };
        return usage_new(&usage, &a->book.usage);
}

/* Callbacks for parts that are created before the part that they call, because the latter depends on
 * them. */
static int assembly_release(Entry *e, void *userdata)
{
        return release_start(((Assembly *)userdata)->releases, e);
}

static void assembly_on_fence_repaired(const FenceRepair *repair, void *userdata)
{
        drift_on_fence_repaired(repair, ((Assembly *)userdata)->drift);
}

static int open_fence(Assembly *a)
{
        _cleanup_free_ char *marks = NULL;

        if (asprintf(&marks, "%s" CDM_FOREIGN_DIR, a->core.root) < 0) {
                marks = NULL;
                return -ENOMEM;
        }
        int r = foreign_new(marks, &a->foreign);
        if (r < 0) {
                log_error("cannot use %s: %s", marks, strerror(-r));
                return r;
        }
        FenceContext context = {
                .event = a->core.event,
                .gate = a->core.gate,
                .worker = a->core.worker,
                .mover = a->core.mover,
                .turns = a->core.turns,
                .ledger = a->book.ledger,
                .foreign = a->foreign,
                .root = a->core.root,
                .repaired = assembly_on_fence_repaired,
                .userdata = a,
        };
        return fence_new(&context, &a->fence);
}

static int open_books(Assembly *a)
{
        int r = ledger_new(&a->book.ledger);

        if (r >= 0)
                r = queue_new(&a->book.queue);
        if (r >= 0)
                r = warnings_new(&a->warnings);
        if (r >= 0)
                r = vouches_new(a->core.store, a->core.worker, &a->vouches);
        if (r >= 0)
                r = open_fence(a);
        return r < 0 ? r : machine_facts_new(&a->book, a->fence, a->record, &a->facts);
}

/* Creates the parts that manage what tenants hold: buffers, nodes, leases. */
static int open_tenants(Assembly *a)
{
        int r = holds_new(&a->book, &a->holds);

        if (r >= 0)
                r = buffers_new(&a->book, a->holds, assembly_release, a, &a->buffers);
        if (r >= 0)
                r = open_usage(a);
        a->changes = (ChangeContext){ .book = &a->book, .buffers = a->buffers, .foreign = a->foreign };
        if (r >= 0)
                r = leases_new(&a->book, assembly_release, a, &a->leases);
        if (r >= 0)
                r = owner_asks_new(&a->book, a->fence, &a->owner_asks);
        if (r >= 0)
                r = unit_checks_new(&a->book, &a->changes, a->owner_asks, &a->unit_checks);
        if (r >= 0)
                r = releases_new(&a->changes, a->holds, a->unit_checks, &a->releases);
        if (r >= 0)
                r = follows_new(&a->book, &a->changes, a->unit_checks, &a->follows);
        if (r >= 0)
                r = degrades_new(&a->book, a->follows, a->buffers, &a->degrades);
        if (r >= 0)
                r = migrations_new(&a->book, &a->changes, &a->migrations);
        if (r >= 0)
                r = overruns_new(&a->book, &a->changes, a->releases, &a->overrun);
        if (r >= 0)
                r = neighbours_new(a->core.event, a->book.ledger, a->core.notify, &a->neighbours);
        return r;
}

/* Creates the parts that serve requests: queue, grants, Static=, resizes. */
static int open_requests(Assembly *a)
{
        int r = waiters_new(&a->book, a->leases, &a->waiters);

        GrantContext grant = { .book = &a->book,
                               .changes = &a->changes,
                               .degrades = a->degrades,
                               .holds = a->holds,
                               .leases = a->leases,
                               .releases = a->releases,
                               .waiters = a->waiters };
        if (r >= 0)
                r = grants_new(&grant, &a->grants);
        if (r >= 0)
                r = queue_server_new(&a->book, a->grants, &a->queue_server);
        if (r >= 0)
                r = requests_new(&a->book, a->facts, a->vouches, a->grants, &a->requests);
        if (r >= 0)
                r = statics_new(&a->book, a->grants, a->unit_checks, &a->statics);
        ResizeContext resize = { .book = &a->book,
                                 .changes = &a->changes,
                                 .degrades = a->degrades,
                                 .follows = a->follows,
                                 .holds = a->holds,
                                 .neighbours = a->neighbours,
                                 .overrun = a->overrun };
        return r < 0 ? r : resizes_new(&resize, &a->resizes);
}

/* Creates the parts that watch cgroups and nodes, and repair drift. */
static int open_watch(Assembly *a)
{
        int r = below_units_new(&a->book, a->fence, a->unit_checks, assembly_on_fence_repaired, a,
                                &a->below_units);

        DriftContext drift = { .book = &a->book,
                               .changes = &a->changes,
                               .degrades = a->degrades,
                               .fence = a->fence,
                               .foreign = a->foreign,
                               .reloads = a->reloads,
                               .warnings = a->warnings };
        if (r >= 0)
                r = drift_new(&drift, &a->drift);
        TreeEventsContext tree = { .book = &a->book,
                                   .drift = a->drift,
                                   .fence = a->fence,
                                   .foreign = a->foreign,
                                   .owner_asks = a->owner_asks,
                                   .unit_checks = a->unit_checks,
                                   .vouches = a->vouches,
                                   .warnings = a->warnings };
        if (r >= 0)
                r = tree_events_new(&tree, &a->tree_events);
        if (r >= 0)
                r = node_watch_new(&a->book, a->node_drains, a->reloads, a->unit_checks, &a->node_watch);
        a->admit = (AdmitContext){ .book = &a->book,
                                   .below_units = a->below_units,
                                   .fence = a->fence,
                                   .foreign = a->foreign,
                                   .vouches = a->vouches };
        return r;
}

static int open_keepers(Assembly *a)
{
        int r = node_drains_new(&a->book, a->follows, a->degrades, &a->node_drains);
        if (r >= 0)
                r = bases_new(&a->book, &a->bases);

        ReloadContext reload = { .book = &a->book,
                                 .bases = a->bases,
                                 .fence = a->fence,
                                 .leases = a->leases,
                                 .facts = a->facts,
                                 .node_drains = a->node_drains,
                                 .record = a->record,
                                 .warnings = a->warnings };
        if (r >= 0)
                r = reloads_new(&reload, &a->reloads);
        if (r >= 0)
                r = open_watch(a);
        if (r >= 0)
                r = holders_new(&a->book, a->buffers, a->holds, &a->holders);
        return r;
}

static int open_start(Assembly *a)
{
        StartContext context = { .book = &a->book,
                                 .buffers = a->buffers,
                                 .drift = a->drift,
                                 .facts = a->facts,
                                 .foreign = a->foreign,
                                 .holds = a->holds,
                                 .leases = a->leases,
                                 .node_drains = a->node_drains,
                                 .node_watch = a->node_watch,
                                 .overrun = a->overrun,
                                 .releases = a->releases,
                                 .reloads = a->reloads,
                                 .requests = a->requests,
                                 .statics = a->statics,
                                 .unit_checks = a->unit_checks,
                                 .vouches = a->vouches,
                                 .waiters = a->waiters,
                                 .warnings = a->warnings };

        return start_new(&context, &a->start);
}

/* Calls the parts that must act on a notice. Other kinds of notices are for other listeners. */
static void assembly_on_notice(const Notice *n, void *userdata)
{
        Assembly *a = userdata;

        switch (n->kind) {
        case NOTICE_RESERVATION_CAME:
                neighbours_tell(a->neighbours, n->entry->r);
                overruns_arm(a->overrun);
                return;
        case NOTICE_RESERVATION_LEFT:
                holds_settle(a->holds);
                if (n->entry->known) {
                        neighbours_tell(a->neighbours, n->reservation);
                        overruns_arm(a->overrun);
                }
                n->entry->release = release_free(n->entry->release);
                n->entry->waiter = waiter_free(n->entry->waiter);
                lease_forget(n->entry);
                return;
        case NOTICE_FENCE_BEGINS:
                tree_events_watch(a->tree_events, n->wanted);
                return;
        case NOTICE_NODES:
                node_watch_outdate(a->node_watch);
                return;
        case NOTICE_SYSTEMD:
                drift_systemd(a->drift, n->reason);
                return;
        case NOTICE_ROOM:
                queue_server_look(a->queue_server);
                return;
        default:
                return;
        }
}

static int open_parts(Assembly *a)
{
        int r = open_store(a);

        if (r >= 0)
                r = open_workers(a);
        if (r >= 0)
                r = open_calls(a);
        if (r >= 0)
                r = open_books(a);
        if (r >= 0)
                r = open_tenants(a);
        if (r >= 0)
                r = open_requests(a);
        if (r >= 0)
                r = open_keepers(a);
        if (r >= 0)
                r = open_start(a);
        return r < 0 ? r : notify_subscribe(a->core.notify, assembly_on_notice, a);
}

int assembly_new(const char *root, sd_event *event, sd_bus *bus, Assembly **ret)
{
        _cleanup_(assembly_free_p) Assembly *a = calloc(1, sizeof(*a));

        if (!a)
                return -ENOMEM;
        a->book.core = &a->core;
        a->core.root = strdup(root);
        if (!a->core.root)
                return -ENOMEM;
        a->core.event = sd_event_ref(event);
        a->core.bus = sd_bus_ref(bus);
        a->core.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
        int r = open_parts(a);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(a);
        return 0;
}

BusContext assembly_bus_context(Assembly *a)
{
        return (BusContext){ .book = &a->book,
                             .admit = &a->admit,
                             .buffers = a->buffers,
                             .drift = a->drift,
                             .facts = a->facts,
                             .fence = a->fence,
                             .holders = a->holders,
                             .leases = a->leases,
                             .migrations = a->migrations,
                             .node_drains = a->node_drains,
                             .record = a->record,
                             .releases = a->releases,
                             .reloads = a->reloads,
                             .requests = a->requests,
                             .resizes = a->resizes,
                             .statics = a->statics,
                             .warnings = a->warnings };
}

/* Stopping leaves the fence and all grants as they are: this frees memory and touches nothing else. */
Assembly *assembly_free(Assembly *a)
{
        Entry *e, *next;

        if (!a)
                return NULL;
        notify_unsubscribe(a->core.notify, assembly_on_notice, a); /* from here on nothing follows */
        a->requests = requests_free(a->requests);
        a->statics = statics_free(a->statics);
        a->overrun = overruns_free(a->overrun);
        a->grants = grants_free(a->grants);
        a->unit_checks = unit_checks_free(a->unit_checks);
        a->tree_events = tree_events_free(a->tree_events);
        a->owner_asks = owner_asks_free(a->owner_asks);
        a->drift = drift_free(a->drift);
        a->below_units = below_units_free(a->below_units);
        a->vouches = vouches_free(a->vouches);
        a->holders = holders_free(a->holders);
        a->migrations = migrations_free(a->migrations);
        a->resizes = resizes_free(a->resizes);
        a->reloads = reloads_free(a->reloads);
        a->bases = bases_free(a->bases);
        a->node_drains = node_drains_free(a->node_drains);
        a->follows = follows_free(a->follows);
        a->degrades = degrades_free(a->degrades);
        a->node_watch = node_watch_free(a->node_watch);
        a->record = record_free(a->record);
        a->facts = machine_facts_free(a->facts);
        if (a->waiters)
                waiters_stop(a->waiters);
        a->queue_server = queue_server_free(a->queue_server);
        a->buffers = buffers_free(a->buffers);
        a->holds = holds_free(a->holds);
        HASH_ITER (hh, a->book.entries, e, next) {
                e->release = release_free(e->release);
                e->waiter = waiter_free(e->waiter);
                lease_forget(e);
        }
        book_entries_free(&a->book);
        waiters_free(a->waiters);
        leases_free(a->leases);
        releases_free(a->releases);
        start_free(a->start);
        fence_free(a->fence);
        neighbours_free(a->neighbours);
        usage_free(a->book.usage);
        worker_free(a->core.worker);
        worker_free(a->core.mover);
        worker_free(a->core.filler);
        worker_free(a->core.reader);
        foreign_free(a->foreign);
        turn_queue_free(a->core.turns);
        gate_free(a->core.gate);
        sender_cache_free(a->core.senders);
        authorizer_free(a->core.authorizer);
        peers_free(a->core.peers);
        event_limit_free(a->core.event_limit);
        unit_jobs_free(a->core.jobs);
        names_free(a->core.names);
        queue_free(a->book.queue);
        store_free(a->core.store);
        ledger_free(a->book.ledger);
        pool_set_free(a->book.pools);
        config_free(a->book.config);
        topology_free(a->book.topology);
        warnings_free(a->warnings);
        free(a->core.root);
        notify_free(a->core.notify);
        sd_bus_unref(a->core.bus);
        sd_event_unref(a->core.event);
        free(a);
        return NULL;
}
