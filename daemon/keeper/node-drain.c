/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Empties a node for a reset, for the unloading of its driver, or for its removal:
 *
 *   store the node as drained and shut it, so that nothing is granted there any more
 *   → move every tenant's pages off and narrow its cgroup, each within its turn
 *   → move all other pages, evict page cache
 *   → measure the remaining pages and report them
 *
 * The node stays drained until it is undrained, also across a restart of cdmd and while the node is gone.
 * degrade.c marks its reservations as `degraded`; they keep their terms. A node that is already drained can
 * be drained again: the second call moves pages that the first one could not move. */

#include "daemon/keeper/node-drain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/fence/subtenant.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/drain.h"
#include "daemon/kernel/evict.h"
#include "daemon/kernel/observe.h"
#include "daemon/kernel/settle.h"
#include "daemon/loop/answer.h"
#include "daemon/loop/log.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/degrade.h"
#include "daemon/tenant/follow.h"
#include "policy/cdm-names.h"
#include "policy/config.h"
#include "policy/size.h"

#define NODE_RECLAIM "/sys/devices/system/node/node%d/reclaim"

/* Upper bound of callers that wait for one drain. */
#define WAITING_MAX 64
/* Tenants that are made to leave in one turn of the event loop. */
#define TENANTS_A_SLICE 8

typedef struct NodeDrain NodeDrain;

struct NodeDrains {
        Book *book;
        FollowSet *follows;
        Degrades *degrades;
        NodeDrain *all;
};

/* The worker's part, once all tenants have left the node. */
typedef struct Sweep {
        NodeDrain *drain; /* NULL: already freed */
        char *root;
        NodeSet node, to;
        uint64_t bandwidth;
        uint64_t moved_bytes, evicted_bytes;
        Observation *left;
        /* progress */
        bool begun, moved;
        size_t at_holder;
        DrainMove *move;
        Evict evict;
        Settle settle;
} Sweep;

/* A caller that waits for the answer. */
typedef struct Asker {
        drain_done_t done;
        void *userdata;
} Asker;

struct NodeDrain {
        NodeDrains *set;
        Book *book;
        int node;
        Asker waiting[WAITING_MAX];
        size_t n_waiting;
        char **tenants;
        size_t n_tenants, n_asked;
        Slice *slice;     /* makes the tenants leave */
        size_t n_pending; /* tenants that have not left yet */
        uint64_t moved_bytes, evicted_bytes;
        char *error; /* the first tenant that could not be narrowed */
        Sweep *sweep;
        Job *job;
        NodeDrain *prev, *next;
};

static void node_drain_free(NodeDrain *d)
{
        DL_DELETE(d->set->all, d);
        if (d->sweep) {
                d->sweep->drain = NULL;
                job_cancel(d->job);
        }
        slice_free(d->slice);
        for (size_t i = 0; i < d->n_tenants; i++)
                free(d->tenants[i]);
        free(d->tenants);
        free(d->error);
        free(d);
}

int node_drains_new(Book *book, FollowSet *follows, Degrades *degrades, NodeDrains **ret)
{
        NodeDrains *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (NodeDrains){ .book = book, .follows = follows, .degrades = degrades };
        *ret = s;
        return 0;
}

NodeDrains *node_drains_free(NodeDrains *s)
{
        if (!s)
                return NULL;
        while (s->all)
                node_drain_free(s->all);
        free(s);
        return NULL;
}

static NodeDrain *node_drains_find(NodeDrains *s, int node)
{
        NodeDrain *d;

        DL_FOREACH (s->all, d)
                if (d->node == node)
                        return d;
        return NULL;
}

/* --- the worker's part --------------------------------------------------------------------------------- */

static Sweep *sweep_free(Sweep *s)
{
        if (!s)
                return NULL;
        observation_free(s->left);
        drain_move_free(s->move);
        free(s->root);
        free(s);
        return NULL;
}

static uint64_t node_drain_x(const Observation *o)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < o->n_holders; i++)
                sum += numa_bytes_movable(&o->holders[i].bytes);
        return sum;
}

static uint64_t file_bytes(const Observation *o)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < o->n_holders; i++)
                sum += o->holders[i].bytes.file;
        return sum;
}

/* The node's own reclaim file (newer kernels) evicts page cache of this node only, whichever cgroup the page
 * cache is charged to. The remaining page cache is evicted cgroup by cgroup. */
static void sweep_reclaim_node(Sweep *s, uint64_t bytes)
{
        char path[512], text[64];
        int node = nodeset_next(&s->node, 0);

        snprintf(path, sizeof(path), "%s" NODE_RECLAIM, s->root, node);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        int n = snprintf(text, sizeof(text), "%" PRIu64 " swappiness=0", bytes);
        if (write(fd, text, (size_t)n) < 0 && errno == EINVAL) {
                n = snprintf(text, sizeof(text), "%" PRIu64, bytes);
                n = write(fd, text, (size_t)n) < 0 ? -errno : 0;
        }
        close(fd);
}

/* After a pause, continues where it stopped. */
static int sweep_move_and_evict(Sweep *s, Job *job, const Holder *h, int fd)
{
        int r = 0;

        /* The bytes of an inner cgroup belong to removed child cgroups: there is no process whose pages
         * could be moved. */
        if (!h->inner && !s->moved) {
                if (!s->move)
                        r = drain_move_new(&s->node, &s->to, UINT64_MAX, false, s->bandwidth, &s->move);
                if (r >= 0)
                        r = drain_move_run(s->move, fd, job);
        }
        if (r == -ECANCELED || r == JOB_PAUSED)
                return r;
        s->moved = true;
        return h->bytes.file > 0 ? evict_run(fd, &s->node, UINT64_MAX, job, &s->evict) : 0;
}

static int sweep_holder(Sweep *s, Job *job, const Holder *h)
{
        uint64_t id;
        int r = 0;

        int fd = cgroup_open(h->cgroup, &id);
        if (fd >= 0) {
                r = sweep_move_and_evict(s, job, h, fd);
                close(fd);
        }
        if (r == JOB_PAUSED)
                return r;
        if (s->move)
                s->moved_bytes += drain_move_result(s->move).moved_bytes;
        s->evicted_bytes += s->evict.evicted_bytes;
        s->move = drain_move_free(s->move);
        s->evict = (Evict){ 0 };
        s->moved = false;
        return r == -ECANCELED ? r : 0;
}

static int sweep_look_again(Sweep *s)
{
        Observation *o;

        int r = observe_all(s->root, &s->node, subtenant_is_split, &o);
        if (r < 0)
                return r;
        observation_free(s->left);
        s->left = o;
        return 0;
}

static int sweep_begin(Sweep *s)
{
        int r = sweep_look_again(s);

        if (r >= 0 && file_bytes(s->left) > 0) {
                sweep_reclaim_node(s, file_bytes(s->left));
                r = sweep_look_again(s);
        }
        s->begun = true;
        return r;
}

static int sweep_run(Job *job, void *userdata)
{
        Sweep *s = userdata;
        int r = s->begun ? 0 : sweep_begin(s);

        for (; r == 0 && s->at_holder < s->left->n_holders; s->at_holder++) {
                const Holder *h = &s->left->holders[s->at_holder];

                if (numa_bytes_movable(&h->bytes) > 0)
                        r = sweep_holder(s, job, h);
                if (r == JOB_PAUSED)
                        return r;
        }
        if (r == 0)
                r = sweep_look_again(s);
        if (r < 0)
                return r;
        s->at_holder = SIZE_MAX; /* all holders are done; a later run only measures the remaining pages */
        return settle_wait(&s->settle, job, node_drain_x(s->left));
}

/* --- the end ------------------------------------------------------------------------------------------- */

static void node_drain_answer(NodeDrain *d, const Answer *a, const DrainReport *report)
{
        for (size_t i = 0; i < d->n_waiting; i++)
                d->waiting[i].done(a, report, d->waiting[i].userdata);
        node_drain_free(d);
}

static void node_drain_refuse(NodeDrain *d, const char *error, const char *text)
{
        Answer a = { error, text };

        node_drain_answer(d, &a, NULL);
}

static size_t node_drain_holders(const Observation *o, EventHolder *out, size_t n_max)
{
        size_t n = 0;

        for (size_t i = 0; i < o->n_holders; i++) {
                const NumaBytes *b = &o->holders[i].bytes;
                const EventHolder kinds[] = { { o->holders[i].cgroup, "anon", b->anon },
                                              { o->holders[i].cgroup, "file", b->file },
                                              { o->holders[i].cgroup, "shmem", b->shmem } };
                for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
                        if (kinds[k].bytes > 0 && n < n_max)
                                out[n++] = kinds[k];
        }
        return n;
}

static void node_drain_finish(NodeDrain *d, const Observation *o)
{
        uint64_t left = node_drain_x(o);
        char list[NODESET_STR_MAX], moved[SIZE_STR_MAX], rest[SIZE_STR_MAX];
        NodeSet set = nodeset_of(d->node);
        EventHolder holders[64];
        Event e = { .kind = EVENT_NODE_DRAINED,
                    .has = EVENT_HAS_MOVED | EVENT_HAS_EVICTED | EVENT_HAS_RESIDUE,
                    .nodes = nodeset_format(&set, list),
                    .moved_bytes = d->moved_bytes,
                    .evicted_bytes = d->evicted_bytes,
                    .residue_bytes = left,
                    .holders = holders,
                    .n_holders = node_drain_holders(o, holders, ARRAY_SIZE(holders)) };

        size_format(d->moved_bytes, moved);
        if (left == 0)
                event_emit(d->book->core->notify, &e,
                           "node %d is drained: %s were moved off, nothing is left", d->node, moved);
        else
                event_emit(d->book->core->notify, &e,
                           "node %d is drained: %s were moved off, but %s could not be", d->node, moved,
                           size_format(left, rest));
        DrainReport report = { .moved_bytes = d->moved_bytes,
                               .evicted_bytes = d->evicted_bytes,
                               .left_bytes = left,
                               .holders = holders,
                               .n_holders = e.n_holders };
        node_drain_answer(d, &(Answer){ 0 }, &report);
}

static void node_drain_on_swept(int result, void *userdata)
{
        Sweep *s = userdata;
        NodeDrain *d = s->drain;

        if (d) {
                d->sweep = NULL;
                d->moved_bytes += s->moved_bytes;
                d->evicted_bytes += s->evicted_bytes;
                if (d->error)
                        node_drain_refuse(d, SD_BUS_ERROR_FAILED, d->error);
                else if (result < 0)
                        node_drain_refuse(d, SD_BUS_ERROR_FAILED,
                                          "the remaining pages on the node could not be read");
                else
                        node_drain_finish(d, s->left);
        }
        sweep_free(s);
}

static void node_drain_sweep(NodeDrain *d)
{
        Book *book = d->book;
        Sweep *s = calloc(1, sizeof(*s));
        int r = -ENOMEM;

        if (s && (s->root = strdup(book->core->root))) {
                s->node = nodeset_of(d->node);
                s->to = book->pools->ordinary;
                s->bandwidth = book->config->drain_bandwidth;
                r = worker_submit(book->core->mover, sweep_run, node_drain_on_swept, NULL, s, &d->job);
        }
        if (r < 0) {
                sweep_free(s);
                node_drain_refuse(d, SD_BUS_ERROR_FAILED, strerror(-r));
                return;
        }
        s->drain = d;
        d->sweep = s;
}

/* --- the tenants --------------------------------------------------------------------------------------- */

static void node_drain_on_followed(const ApplyResult *result, const char *tenant, void *userdata)
{
        NodeDrain *d = userdata;

        d->moved_bytes += result->moved_bytes;
        d->evicted_bytes += result->evicted_bytes;
        if (result->error < 0 && !d->error &&
            asprintf(&d->error,
                     "%s could not be kept off node %d: %s; nothing new is granted there; run `cdmctl drain "
                     "%d` again",
                     tenant, d->node, result->message ? result->message : strerror(-result->error),
                     d->node) < 0)
                d->error = NULL;
        if (--d->n_pending == 0)
                node_drain_sweep(d);
}

static int node_drain_add_tenant(const char *tenant, uint64_t bytes _unused_, void *userdata)
{
        NodeDrain *d = userdata;

        d->tenants[d->n_tenants] = strdup(tenant);
        if (!d->tenants[d->n_tenants])
                return -ENOMEM;
        d->n_tenants++;
        return 0;
}

static void node_drain_on_slice(void *userdata)
{
        NodeDrain *d = userdata;
        NodeSet leaving = nodeset_of(d->node);

        for (size_t n = 0; d->n_asked < d->n_tenants && n < TENANTS_A_SLICE; n++)
                follows_add(d->set->follows, d->tenants[d->n_asked++], &leaving, node_drain_on_followed, d);
        if (d->n_asked < d->n_tenants)
                return;
        slice_set(d->slice, false);
        node_drain_on_followed(&(ApplyResult){ .error = 0 }, "", d);
}

/* The ledger may change between two slices, so the names are collected first. */
static void node_drain_move_tenants(NodeDrain *d)
{
        const Ledger *ledger = d->book->ledger;

        d->tenants = calloc(ledger_node_tenants(ledger, d->node) + 1, sizeof(char *));
        int r = d->tenants ? ledger_foreach_tenant_of_node(ledger, d->node, node_drain_add_tenant, d)
                           : -ENOMEM;
        if (r >= 0)
                r = slice_new(d->book->core->event, node_drain_on_slice, d, &d->slice);
        if (r < 0) {
                d->n_pending = 1;
                node_drain_on_followed(&(ApplyResult){ .error = r }, "A tenant", d);
                return;
        }
        /* Hold one extra count so the drain cannot finish while tenants are still being queued. */
        d->n_pending = 1 + d->n_tenants;
        slice_set(d->slice, true);
}

static int node_drain_set_drained(Book *book, int node, bool drained)
{
        NodeSet before = book->drained;

        if (drained)
                nodeset_add(&book->drained, node);
        else
                nodeset_remove(&book->drained, node);
        int r = nodeset_equal(&before, &book->drained)
                        ? 0
                        : store_write_drained(book->core->store, &book->drained);
        if (r < 0) {
                book->drained = before;
                return r;
        }
        degrade_shut_nodes(book);
        notify_tell(book->core->notify, &(Notice){ .kind = NOTICE_NODE_DRAINED, .node = node });
        return 0;
}

static void asker_tell(const Asker *a, const char *error, const char *format, ...) _printf_(3, 4);
static void asker_tell(const Asker *a, const char *error, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        a->done(&(Answer){ error, text }, NULL, a->userdata);
}

/* True: the caller was told the reason. A drained node may be undrained even if it is gone. */
static bool node_drain_is_refused(Book *book, uint32_t node, const Asker *asker)
{
        bool is_drained = node < NODE_MAX && nodeset_contains(&book->drained, (int)node);
        bool is_cdm = node < NODE_MAX && nodeset_contains(&book->pools->cdm, (int)node);
        const Node *n = node < NODE_MAX ? topology_find(book->topology, (int)node) : NULL;

        if (!book->serving)
                asker_tell(asker, CDM_ERROR_BUSY, "cdmd is still starting; try again later");
        else if (is_drained || is_cdm)
                return false;
        else if (!n)
                asker_tell(asker, CDM_ERROR_NO_SUCH_NODE,
                           "there is no node %" PRIu32 "; `cdmctl nodes` shows those that exist", node);
        else if (n->size_bytes == 0)
                asker_tell(asker, CDM_ERROR_INVALID,
                           "node %" PRIu32 " has no memory online, and is in no pool", node);
        else
                asker_tell(asker, CDM_ERROR_INVALID,
                           "node %" PRIu32
                           " is ordinary memory: it is in no pool, and cdmd gives it to everyone; "
                           "`cdmctl nodes` shows the nodes of pools",
                           node);
        return true;
}

void node_drains_start(NodeDrains *s, uint32_t node, drain_done_t done, void *userdata)
{
        Book *book = s->book;
        Asker asker = { done, userdata };

        if (node_drain_is_refused(book, node, &asker))
                return;
        NodeDrain *d = node_drains_find(s, (int)node);
        if (d && d->n_waiting == WAITING_MAX) {
                asker_tell(&asker, CDM_ERROR_BUSY,
                           "too many callers already wait for node %" PRIu32 " to be drained", node);
                return;
        }
        if (d) {
                d->waiting[d->n_waiting++] = asker;
                return;
        }
        d = calloc(1, sizeof(*d));
        int r = d ? node_drain_set_drained(book, (int)node, true) : -ENOMEM;
        if (r < 0) {
                free(d);
                asker_tell(&asker, SD_BUS_ERROR_FAILED, "node %" PRIu32 " was not drained: %s", node,
                           strerror(-r));
                return;
        }
        d->set = s;
        d->book = book;
        d->node = (int)node;
        d->waiting[d->n_waiting++] = asker;
        DL_APPEND(s->all, d);
        degrades_judge(s->degrades, false);
        node_drain_move_tenants(d);
}

void node_drains_undo(NodeDrains *s, uint32_t node, drain_done_t done, void *userdata)
{
        Book *book = s->book;
        Asker asker = { done, userdata };

        char list[NODESET_STR_MAX];
        NodeSet set;

        if (node_drain_is_refused(book, node, &asker))
                return;
        set = nodeset_of((int)node);
        if (!nodeset_contains(&book->drained, (int)node)) {
                asker_tell(&asker, CDM_ERROR_INVALID, "node %" PRIu32 " is not drained", node);
                return;
        }
        if (node_drains_find(s, (int)node)) {
                asker_tell(&asker, CDM_ERROR_BUSY, "node %" PRIu32 " is still being drained; wait for that",
                           node);
                return;
        }
        int r = node_drain_set_drained(book, (int)node, false);
        if (r < 0) {
                asker_tell(&asker, SD_BUS_ERROR_FAILED, "node %" PRIu32 " stays drained: %s", node,
                           strerror(-r));
                return;
        }
        Event e = { .kind = EVENT_NODE_UNDRAINED, .nodes = nodeset_format(&set, list) };
        event_emit(book->core->notify, &e, "node %" PRIu32 " is in use again", node);
        degrades_judge(s->degrades, true);
        notify_room(book->core->notify);
        done(&(Answer){ 0 }, NULL, userdata);
}

void node_drains_judge(NodeDrains *s)
{
        degrades_judge(s->degrades, true);
}
