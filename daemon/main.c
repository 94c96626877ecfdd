/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmd: decides who may use coherent device memory, and makes the kernel keep to it. */

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "build-config.h"
#include "daemon/assembly.h"
#include "daemon/bus/bus.h"
#include "daemon/keeper/reload.h"
#include "daemon/keeper/start.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/loop/log.h"
#include "daemon/machine/names.h"

typedef struct Daemon {
        const char *root;
        sd_event *event;
        sd_bus *bus;
        Assembly *assembly;
        Bus *surface;
} Daemon;

static void daemon_clear(Daemon *d)
{
        bus_free(d->surface);
        assembly_free(d->assembly);
        if (d->bus)
                sd_bus_flush_close_unref(d->bus);
        sd_event_unref(d->event);
}

static void main_usage(void)
{
        printf("cdmd [OPTION...]\n\n"
               "Decides who may use coherent device memory, and makes the kernel keep to it.\n\n"
               "  --root=DIR    read sysfs, procfs, control groups and configuration below DIR\n"
               "  --help        this text\n"
               "  --version     the version\n\n"
               "It is normally started by systemd as cdmd.service; see cdmd(8).\n");
}

/* Returns 0 to continue, 1 to exit with success, -EINVAL for a usage error. */
static int main_parse_arguments(int argc, char **argv, Daemon *d)
{
        static const struct option options[] = {
                { "root", required_argument, NULL, 'r' },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'v' },
                { NULL, 0, NULL, 0 },
        };
        int c;

        d->root = "";
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case 'r':
                        d->root = strcmp(optarg, "/") == 0 ? "" : optarg;
                        break;
                case 'h':
                        main_usage();
                        return 1;
                case 'v':
                        puts("cdmd " PACKAGE_VERSION);
                        return 1;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                fprintf(stderr, "cdmd: '%s' is not an option; see cdmd --help\n", argv[optind]);
                return -EINVAL;
        }
        return 0;
}

static int main_on_stop(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        (void)sd_notify(0, "STOPPING=1\nSTATUS=Stopping; the fence and all reservations stay.");
        log_info("stopping; the fence and all reservations stay as they are");
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int main_on_hangup(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        reloads_add(((Assembly *)userdata)->reloads, NULL, NULL);
        return 0;
}

/* Signals are blocked before the first thread is started, so every thread inherits the mask. */
static int main_block_signals(void)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGPIPE);
        sigaddset(&set, SIGIO); /* sent when a process opens a file on which cdmd has a lease: memory.c */
        return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

static int main_open_bus(Daemon *d)
{
        int r = sd_bus_open_system(&d->bus);

        if (r >= 0)
                r = sd_bus_attach_event(d->bus, d->event, SD_EVENT_PRIORITY_NORMAL);
        /* systemd restarts cdmd when the bus is back. Grants do not depend on a running cdmd. */
        if (r >= 0)
                r = sd_bus_set_exit_on_disconnect(d->bus, 1);
        if (r < 0)
                log_error("the system bus cannot be reached: %s; cdmd needs it for requests and for calls "
                          "to systemd; is dbus running?",
                          strerror(-r));
        return r;
}

static int main_open_surface(Daemon *d)
{
        BusContext context = assembly_bus_context(d->assembly);

        return bus_new(&context, &d->surface);
}

static int main_set_up(Daemon *d)
{
        _cleanup_free_ char *error = NULL;

        int r = main_block_signals();
        if (r >= 0)
                r = sd_event_default(&d->event);
        if (r < 0) {
                log_error("cannot start: %s", strerror(-r));
                return r;
        }
        r = cgroup_setup(d->root, &error);
        if (r < 0) {
                log_error("%s", error ? error : strerror(-r));
                return r;
        }
        r = main_open_bus(d);
        if (r >= 0)
                r = assembly_new(d->root, d->event, d->bus, &d->assembly);
        if (r >= 0)
                r = reloads_load(d->assembly->reloads);
        if (r >= 0)
                r = main_open_surface(d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGTERM, main_on_stop, NULL);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGINT, main_on_stop, NULL);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGHUP, main_on_hangup, d->assembly);
        return r;
}

static int main_run(Daemon *d)
{
        int r = main_set_up(d);

        /* The name is requested first, so that calls during recovery wait for its end instead of failing. */
        if (r >= 0)
                r = bus_request_name(d->bus);
        if (r >= 0)
                r = start_run(d->assembly->start);
        if (r >= 0)
                r = sd_event_loop(d->event);
        if (r < 0)
                (void)sd_notifyf(0, "ERRNO=%i", -r);
        return r;
}

int main(int argc, char **argv)
{
        Daemon d = { 0 };

        int r = main_parse_arguments(argc, argv, &d);
        if (r != 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        /* Otherwise each thread has a heap of its own, which stays when the thread has ended. */
        (void)mallopt(M_ARENA_MAX, 1);
        log_init();
        int status = main_run(&d) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        daemon_clear(&d);
        if (names_are_left())
                _exit(status);
        return status;
}
