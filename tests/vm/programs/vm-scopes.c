/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-scopes COUNT: makes so many scopes bench-N.scope of a sleeping process each, says "ready", and ends them with itself. */

#include <signal.h>
#include <sys/prctl.h>

#include "tests/vm/programs/calls.h"

static void make(unsigned i)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char name[64];
        pid_t pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        snprintf(name, sizeof(name), "bench-%u.scope", i);
        must("StartTransientUnit",
             pid < 0 ? -ENOMEM
                     : sd_bus_call_method(bus, SYSTEMD, "StartTransientUnit", &error, NULL,
                                          "ssa(sv)a(sa(sv))", name, "fail", 1, "PIDs", "au", 1,
                                          (uint32_t)pid, 0),
             &error);
}

int main(int argc, char **argv)
{
        unsigned n = argc == 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;

        if (n == 0)
                return 2;
        connect_bus();
        for (unsigned i = 0; i < n; i++)
                make(i);
        puts("ready");
        fflush(stdout);
        for (;;)
                pause();
}
