/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*   bus_desk_add ── waits (bus-callers.h) ── begins, one a slice ── in flight: a BusCall ── answered
 *
 * Only HANDS calls may be in flight. A call counts until it is answered, but for no longer than HAND_USEC,
 * because polkit may ask a person, the pool may be full, or pages may have to move. So calls that wait for
 * such things never block the desk. */

#include "daemon/bus/bus-desk.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/bus/bus-internal.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "policy/cdm-names.h"

/* One call can compute while the other waits for PID 1 or a thread. */
#define HANDS     2
#define HAND_USEC UINT64_C(5000)

/* The bus allows a connection 128 pending calls, and any number of calls without a reply. Each may carry 16
 * descriptors, so with these limits all waiting calls hold at most half of cdmd's LimitNOFILE=. */
static const BusLimits desk_limits = { .user = 512, .all = 2048 };

struct BusDesk {
        Bus *bus;
        BusCallers *callers;
        Slice *slice;
        sd_event_source *timer; /* expires when the oldest call in flight no longer counts */
};

static bool desk_has_a_hand(BusDesk *d)
{
        uint64_t oldest_usec;

        if (bus_calls_recent(d->bus->calls, HANDS, &oldest_usec) < HANDS ||
            clock_monotonic_usec() >= oldest_usec + HAND_USEC)
                return true;
        (void)sd_event_source_set_time(d->timer, oldest_usec + HAND_USEC);
        (void)sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
        return false;
}

static void desk_begin(BusDesk *d, sd_bus_message *call, bus_begin_t begin)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = begin(d->bus, call, &error);
        if (sd_bus_error_is_set(&error))
                (void)sd_bus_reply_method_error(call, &error);
        else if (r < 0)
                (void)sd_bus_reply_method_errno(call, r, NULL);
}

static void desk_on_slice(void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        BusDesk *d = userdata;
        bus_begin_t begin;

        if (!desk_has_a_hand(d) || !(call = bus_callers_next(d->callers, NULL, &begin)))
                slice_set(d->slice, false);
        else
                desk_begin(d, call, begin);
}

/* Called when a call was added, or another one was answered. */
static void desk_look(void *userdata)
{
        BusDesk *d = userdata;

        slice_set(d->slice, true);
}

static int desk_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        desk_look(userdata);
        return 0;
}

int bus_desk_new(Bus *b, BusDesk **ret)
{
        Book *book = b->book;
        BusDesk *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->bus = b;
        int r = bus_callers_new(book->core->senders, book->core->peers, &desk_limits, desk_look, d,
                                &d->callers);
        if (r >= 0)
                r = slice_new_patient(book->core->event, desk_on_slice, d, &d->slice);
        if (r >= 0)
                r = sd_event_add_time(book->core->event, &d->timer, CLOCK_MONOTONIC, 0, 1, desk_on_timer, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
        if (r < 0) {
                bus_desk_free(d);
                return r;
        }
        bus_calls_on_end(b->calls, desk_look, d);
        *ret = d;
        return 0;
}

BusDesk *bus_desk_free(BusDesk *d)
{
        if (!d)
                return NULL;
        bus_calls_on_end(d->bus->calls, NULL, NULL);
        bus_callers_free(d->callers);
        slice_free(d->slice);
        sd_event_source_disable_unref(d->timer);
        free(d);
        return NULL;
}

int bus_desk_add(BusDesk *d, sd_bus_message *call, bus_begin_t begin)
{
        return bus_callers_add(d->callers, call, "calls", begin);
}
