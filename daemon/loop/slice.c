/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Uses a timer that is due at once. A defer source does not work: it counts as pending since it was made, so
 * sd-event would dispatch it before all other sources of its priority in each turn. */

#include "daemon/loop/slice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/loop/log.h"
#include "policy/macro.h"

struct Slice {
        sd_event_source *source;
        slice_run_t run;
        void *userdata;
        bool on;
};

static void slice_arm(Slice *s)
{
        int r = sd_event_source_set_time(s->source, 0);

        if (r >= 0)
                r = sd_event_source_set_enabled(s->source, s->on ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
        if (r < 0)
                log_error("cannot set the timer of a long answer: %s", strerror(-r));
}

static int slice_on_turn(sd_event_source *source, uint64_t usec, void *userdata)
{
        Slice *s = userdata;

        slice_arm(s);
        s->run(s->userdata);
        return 0;
}

int slice_new(sd_event *event, slice_run_t run, void *userdata, Slice **ret)
{
        Slice *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (Slice){ .run = run, .userdata = userdata };
        int r = sd_event_add_time(event, &s->source, CLOCK_MONOTONIC, 0, 1, slice_on_turn, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->source, SD_EVENT_OFF);
        if (r < 0) {
                slice_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

Slice *slice_free(Slice *s)
{
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->source);
        free(s);
        return NULL;
}

void slice_set(Slice *s, bool on)
{
        if (s->on == on)
                return;
        s->on = on;
        slice_arm(s);
}
