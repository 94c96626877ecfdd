/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Serves the queue (waiter.c). policy/serve.c decides which waiter is next; this file asks it again whenever
 * something may have changed, and carries out the decision.
 *
 * The queue is walked in slices, one for each iteration of the event loop, so messages are answered in
 * between even if the queue is long.
 *
 * Foreign bytes can be freed without an event, so while the queue is not empty it is also walked
 * periodically, with growing pauses. */

#include "daemon/tenant/queue-server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/grant.h"
#include "daemon/tenant/judgement.h"
#include "daemon/tenant/snapshot.h"
#include "daemon/tenant/usage.h"
#include "daemon/tenant/waiter.h"
#include "policy/serve.h"

#define AGAIN_FIRST_USEC (UINT64_C(100) * 1000)
#define AGAIN_LAST_USEC  (UINT64_C(30) * 1000 * 1000)
#define SEEN_USEC        (UINT64_C(1000) * 1000)

struct QueueServer {
        Book *book;
        GrantSet *grants;
        UsageLook *look;
        bool walking; /* from the request for an observation to the end of the walk */
        bool changed; /* something changed during the walk: another walk is needed */
        ServeWalk walk;
        Slice *slice;
        uint64_t seen_usec;
        sd_event_source *again;
        uint64_t pause_usec;
};

static void queue_server_serve_one(GrantSet *grants, Entry *e, const Served *s)
{
        const Decision *d = s->decision;

        if (s->action == SERVE_DISPLACE)
                waiter_revoke_victims(e->waiter, d);
        else if (s->action == SERVE_END)
                waiter_dequeue(e, decision_error(d->verdict), d->reason);
        else
                grant_waiting(grants, e, waiter_take(e->waiter), d);
}

static int queue_server_on_again(sd_event_source *source, uint64_t usec, void *userdata);

static void queue_server_look_later(QueueServer *s)
{
        s->again = sd_event_source_disable_unref(s->again);
        if (queue_count(s->book->queue) == 0)
                return;
        int r = sd_event_add_time_relative(s->book->core->event, &s->again, CLOCK_MONOTONIC, s->pause_usec,
                                           s->pause_usec / 4, queue_server_on_again, s);
        if (r < 0)
                log_error("cannot set the timer of the queue: %s", strerror(-r));
        s->pause_usec *= 2;
        if (s->pause_usec > AGAIN_LAST_USEC)
                s->pause_usec = AGAIN_LAST_USEC;
}

static void queue_server_look_now(QueueServer *s);

static void queue_server_walk_end(QueueServer *s, int error)
{
        bool again = s->changed;

        if (error < 0)
                log_error("the queue cannot be served to its end: %s; cdmd tries again", strerror(-error));
        s->walking = s->changed = false;
        slice_set(s->slice, false);
        if (again)
                queue_server_look_now(s);
        queue_server_look_later(s);
}

/* One slice of the walk. Each grant is booked immediately, so the next snapshot has fewer available
 * bytes. */
static void queue_server_serve(QueueServer *s)
{
        int r;

        do {
                Served served;
                Snapshot now = snapshot_take(s->book, NULL);
                r = serve_next(&now, s->book->queue, &s->walk, &served);
                if (r > 0) {
                        queue_server_serve_one(s->grants, book_find(s->book, served.request->id), &served);
                        decision_free(served.decision);
                }
        } while (r > 0);
        if (r == -EAGAIN)
                slice_set(s->slice, true);
        else
                queue_server_walk_end(s, r);
}

static void queue_server_on_look(int error, const UsageTarget *target, void *userdata)
{
        QueueServer *s = userdata;

        s->look = NULL;
        s->seen_usec = clock_monotonic_usec();
        if (error < 0)
                queue_server_walk_end(s, error);
        else
                queue_server_serve(s);
}

static int queue_server_ask(QueueServer *s)
{
        return snapshot_look(s->book, NULL, queue_server_on_look, s, &s->look);
}

/* The walk uses an observation for SEEN_USEC, and then continues with a new one. */
static void queue_server_on_slice(void *userdata)
{
        QueueServer *s = userdata;

        if (clock_monotonic_usec() - s->seen_usec <= SEEN_USEC) {
                queue_server_serve(s);
                return;
        }
        slice_set(s->slice, false);
        int r = queue_server_ask(s);
        if (r < 0)
                queue_server_walk_end(s, r);
}

/* A walk in progress is finished first, so that the end of the queue is reached even if changes are
 * frequent. */
static void queue_server_look_now(QueueServer *s)
{
        int r;

        if (!s->book->serving || queue_count(s->book->queue) == 0)
                return;
        if (s->walking) {
                if (!s->look || s->walk.id != 0)
                        s->changed = true;
                return;
        }
        s->walk = SERVE_WALK_START;
        r = queue_server_ask(s);
        s->walking = r >= 0;
        if (r < 0)
                log_error("the queue cannot be served now: %s", strerror(-r));
}

static int queue_server_on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        queue_server_look_now(userdata);
        return 0;
}

void queue_server_look(QueueServer *s)
{
        s->pause_usec = AGAIN_FIRST_USEC;
        queue_server_look_now(s);
}

int queue_server_new(Book *book, GrantSet *grants, QueueServer **ret)
{
        QueueServer *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->book = book;
        s->grants = grants;
        int r = slice_new(book->core->event, queue_server_on_slice, s, &s->slice);
        if (r < 0) {
                free(s);
                return r;
        }
        *ret = s;
        return 0;
}

QueueServer *queue_server_free(QueueServer *s)
{
        if (!s)
                return NULL;
        usage_look_free(s->look);
        slice_free(s->slice);
        sd_event_source_disable_unref(s->again);
        free(s);
        return NULL;
}
