/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Uses a timer that is due immediately. A defer source does not work: it counts as pending since its
 * creation, so sd-event would dispatch it before all other sources of its priority in each turn. */

#include "daemon/loop/slice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/loop/log.h"
#include "policy/macro.h"

#define PRIORITY_PATIENT (SD_EVENT_PRIORITY_NORMAL + 10)
#define PRIORITY_DUE     (SD_EVENT_PRIORITY_NORMAL - 1)

struct Slice {
        sd_event_source *source;
        unsigned n_others; /* other events since the last slice */
        bool patient;
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
                log_error("cannot set the timer for work in slices: %s", strerror(-r));
}

static int slice_on_turn(sd_event_source *source, uint64_t usec, void *userdata)
{
        Slice *s = userdata;

        s->n_others = 0;
        if (s->patient)
                (void)sd_event_source_set_priority(s->source, PRIORITY_PATIENT);
        slice_arm(s);
        s->run(s->userdata);
        return 0;
}

/* Called once per turn of the loop. Each turn dispatches one event. */
static int slice_on_prepare(sd_event_source *source, void *userdata)
{
        Slice *s = userdata;

        return s->n_others++ < SLICE_OTHERS_MAX ? 0 : sd_event_source_set_priority(source, PRIORITY_DUE);
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

int slice_new_patient(sd_event *event, slice_run_t run, void *userdata, Slice **ret)
{
        Slice *s;

        int r = slice_new(event, run, userdata, &s);
        if (r < 0)
                return r;
        s->patient = true;
        r = sd_event_source_set_priority(s->source, PRIORITY_PATIENT);
        if (r >= 0)
                r = sd_event_source_set_prepare(s->source, slice_on_prepare);
        if (r < 0) {
                slice_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

void slice_set(Slice *s, bool on)
{
        if (s->on == on)
                return;
        s->on = on;
        s->n_others = 0;
        slice_arm(s);
}
