/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The held amount of each node follows from the ledger alone: exactly the bytes that are still available for
 * reservations. So booking a grant shrinks the held amount before the reply is sent; ending a reservation
 * grows it.
 *
 *   change → observe → set targets → worker: shrink → serve grants that wait for room → the same again: grow
 *
 * One job runs at a time, and either shrinks or grows. A change cancels a job that is growing, so a grant never
 * waits for more than one step of a few MiB. There are no timers: a node without changes causes no work. Foreign
 * bytes cannot be held; if they are freed without an event, they are held after the next change. */

#include "daemon/tenant/holds.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/kernel/hold.h"
#include "daemon/loop/log.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/snapshot.h"
#include "daemon/tenant/usage.h"

#define NAME_FORMAT "hold-%d"

/* One node. */
typedef struct Held {
        int node;
        Hold *hold;
        uint64_t target_bytes;
        struct Held *prev, *next;
} Held;

struct HoldWait {
        HoldSet *set;
        NodeSet nodes;
        done_t done;
        void *userdata;
        struct HoldWait *prev, *next;
};

struct HoldSet {
        Book *book;
        Held *helds;
        HoldWait *waits;
        sd_event_source *defer;
        UsageLook *look;
        Job *job;
        bool shrinks;  /* the job shrinks, and another one grows afterwards */
        bool again;    /* targets have changed since the job was started */
        bool stopping; /* the job's callback frees the set */
};

static void holds_notify(const char *what, int node, int fd)
{
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text, "%s\nFDNAME=" NAME_FORMAT, what, node) < 0) {
                text = NULL;
                return;
        }
        (void)sd_pid_notify_with_fds(0, 0, text, fd >= 0 ? &fd : NULL, fd >= 0 ? 1 : 0);
}

static void held_free(HoldSet *s, Held *h)
{
        DL_DELETE(s->helds, h);
        hold_free(h->hold);
        free(h);
}

static Held *holds_find(const HoldSet *s, int node)
{
        Held *h;

        DL_FOREACH (s->helds, h)
                if (h->node == node)
                        return h;
        return NULL;
}

uint64_t holds_bytes(const HoldSet *s, int node)
{
        const Held *h = s ? holds_find(s, node) : NULL;

        return h ? hold_bytes(h->hold) : 0;
}

/* --- targets ------------------------------------------------------------------------------------------ */

static uint64_t target_of(const Snapshot *snapshot, const Book *book, int node)
{
        const Pool *pool = pool_set_find_node(book->pools, node);

        if (!pool || !pool->hold || book->config->mode != FENCE_MODE_ENFORCE)
                return 0;
        return snapshot_node_available(snapshot, node);
}

static int holds_add(HoldSet *s, int node, Hold *hold)
{
        Held *h = calloc(1, sizeof(*h));

        if (!h)
                return -ENOMEM;
        h->node = node;
        h->hold = hold;
        DL_APPEND(s->helds, h);
        return 0;
}

static void begin_holding(HoldSet *s, const Node *node)
{
        Hold *hold = NULL;

        int r = hold_new(node->id, node->size_bytes, &hold);
        if (r >= 0)
                r = holds_add(s, node->id, hold);
        if (r < 0) {
                hold_free(hold);
                log_error("node %d cannot be held: %s; unreserved memory there is open to the root cgroup",
                          node->id, strerror(-r));
                return;
        }
        holds_notify("FDSTORE=1", node->id, hold_fd(hold));
}

static void drop_empty(HoldSet *s)
{
        Held *h, *next;

        DL_FOREACH_SAFE (s->helds, h, next)
                if (h->target_bytes == 0 && hold_bytes(h->hold) == 0) {
                        holds_notify("FDSTOREREMOVE=1", h->node, -EBADF);
                        held_free(s, h);
                }
}

/* Adopted memory that is not mapped yet is handled in the same way, in steps. */
static bool held_grows(const Held *h)
{
        return h->target_bytes > hold_bytes(h->hold) || !hold_is_populated(h->hold);
}

/* True: the worker must resize a hold. */
static bool set_targets(HoldSet *s)
{
        Book *book = s->book;
        Snapshot snapshot = snapshot_take(book, NULL);
        bool grows = false;
        Held *h;

        s->shrinks = false;
        NODESET_FOREACH (id, &book->pools->cdm) {
                const Node *node = topology_find(book->topology, id);

                if (node && node->size_bytes > 0 && !holds_find(s, id) && target_of(&snapshot, book, id) > 0)
                        begin_holding(s, node);
        }
        DL_FOREACH (s->helds, h) {
                h->target_bytes = target_of(&snapshot, book, h->node);
                h->target_bytes -= h->target_bytes % book->core->page_bytes;
                s->shrinks = s->shrinks || h->target_bytes < hold_bytes(h->hold);
                grows = grows || held_grows(h);
        }
        drop_empty(s);
        return s->shrinks || grows;
}

/* --- resizing ----------------------------------------------------------------------------------------- */

static bool has_room(const HoldSet *s, const NodeSet *nodes)
{
        const Held *h;

        DL_FOREACH (s->helds, h)
                if (nodeset_contains(nodes, h->node) && hold_bytes(h->hold) > h->target_bytes)
                        return false;
        return true;
}

/* A callback may add and free waits, so the list is searched from the start after each callback. */
static void holds_serve(HoldSet *s)
{
        HoldWait *w;

        do {
                DL_FOREACH (s->waits, w)
                        if (has_room(s, &w->nodes))
                                break;
                if (w) {
                        done_t done = w->done;
                        void *userdata = w->userdata;

                        hold_wait_free(w);
                        done(0, userdata);
                }
        } while (w);
}

static int holds_run(Job *job, void *userdata)
{
        HoldSet *s = userdata;
        int r = 0, k;
        Held *h;

        DL_FOREACH (s->helds, h)
                if ((s->shrinks ? hold_bytes(h->hold) > h->target_bytes : held_grows(h)) &&
                    r != -ECANCELED) {
                        k = hold_resize(h->hold, h->target_bytes, job);
                        r = k < 0 ? k : r;
                }
        return r;
}

static bool holds_any_grows(const HoldSet *s)
{
        const Held *h;

        DL_FOREACH (s->helds, h)
                if (held_grows(h))
                        return true;
        return false;
}

static void set_free(HoldSet *s)
{
        while (s->helds)
                held_free(s, s->helds);
        free(s);
}

static void holds_on_done(int result, void *userdata)
{
        HoldSet *s = userdata;

        s->job = NULL;
        if (s->stopping) {
                set_free(s);
                return;
        }
        if (result < 0 && result != -ECANCELED)
                log_error("unreserved memory of pools with Hold=yes cannot all be held: %s",
                          strerror(-result));
        drop_empty(s);
        if (s->again)
                holds_settle(s);
        /* A grant may have begun to wait after the targets were set; serve it after the next observation. */
        if (!s->defer && !s->look)
                holds_serve(s);
        if (s->shrinks && result >= 0 && holds_any_grows(s))
                holds_settle(s);
}

/* The worker walks the list of nodes, so the list must not change while a job is running. */
static void holds_act(HoldSet *s)
{
        if (s->job) {
                s->again = true;
                job_cancel(s->job);
                return;
        }
        s->again = false;
        bool work = set_targets(s);
        if (!s->shrinks)
                holds_serve(s);
        if (!work)
                return;
        int r = worker_submit(s->book->core->filler, holds_run, holds_on_done, NULL, s, &s->job);
        if (r < 0) {
                log_error("the held amount of the nodes cannot be changed: %s", strerror(-r));
                holds_serve(s);
        }
}

static void holds_on_look(int error, const UsageTarget *target, void *userdata)
{
        HoldSet *s = userdata;

        s->look = NULL;
        if (error < 0)
                log_error("the held amount of the nodes cannot be changed: %s", strerror(-error));
        else if (!s->defer) /* else another observation follows */
                holds_act(s);
}

/* A grant that waits for room is served after an observation that began after the grant. */
static int holds_on_defer(sd_event_source *source, void *userdata)
{
        HoldSet *s = userdata;

        s->defer = sd_event_source_disable_unref(s->defer);
        s->look = usage_look_free(s->look);
        int r = snapshot_look(s->book, NULL, holds_on_look, s, &s->look);
        if (r < 0)
                log_error("the held amount of the nodes cannot be changed: %s", strerror(-r));
        return 0;
}

static bool holds_something(const HoldSet *s)
{
        const PoolSet *pools = s->book->pools;

        for (size_t i = 0; i < pools->n_pools; i++)
                if (pools->pools[i].hold)
                        return true;
        return s->helds || s->waits;
}

void holds_settle(HoldSet *s)
{
        if (!s || s->defer || !s->book->serving || !holds_something(s))
                return;
        int r = sd_event_add_defer(s->book->core->event, &s->defer, holds_on_defer, s);
        if (r < 0)
                log_error("the held amount of the nodes cannot be changed: %s", strerror(-r));
}

HoldWait *hold_wait_free(HoldWait *w)
{
        if (!w)
                return NULL;
        DL_DELETE(w->set->waits, w);
        free(w);
        return NULL;
}

int holds_make_room(HoldSet *s, const Reservation *r, done_t done, void *userdata, HoldWait **ret)
{
        NodeSet nodes = reservation_nodes(r);
        bool held = false;

        NODESET_FOREACH (node, &nodes)
                held = held || holds_find(s, node);
        if (!held)
                return 1;
        HoldWait *w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        *w = (HoldWait){ .set = s, .nodes = nodes, .done = done, .userdata = userdata };
        DL_APPEND(s->waits, w);
        holds_settle(s);
        if (!s->defer) {
                hold_wait_free(w);
                return -ENOMEM;
        }
        *ret = w;
        return 0;
}

/* --- start and stop ----------------------------------------------------------------------------------- */

bool holds_take_descriptor(HoldSet *s, int fd, const char *name)
{
        Hold *hold = NULL;
        int node, n = 0;

        if (sscanf(name, NAME_FORMAT "%n", &node, &n) != 1 || name[n])
                return false;
        const Node *at = topology_find(s->book->topology, node);
        int r = at && !holds_find(s, node) ? hold_adopt(fd, node, at->size_bytes, &hold) : -ENOENT;
        if (r >= 0)
                r = holds_add(s, node, hold);
        if (r >= 0)
                return true;
        log_warning("the held memory of node %d is freed, and will be held again: %s", node, strerror(-r));
        holds_notify("FDSTOREREMOVE=1", node, -EBADF);
        if (hold)
                hold_free(hold);
        else
                close(fd);
        return true;
}

int holds_new(Book *book, HoldSet **ret)
{
        HoldSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->book = book;
        *ret = s;
        return 0;
}

HoldSet *holds_free(HoldSet *s)
{
        if (!s)
                return NULL;
        while (s->waits)
                hold_wait_free(s->waits);
        s->defer = sd_event_source_disable_unref(s->defer);
        s->look = usage_look_free(s->look);
        if (s->job) {
                s->stopping = true;
                job_cancel(s->job);
        } else {
                set_free(s);
        }
        return NULL;
}
