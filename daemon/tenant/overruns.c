/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Watches nodes that several tenants share: the kernel keeps other cgroups out, but lets each tenant use the
 * whole node. A worker reads the bytes of each tenant on the node. Bytes above the tenant's reservations are
 * moved back to ordinary memory (OnOverrun=push-back), are only reported (warn), or cause the reservation to
 * be revoked (revoke).
 *
 *   pause → read (worker) → judge each tenant → push back, in the tenant's turn → pause
 *
 * An overrun is possible between two readings, so sizes on shared nodes are watched, not guaranteed. The
 * pause depends on the bytes that are left and on the node's bandwidth (policy/overrun.h), and is long
 * enough that readings take at most a tenth of the time. No timer is armed while no node is shared. */

#include "daemon/tenant/overruns.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/settle.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/loop/turn.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/change.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/release.h"
#include "policy/config.h"
#include "policy/overrun.h"
#include "policy/rule.h"
#include "policy/size.h"
#include "policy/timespan.h"

#define COST_FACTOR 10

/* The bytes of one tenant on one node; read on a worker. */
typedef struct Look {
        char *tenant, *cgroup;
        int node;
        uint64_t held_bytes;
        uint64_t used_bytes; /* movable bytes; result */
        bool read;           /* result */
} Look;

/* A tenant's bytes on a node, remembered between readings. */
typedef struct Seen {
        char *key; /* tenant and node */
        uint64_t used_bytes;
        OverrunEpisode episode;
        bool fresh; /* part of the current reading */
        UT_hash_handle hh;
} Seen;

/* A push-back of one tenant, waiting for its turn or in flight. */
typedef struct Push {
        Overrun *overrun;
        char *tenant;
        NodeSet nodes;
        Turn *turn;
        Change *change;
        struct Push *prev, *next;
} Push;

typedef struct LookJob {
        Overrun *overrun; /* NULL: already freed */
        Look *looks;
        size_t n_looks, n_allocated;
        uint64_t took_usec;
} LookJob;

struct Overrun {
        Book *book;
        const ChangeContext *changes;
        Releases *releases;
        sd_event_source *timer;
        uint64_t pause_usec;
        uint64_t slack_bytes;
        Job *job;
        LookJob *job_data;
        Seen *seen;
        Push *pushes;
};

static void job_free(LookJob *j)
{
        for (size_t i = 0; i < j->n_looks; i++) {
                free(j->looks[i].tenant);
                free(j->looks[i].cgroup);
        }
        free(j->looks);
        free(j);
}

static void push_free(Push *p)
{
        DL_DELETE(p->overrun->pushes, p);
        change_free(p->change);
        turn_free(p->turn);
        free(p->tenant);
        free(p);
}

static void seen_free(Overrun *o, Seen *s)
{
        HASH_DEL(o->seen, s);
        free(s->key);
        free(s);
}

/* Called when no node is shared any more: forgets all remembered values. */
static void overruns_reset(Overrun *o)
{
        Seen *s, *next;

        HASH_ITER (hh, o->seen, s, next)
                seen_free(o, s);
        o->timer = sd_event_source_disable_unref(o->timer);
        o->pause_usec = 0;
}

Overrun *overruns_free(Overrun *o)
{
        if (!o)
                return NULL;
        if (o->job_data) {
                o->job_data->overrun = NULL;
                job_cancel(o->job);
        }
        while (o->pushes)
                push_free(o->pushes);
        overruns_reset(o);
        free(o);
        return NULL;
}

/* --- reading ------------------------------------------------------------------------------------------ */

static int run_look(Job *job, void *userdata)
{
        uint64_t started = clock_monotonic_usec();
        LookJob *j = userdata;

        for (size_t i = 0; i < j->n_looks && !job_is_cancelled(job); i++) {
                _cleanup_free_ NumaBytes *bytes = NULL;
                Look *l = &j->looks[i];
                NodeSet set = nodeset_of(l->node);
                size_t n = 0;

                l->read = cgroup_read_numa_at(l->cgroup, &set, &bytes, &n) >= 0;
                for (size_t k = 0; k < n; k++)
                        l->used_bytes += numa_bytes_movable(&bytes[k]);
        }
        j->took_usec = clock_monotonic_usec() - started;
        return 0;
}

typedef struct Collect {
        Book *book;
        const BufferSet *buffers;
        LookJob *job;
        int node;
} Collect;

static int collect_tenant(const char *tenant, uint64_t bytes, void *userdata)
{
        Collect *c = userdata;
        LookJob *j = c->job;
        const Reservation *first = ledger_first_of_tenant(c->book->ledger, tenant);

        /* The bytes of its buffers are charged to cdmd, and are not moved. */
        uint64_t buffers = buffers_tenant_bytes(c->buffers, tenant, c->node, true);

        if (!first || !first->target->cgroup)
                return 0;
        bytes -= bytes < buffers ? bytes : buffers;
        if (j->n_looks == j->n_allocated) {
                size_t n = j->n_allocated ? 2 * j->n_allocated : 16;
                Look *looks = reallocarray(j->looks, n, sizeof(*looks));

                if (!looks)
                        return -ENOMEM;
                j->looks = looks;
                j->n_allocated = n;
        }
        Look l = { .tenant = strdup(tenant),
                   .cgroup = strdup(first->target->cgroup),
                   .node = c->node,
                   .held_bytes = bytes };
        if (!l.tenant || !l.cgroup) {
                free(l.tenant);
                free(l.cgroup);
                return -ENOMEM;
        }
        j->looks[j->n_looks++] = l;
        return 0;
}

static bool is_shared(const Book *book, int node)
{
        return ledger_node_tenants(book->ledger, node) > 1;
}

static int overrun_collect(Overrun *o, LookJob *j)
{
        Book *book = o->book;
        Collect c = { .book = book, .buffers = o->changes->buffers, .job = j };
        int r = 0;

        NODESET_FOREACH (node, &book->pools->cdm) {
                if (r < 0 || !is_shared(book, node))
                        continue;
                c.node = node;
                r = ledger_foreach_tenant_of_node(book->ledger, node, collect_tenant, &c);
        }
        return r;
}

/* --- pushing back ------------------------------------------------------------------------------------- */

static void overruns_on_pushed(const ApplyResult *result, bool changed, void *userdata)
{
        Push *p = userdata;

        if (result->error < 0 && result->error != -ENOENT && result->error != -ESTALE)
                log_warning("the excess of %s over its reservation cannot be moved: %s", p->tenant,
                            result->message ? result->message : strerror(-result->error));
        push_free(p);
}

static int first_active(Reservation *r, void *userdata)
{
        if (r->state != RESERVATION_ACTIVE && r->state != RESERVATION_DEGRADED)
                return 0;
        *(Reservation **)userdata = r;
        return 1;
}

static void overruns_on_push_turn(int result _unused_, void *userdata)
{
        Push *p = userdata;
        Book *book = p->overrun->book;
        ChangeTerms terms = { .leaving = p->nodes };
        Reservation *r = NULL;

        ledger_foreach_of_tenant(book->ledger, p->tenant, first_active, &r);
        if (!r || change_start(p->overrun->changes, r, &terms, overruns_on_pushed, p, &p->change) < 0)
                push_free(p); /* the tenant is gone, or the next reading tries again */
}

static void push_back(Overrun *o, const Look *l)
{
        Push *p;

        DL_FOREACH (o->pushes, p)
                if (strcmp(p->tenant, l->tenant) == 0) {
                        if (!p->change)
                                nodeset_add(&p->nodes, l->node);
                        return;
                }
        p = calloc(1, sizeof(*p));
        if (!p)
                return;
        *p = (Push){ .overrun = o, .tenant = strdup(l->tenant), .nodes = nodeset_of(l->node) };
        DL_APPEND(o->pushes, p);
        if (!p->tenant || turn_take(o->book->core->turns, l->tenant, overruns_on_push_turn, p, &p->turn) < 0)
                push_free(p);
}

/* --- judging ------------------------------------------------------------------------------------------ */

/* The OnOverrun= of the rule that granted the reservation, if its file still has a rule. */
static OnOverrun overruns_on_overrun(const Book *book, const Reservation *r)
{
        for (size_t i = 0; r->rule_file && i < book->config->n_rules; i++)
                if (strcmp(book->config->rules[i]->file, r->rule_file) == 0)
                        return book->config->rules[i]->on_overrun;
        return ON_OVERRUN_PUSH_BACK;
}

typedef struct Strictest {
        const Book *book;
        int node;
        OnOverrun answer;
        uint32_t id; /* of the youngest reservation on the node with this setting */
} Strictest;

/* If a tenant has several reservations on the node, the strictest setting counts: revoke, push-back,
 * warn. */
static int find_strictest(Reservation *r, void *userdata)
{
        static const unsigned rank[_ON_OVERRUN_MAX] = {
                [ON_OVERRUN_WARN] = 1, [ON_OVERRUN_PUSH_BACK] = 2, [ON_OVERRUN_REVOKE] = 3
        };
        Strictest *s = userdata;
        NodeSet nodes = reservation_nodes(r);
        OnOverrun answer = overruns_on_overrun(s->book, r);

        if (!nodeset_contains(&nodes, s->node) || r->state == RESERVATION_DRAINING ||
            r->state == RESERVATION_QUEUED)
                return 0;
        if (s->id == 0 || rank[answer] >= rank[s->answer]) {
                s->answer = answer;
                s->id = r->id;
        }
        return 0;
}

static void overrun_tell(Overrun *o, const Look *l, const Strictest *s, EventKind kind,
                         const OverrunEpisode *e)
{
        static const char *const what[_ON_OVERRUN_MAX] = {
                [ON_OVERRUN_PUSH_BACK] = "it is moved to ordinary memory",
                [ON_OVERRUN_WARN] = "nothing is done about it (OnOverrun=warn)",
                [ON_OVERRUN_REVOKE] = "the reservation is revoked",
        };
        char nodes[NODESET_STR_MAX], policy[512], size[SIZE_STR_MAX], span[TIMESPAN_STR_MAX];
        Book *book = o->book;
        Entry *entry = book_find(book, s->id);
        NodeSet set = nodeset_of(l->node);

        if (!entry)
                return;
        Event ev = book_event(entry, kind, nodes, policy);
        ev.nodes = nodeset_format(&set, nodes);
        ev.has |= EVENT_HAS_EXCESS;
        ev.excess_bytes = e->worst_bytes;
        if (kind == EVENT_OVERRUN) {
                ev.reason = what[s->answer];
                event_emit(book->core->notify, &ev, "%s uses %s more than it reserved on shared node %s: %s",
                           l->tenant, size_format(e->worst_bytes, size), ev.nodes, ev.reason);
                return;
        }
        ev.has |= EVENT_HAS_DURATION;
        ev.duration_usec = e->duration_usec;
        event_emit(book->core->notify, &ev,
                   "%s is within its reservation on node %s again; its excess was at most %s, for %s",
                   l->tenant, ev.nodes, size_format(e->worst_bytes, size),
                   timespan_format(e->duration_usec, span));
}

static void overrun_act(Overrun *o, const Look *l, const Strictest *s)
{
        Entry *entry = book_find(o->book, s->id);

        if (s->answer == ON_OVERRUN_PUSH_BACK)
                push_back(o, l);
        else if (s->answer == ON_OVERRUN_REVOKE && entry && release_start(o->releases, entry) < 0)
                log_error("reservation %" PRIu32 " cannot be revoked now; the next look tries again", s->id);
}

static Seen *find_seen(Overrun *o, const Look *l)
{
        _cleanup_free_ char *key = NULL;
        Seen *s;

        if (asprintf(&key, "%d %s", l->node, l->tenant) < 0) {
                key = NULL;
                return NULL;
        }
        HASH_FIND_STR(o->seen, key, s);
        if (s)
                return s;
        s = calloc(1, sizeof(*s));
        if (!s)
                return NULL;
        s->key = TAKE_PTR(key);
        HASH_ADD_KEYPTR(hh, o->seen, s->key, strlen(s->key), s);
        return s;
}

/* True: the tenant's bytes have changed since the last reading. */
static bool overruns_judge(Overrun *o, const Look *l, uint64_t now)
{
        Strictest strict = { .book = o->book, .node = l->node };
        Seen *s = find_seen(o, l);

        if (!s || !l->read)
                return false;
        s->fresh = true;
        bool moving = s->used_bytes != l->used_bytes;
        s->used_bytes = l->used_bytes;
        OverrunChange change = overrun_look(&s->episode, l->used_bytes, l->held_bytes, o->slack_bytes, now);
        if (change == OVERRUN_UNCHANGED)
                return moving;
        ledger_foreach_of_tenant(o->book->ledger, l->tenant, find_strictest, &strict);
        if (strict.id == 0)
                return moving;
        if (change == OVERRUN_BEGAN)
                overrun_tell(o, l, &strict, EVENT_OVERRUN, &s->episode);
        else if (change == OVERRUN_ENDED)
                overrun_tell(o, l, &strict, EVENT_OVERRUN_ENDED, &s->episode);
        if (change != OVERRUN_ENDED)
                overrun_act(o, l, &strict);
        return moving;
}

/* --- timing ------------------------------------------------------------------------------------------- */

static uint64_t pause_for(const Book *book, const Look *l, bool moving, uint64_t last)
{
        const Node *node = topology_find(book->topology, l->node);
        const Pool *pool = pool_set_find_node(book->pools, l->node);
        uint64_t left = l->held_bytes > l->used_bytes ? l->held_bytes - l->used_bytes : 0;

        if (!node || !pool)
                return OVERRUN_PAUSE_MAX_USEC;
        return overrun_pause_usec(left, pool_headroom_bytes(pool, node), node->read_bandwidth_mbps, moving,
                                  last);
}

static void forget_unseen(Overrun *o)
{
        Seen *s, *next;

        HASH_ITER (hh, o->seen, s, next) {
                if (!s->fresh)
                        seen_free(o, s);
                else
                        s->fresh = false;
        }
}

static void overrun_on_looked(int result, void *userdata)
{
        LookJob *j = userdata;
        Overrun *o = j->overrun;
        uint64_t pause = OVERRUN_PAUSE_MAX_USEC, now = clock_monotonic_usec();
        bool moving = false;

        if (!o) {
                job_free(j);
                return;
        }
        o->job = NULL;
        o->job_data = NULL;
        for (size_t i = 0; i < j->n_looks; i++)
                moving = overruns_judge(o, &j->looks[i], now) || moving;
        for (size_t i = 0; i < j->n_looks; i++) {
                uint64_t p = pause_for(o->book, &j->looks[i], moving, o->pause_usec);
                pause = p < pause ? p : pause;
        }
        o->pause_usec = pause > COST_FACTOR * j->took_usec ? pause : COST_FACTOR * j->took_usec;
        forget_unseen(o);
        job_free(j);
        overruns_arm(o);
}

static int overrun_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Overrun *o = userdata;
        LookJob *j = calloc(1, sizeof(*j));

        o->timer = sd_event_source_disable_unref(o->timer);
        if (!j)
                goto again;
        j->overrun = o;
        int r = overrun_collect(o, j);
        if (r >= 0)
                r = worker_submit(o->book->core->reader, run_look, overrun_on_looked, NULL, j, &o->job);
        if (r >= 0) {
                o->job_data = j;
                return 0;
        }
        job_free(j);
again:
        overruns_arm(o);
        return 0;
}

static bool is_needed(const Book *book)
{
        if (book->config->mode != FENCE_MODE_ENFORCE)
                return false;
        NODESET_FOREACH (node, &book->pools->cdm)
                if (is_shared(book, node))
                        return true;
        return false;
}

int overruns_new(Book *book, const ChangeContext *changes, Releases *releases, Overrun **ret)
{
        Overrun *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        o->book = book;
        o->changes = changes;
        o->releases = releases;
        o->slack_bytes = settle_late_bytes();
        *ret = o;
        return 0;
}

/* A reading in flight calls this at its end. */
void overruns_arm(Overrun *o)
{
        if (!is_needed(o->book)) {
                if (!o->job_data && !o->pushes)
                        overruns_reset(o);
                else
                        o->timer = sd_event_source_disable_unref(o->timer);
                return;
        }
        if (o->timer || o->job_data)
                return;
        if (o->pause_usec == 0)
                o->pause_usec = OVERRUN_PAUSE_MIN_USEC;
        int r = sd_event_add_time_relative(o->book->core->event, &o->timer, CLOCK_MONOTONIC, o->pause_usec,
                                           o->pause_usec / 4, overrun_on_timer, o);
        if (r < 0)
                log_error("shared nodes cannot be watched: %s; a tenant may use more than it reserved",
                          strerror(-r));
}
