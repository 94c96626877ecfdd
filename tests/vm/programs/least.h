/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The least that a daemon between a client and PID 1 has to do for a change of a unit's nodes, done by the client
 * itself: the limit of what cdmd can reach. The unit is a service in system.slice. */

#include <fcntl.h>

#include "tests/vm/programs/calls.h"
#include "tests/vm/programs/questions.h"

#define LEAST_STATE "/run/vm-least"

static inline double ping_ms(const char *name)
{
        double begin = now_ms();

        must("Ping", sd_bus_call_method(bus, name, "/", "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, ""),
             NULL);
        return now_ms() - begin;
}

/* A crash in between leaves the old file or the new one. */
static inline void least_store(void)
{
        char text[256];

        memset(text, '.', sizeof(text));
        int fd = open(LEAST_STATE ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, text, sizeof(text)) != sizeof(text) || fsync(fd) < 0 || close(fd) < 0 ||
            rename(LEAST_STATE ".new", LEAST_STATE) < 0)
                must(LEAST_STATE, -errno, NULL);
}

static inline void least_read_back(const char *unit)
{
        char path[512], text[128];

        snprintf(path, sizeof(path), "/sys/fs/cgroup/system.slice/%s/cpuset.mems.effective", unit);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, text, sizeof(text)) <= 0 || close(fd) < 0)
                must(path, -errno, NULL);
}

/* The Ping stands for the call of the daemon. is_new: it does not know the unit yet. */
static inline double least_ms(const char *unit, uint8_t nodes, bool is_new)
{
        double begin = now_ms();

        (void)ping_ms("org.cdmd1");
        must("GetConnectionCredentials", ask_who_calls(bus), NULL);
        if (is_new)
                must("what the unit is", ask_what_unit_is(bus, unit), NULL);
        least_store();
        set_nodes(unit, nodes);
        least_read_back(unit);
        least_store();
        return now_ms() - begin;
}
