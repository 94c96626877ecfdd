/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/wait.h"

#include <signal.h>

#include "policy/macro.h"

bool signal_is_ignored(int n)
{
        struct sigaction action;

        return sigaction(n, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

uint64_t clock_usec(clockid_t clock)
{
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int wait_on_timer(sd_event_source *s, uint64_t usec _unused_, void *userdata)
{
        BusWait *w = userdata;

        w->progress(w->userdata);
        (void)sd_event_source_set_time_relative(s, WAIT_PROGRESS_USEC);
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int wait_on_signal(sd_event_source *s _unused_, const struct signalfd_siginfo *si, void *userdata)
{
        BusWait *w = userdata;

        w->signal = (int)si->ssi_signo;
        wait_stop(w);
        return 0;
}

int wait_begin(BusWait *w, sd_bus *bus, wait_progress_t progress, void *userdata)
{
        static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
        sigset_t mask;

        *w = (BusWait){ .bus = bus, .progress = progress, .userdata = userdata };
        int r = sd_event_new(&w->event);
        if (r >= 0)
                r = sd_bus_attach_event(bus, w->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0 && progress)
                r = sd_event_add_time_relative(w->event, NULL, CLOCK_MONOTONIC, WAIT_PROGRESS_USEC, 0,
                                               wait_on_timer, w);
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(signals); i++) {
                if (signal_is_ignored(signals[i]))
                        continue;
                sigemptyset(&mask);
                sigaddset(&mask, signals[i]);
                sigprocmask(SIG_BLOCK, &mask, NULL);
                r = sd_event_add_signal(w->event, NULL, signals[i], wait_on_signal, w);
        }
        return r;
}

int wait_loop(BusWait *w)
{
        return sd_event_loop(w->event);
}

void wait_stop(BusWait *w)
{
        (void)sd_event_exit(w->event, 0);
}

void wait_end(BusWait *w)
{
        sd_bus_detach_event(w->bus);
        w->event = sd_event_unref(w->event);
}

void wait_die(const BusWait *w)
{
        sigset_t mask;

        if (w->signal == 0)
                return;
        (void)signal(w->signal, SIG_DFL);
        (void)raise(w->signal);
        sigemptyset(&mask);
        sigaddset(&mask, w->signal);
        sigprocmask(SIG_UNBLOCK, &mask, NULL);
}
