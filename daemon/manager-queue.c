/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Serves those who wait (manager-wait.c). Who is next is decided by policy/serve.c; this looks again whenever
 * something may have changed, and acts.
 *
 * A walk through the queue is done in slices, one a turn of the event loop: however many wait, messages are
 * answered in between.
 *
 * What strangers hold goes away without a word: while somebody waits we look again by ourselves, ever more
 * seldom. */

#include <errno.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/manager.h"
#include "daemon/slice.h"
#include "daemon/usage.h"
#include "policy/serve.h"

#define AGAIN_FIRST_USEC (UINT64_C(100) * 1000)
#define AGAIN_LAST_USEC  (UINT64_C(30) * 1000 * 1000)
#define SEEN_USEC        (UINT64_C(1000) * 1000)

static void queue_serve_one(Entry *e, const Served *s)
{
        const Decision *d = s->decision;

        if (s->action == SERVE_DISPLACE)
                waiter_revoke_victims(e->waiter, d);
        else if (s->action == SERVE_END)
                manager_dequeue(e, decision_error(d->verdict), d->reason);
        else {
                grant_waiting(e, waiter_take(e->waiter), d);
        }
}

static int queue_on_again(sd_event_source *source, uint64_t usec, void *userdata);

static void queue_look_later(Manager *m)
{
        m->queue_again = sd_event_source_disable_unref(m->queue_again);
        if (queue_count(m->queue) == 0)
                return;
        int r = sd_event_add_time_relative(m->event, &m->queue_again, CLOCK_MONOTONIC, m->queue_pause_usec,
                                           m->queue_pause_usec / 4, queue_on_again, m);
        if (r < 0)
                log_error("Cannot set the timer of the queue: %s.", strerror(-r));
        m->queue_pause_usec *= 2;
        if (m->queue_pause_usec > AGAIN_LAST_USEC)
                m->queue_pause_usec = AGAIN_LAST_USEC;
}

static void queue_look_now(Manager *m);

static void queue_walk_end(Manager *m, int error)
{
        bool again = m->queue_changed;

        if (error < 0)
                log_error("The queue cannot be served now: %s.", strerror(-error));
        m->queue_walking = m->queue_changed = false;
        slice_set(m->queue_slice, false);
        if (again)
                queue_look_now(m);
        queue_look_later(m);
}

/* One slice of the walk. A grant is in the ledger at once, and makes less available. */
static void queue_serve(Manager *m)
{
        int r;

        do {
                Served served;
                Snapshot s = manager_snapshot(m, NULL);
                r = serve_next(&s, m->queue, &m->queue_walk, &served);
                if (r > 0) {
                        queue_serve_one(manager_find(m, served.request->id), &served);
                        decision_free(served.decision);
                }
        } while (r > 0);
        if (r == -EAGAIN)
                slice_set(m->queue_slice, true);
        else
                queue_walk_end(m, r);
}

static void queue_on_look(int error, const UsageTarget *target, void *userdata)
{
        Manager *m = userdata;

        m->queue_look = NULL;
        m->queue_seen_usec = manager_monotonic_usec();
        if (error < 0)
                queue_walk_end(m, error);
        else
                queue_serve(m);
}

static int queue_ask(Manager *m)
{
        return manager_look(m, NULL, queue_on_look, m, &m->queue_look);
}

/* One observation serves the walk for a while; then it goes on with a new one. */
static void queue_on_slice(void *userdata)
{
        Manager *m = userdata;

        if (manager_monotonic_usec() - m->queue_seen_usec <= SEEN_USEC) {
                queue_serve(m);
                return;
        }
        slice_set(m->queue_slice, false);
        int r = queue_ask(m);
        if (r < 0)
                queue_walk_end(m, r);
}

/* A walk that is under way is finished first, so that those at the end are reached whatever changes. */
static void queue_look_now(Manager *m)
{
        int r = 0;

        if (!m->serving || queue_count(m->queue) == 0)
                return;
        if (m->queue_walking) {
                if (!m->queue_look || m->queue_walk.id != 0)
                        m->queue_changed = true;
                return;
        }
        if (!m->queue_slice)
                r = slice_new(m->event, queue_on_slice, m, &m->queue_slice);
        m->queue_walk = SERVE_WALK_START;
        if (r >= 0)
                r = queue_ask(m);
        m->queue_walking = r >= 0;
        if (r < 0)
                log_error("The queue cannot be served now: %s.", strerror(-r));
}

static int queue_on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        queue_look_now(userdata);
        return 0;
}

void manager_queue_look(Manager *m)
{
        m->queue_pause_usec = AGAIN_FIRST_USEC;
        queue_look_now(m);
}
