/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waiting until what was asked for is granted. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "client/event.h"

typedef struct QueueWait {
        const char *path; /* of the reservation */
        uint32_t id;
        bool ended;    /* status says how */
        bool look;     /* cdmd was started anew */
        bool watching; /* the bus tells of it */
        int status;
} QueueWait;

/* To be called before the request, or the reason why it was not granted may be missed. */
int queue_watch(sd_bus *bus, QueueWait *w);

/* Waits until it is granted: 0, or an exit status after it told the user. usec: for how long at most, which
 * is cdmd's to keep; this is for when cdmd is not there. Signals that the caller has blocked end it: 128 +
 * N.
 */
int queue_wait(sd_bus *bus, QueueWait *w, const char *path, uint64_t usec);
