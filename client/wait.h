/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waiting for cdmd in an event loop. The work of cdmd does not depend on the wait, so a signal may end the
 * wait at any time. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <time.h>

#define WAIT_PROGRESS_USEC UINT64_C(250000)
typedef void (*wait_progress_t)(void *userdata);

typedef struct BusWait {
        sd_bus *bus; /* borrowed */
        sd_event *event;
        wait_progress_t progress;
        void *userdata;
        int signal; /* the signal that ended the wait, or 0 */
} BusWait;

/* Attaches the bus to a new event loop, which SIGINT, SIGTERM and SIGHUP end. They stay blocked afterwards.
 * progress: called every WAIT_PROGRESS_USEC; NULL: never. The caller calls wait_end(), also after a failure. */
int wait_begin(BusWait *w, sd_bus *bus, wait_progress_t progress, void *userdata);
/* Runs the loop until wait_stop() or a signal. Returns 0, EXIT_FAILURE if the connection to the bus was lost
 * (only after sd_bus_set_exit_on_disconnect()), or -errno. */
int wait_loop(BusWait *w);
void wait_stop(BusWait *w);
void wait_end(BusWait *w);
/* If a signal has ended the wait: dies of that signal, so that a shell notices and also stops its script. */
void wait_die(const BusWait *w);

/* True if the signal is ignored, as SIGHUP is under nohup(1): cdmctl must then not wait for it either, because
 * the kernel queues an ignored signal that is blocked. */
bool signal_is_ignored(int n);

/* What the clock shows, in microseconds. */
uint64_t clock_usec(clockid_t clock);
