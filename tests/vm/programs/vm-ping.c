/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-ping NAME...: asks every bus name org.freedesktop.DBus.Peer.Ping again and again until SIGTERM or
 * SIGINT, each on a connection of its own so that one that is slow does not hide the others. Says "ready"
 * when each has answered once. At the end it prints a line a name: "NAME PINGS
 * LONGEST-PAUSE-IN-MICROSECONDS"; a ping that is still unanswered at the end counts. */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <systemd/sd-bus.h>

typedef struct Pinger {
        const char *name;
        uint64_t pings;
        uint64_t longest_usec;
} Pinger;

static atomic_bool stopping;
static atomic_size_t begun; /* pingers that had their first answer, or will have none */

static uint64_t now_usec(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void *ping_thread(void *userdata)
{
        Pinger *p = userdata;
        sd_bus *bus = NULL;

        if (sd_bus_open_system(&bus) < 0) {
                atomic_fetch_add(&begun, 1);
                return NULL;
        }
        while (!atomic_load(&stopping)) {
                uint64_t start = now_usec(), pause;

                if (sd_bus_call_method(bus, p->name, "/", "org.freedesktop.DBus.Peer", "Ping", NULL, NULL,
                                       "") < 0)
                        fprintf(stderr, "vm-ping: %s did not answer\n", p->name);
                pause = now_usec() - start;
                if (pause > p->longest_usec)
                        p->longest_usec = pause;
                if (p->pings++ == 0)
                        atomic_fetch_add(&begun, 1);
                usleep(2000);
        }
        sd_bus_unref(bus);
        return NULL;
}

int main(int argc, char **argv)
{
        size_t n = argc > 1 ? (size_t)argc - 1 : 0;
        Pinger *pingers = calloc(n + 1, sizeof(*pingers));
        pthread_t *threads = calloc(n + 1, sizeof(*threads));
        sigset_t signals;
        int sig;

        if (!pingers || !threads || n == 0)
                return EXIT_FAILURE;
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        pthread_sigmask(SIG_BLOCK, &signals, NULL);

        for (size_t i = 0; i < n; i++) {
                pingers[i].name = argv[i + 1];
                if (pthread_create(&threads[i], NULL, ping_thread, &pingers[i]) != 0)
                        return EXIT_FAILURE;
        }
        while (atomic_load(&begun) < n)
                usleep(2000);
        puts("ready");
        fflush(stdout);
        sigwait(&signals, &sig);
        atomic_store(&stopping, true);
        for (size_t i = 0; i < n; i++) {
                pthread_join(threads[i], NULL);
                printf("%s %" PRIu64 " %" PRIu64 "\n", pingers[i].name, pingers[i].pings,
                       pingers[i].longest_usec);
        }
        free(pingers);
        free(threads);
        return EXIT_SUCCESS;
}
