/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl monitor: prints decisions and events as they happen, one per line. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/event.h"
#include "client/text.h"
#include "client/wait.h"
#include "policy/cdm-names.h"

DEFINE_CLEANUP(sd_event, sd_event_unref);

static void monitor_print_line(const Event *e)
{
        _cleanup_free_ char *text = NULL, *clean = NULL;
        char when[16] = "", id[16] = "-";
        time_t now = time(NULL);
        struct tm tm;
        size_t size;

        if (localtime_r(&now, &tm))
                strftime(when, sizeof(when), "%H:%M:%S", &tm);
        if (e->id > 0)
                snprintf(id, sizeof(id), "%u", e->id);

        FILE *out = open_memstream(&text, &size);
        if (!out)
                return;
        fprintf(out, "%s %-14s %5s  ", when, e->kind, id);
        event_write_text(e, out);
        if (fclose(out) == 0)
                clean = text_sanitise(text);
        if (clean)
                puts(clean);
}

static int monitor_on_event(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const Args *args = userdata;
        _cleanup_(event_clear) Event e = { 0 };

        if (event_read(m, &e) < 0)
                return 0;
        if (args->style.json == JSON_OFF) {
                monitor_print_line(&e);
        } else {
                Json j = JSON_WRITER(stdout, JSON_SHORT);

                event_write_json(&e, clock_usec(CLOCK_REALTIME), &j);
                json_finish(&j);
        }

        /* Flush every line for readers of a pipe, and stop when the disk is full. */
        if (fflush(stdout) != 0)
                return sd_event_exit(sd_bus_get_event(sd_bus_message_get_bus(m)), CDM_EXIT_FAILED);
        return 0;
}

static int monitor_on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        (void)fail(CDM_EXIT_NO_DAEMON, "the connection to the system bus was lost");
        return sd_event_exit(sd_bus_get_event(sd_bus_message_get_bus(m)), CDM_EXIT_NO_DAEMON);
}

static int monitor_watch(sd_bus *bus, sd_event *event, const Args *args)
{
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGTERM);
        sigprocmask(SIG_BLOCK, &mask, NULL);

        int r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = event_subscribe(bus, monitor_on_event, (void *)args);
        if (r >= 0)
                r = sd_bus_match_signal(bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                        "org.freedesktop.DBus.Local", "Disconnected",
                                        monitor_on_disconnected, NULL);
        if (r >= 0)
                r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
        return r;
}

int verb_monitor(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(sd_event_unref_p) sd_event *event = NULL;

        int status = client_open(&bus);
        if (status != 0)
                return status;

        /* Without a call, a missing daemon would look like one without events. */
        status = client_call(bus, CDM_PATH, "org.freedesktop.DBus.Peer", "Ping", NULL, "");
        if (status != 0)
                return status;

        int r = sd_event_new(&event);
        if (r >= 0)
                r = monitor_watch(bus, event, args);
        if (r >= 0)
                r = sd_event_loop(event);
        sd_bus_detach_event(bus);
        return r < 0 ? fail(CDM_EXIT_FAILED, "cannot listen to the bus: %s", strerror(-r)) : r;
}
