/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waits until a request is granted. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "client/event.h"

typedef struct QueueWait {
        const char *path; /* of the reservation */
        uint32_t id;
        bool ended;    /* status says how */
        bool look;     /* cdmd was restarted */
        bool watching; /* signals are subscribed to */
        int status;
} QueueWait;

/* Must be called before the request. Otherwise the reason of a refusal may be missed. */
int queue_watch(sd_bus *bus, QueueWait *w);

/* Waits until the reservation is granted. 0, or an exit status after the error was printed. usec: the upper
 * bound of the wait. cdmd enforces it; the client gives up a little later, in case cdmd is not running.
 * Signals that the caller has blocked end the wait: 128 + N. */
int queue_wait(sd_bus *bus, QueueWait *w, const char *path, uint64_t usec);
