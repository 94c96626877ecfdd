/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/queue.h"
#include "client/wait.h"
#include "policy/cdm-names.h"

/* The client gives up this much later than cdmd. */
#define LATE_USEC (UINT64_C(5) * 1000 * 1000)

static int queue_on_event(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(event_clear) Event e = { 0 };
        QueueWait *w = userdata;

        if (event_read(m, &e) < 0 || !w->path || e.id != w->id || w->ended)
                return 0;
        if (strcmp(e.kind, "granted") == 0)
                w->ended = true;
        else if (strcmp(e.kind, "dequeued") == 0 || strcmp(e.kind, "failed") == 0) {
                sd_bus_error why = { e.error ? e.error : SD_BUS_ERROR_FAILED, e.reason };
                w->ended = true;
                w->status = client_fail(&why, -EIO);
        }
        return 0;
}

static int queue_on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        QueueWait *w = userdata;
        const char *name, *before, *after;

        if (sd_bus_message_read(m, "sss", &name, &before, &after) >= 0 && *after)
                w->look = true;
        return 0;
}

int queue_watch(sd_bus *bus, QueueWait *w)
{
        int r = event_subscribe(bus, queue_on_event, w);

        if (r >= 0)
                r = client_watch_daemon(bus, queue_on_owner, w);
        w->watching = r >= 0;
        return r < 0 ? client_fail(NULL, r) : 0;
}

/* 0 and *ret_queued, or an exit status. */
static int queue_look(sd_bus *bus, QueueWait *w, bool *ret_queued)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *state = NULL;

        w->look = false;
        int r = sd_bus_get_property_string(bus, CDM_BUS_NAME, w->path, CDM_INTERFACE_RESERVATION, "State",
                                           &error, &state);
        if (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT) && w->watching) {
                /* The reason is in a signal that arrived before this reply. */
                while (!w->ended && sd_bus_process(bus, NULL) > 0)
                        ;
                if (w->ended && w->status != 0)
                        return w->status;
        }
        if (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return fail(CDM_EXIT_FAILED, "reservation %u ended before it was granted; ask again", w->id);
        if (r < 0 && w->watching && client_exit_status(&error, r) == CDM_EXIT_NO_DAEMON) {
                *ret_queued = true; /* cdmd restarts: queue_on_owner() will ask again */
                return 0;
        }
        if (r < 0)
                return client_fail(&error, r);
        *ret_queued = strcmp(state, "queued") == 0;
        return 0;
}

/* Opens a signalfd for the signals that the caller has blocked, because they must not kill cdmctl. -1:
 * none. */
static int open_signals(void)
{
        static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
        sigset_t blocked, wanted;
        bool any = false;

        sigemptyset(&wanted);
        if (sigprocmask(SIG_BLOCK, NULL, &blocked) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
                if (sigismember(&blocked, ending[i]) == 1) {
                        sigaddset(&wanted, ending[i]);
                        any = true;
                }
        return any ? signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
}

/* Waits for the bus, a signal or the deadline. Returns the signal number, or 0. */
static int queue_pause(sd_bus *bus, int signals, uint64_t due_usec)
{
        struct pollfd fds[] = { { .fd = sd_bus_get_fd(bus) }, { .fd = signals, .events = POLLIN } };
        struct signalfd_siginfo si;
        uint64_t now = clock_usec(CLOCK_BOOTTIME), left = due_usec > now ? due_usec - now : 0;
        int events = sd_bus_get_events(bus);

        fds[0].events = (short)(events < 0 ? 0 : events);
        /* Wait at most a minute at a time: poll() does not count the time that the machine is suspended. */
        (void)poll(fds, ARRAY_SIZE(fds), left > 60000000 ? 60000 : (int)(left / 1000) + 1);
        return signals >= 0 && read(signals, &si, sizeof(si)) == sizeof(si) ? (int)si.ssi_signo : 0;
}

static int queue_wait_ended(sd_bus *bus, QueueWait *w, int signals, uint64_t due_usec)
{
        bool queued = true;

        for (;;) {
                int r = 1, status;

                while (r > 0 && !w->ended)
                        r = sd_bus_process(bus, NULL);
                if (w->ended)
                        return w->status;
                if (r < 0)
                        return client_fail(NULL, r);
                if (w->look) {
                        status = queue_look(bus, w, &queued);
                        if (status != 0 || !queued)
                                return status;
                        continue;
                }
                int signal_number = queue_pause(bus, signals, due_usec);
                if (signal_number > 0) {
                        (void)client_call(bus, w->path, CDM_INTERFACE_RESERVATION, "Release", NULL, "");
                        return 128 + signal_number;
                }
                if (clock_usec(CLOCK_BOOTTIME) >= due_usec)
                        return fail(
                                CDM_EXIT_TIMEOUT,
                                "timed out waiting for room in the pool; ask again, for longer or for less");
        }
}

int queue_wait(sd_bus *bus, QueueWait *w, const char *path, uint64_t usec)
{
        uint64_t due_usec, now = clock_usec(CLOCK_BOOTTIME);
        bool queued = false;

        w->path = path;
        w->id = client_path_to_id(path);
        int status = queue_look(bus, w, &queued);
        if (status != 0 || !queued)
                return status;
        if (!w->watching) {
                /* The request did not ask for the queue: it waits until the displaced reservations have
                 * left. */
                status = queue_watch(bus, w);
                if (status == 0)
                        status = queue_look(bus, w, &queued);
                if (status != 0 || !queued)
                        return status;
        }
        if (__builtin_add_overflow(now + LATE_USEC, usec, &due_usec))
                due_usec = UINT64_MAX;
        int signals = open_signals();
        status = queue_wait_ended(bus, w, signals, due_usec);
        if (signals >= 0)
                close(signals);
        return status;
}
