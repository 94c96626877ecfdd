/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads the daemon's signal Event(s kind, u id, a{sv} details) into a struct. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <systemd/sd-bus.h>

#include "client/json.h"

typedef struct EventHolder {
        const char *cgroup, *kind; /* "anon" "file" "shmem" "other" */
        uint64_t bytes;
} EventHolder;

/* Strings are borrowed from the message. */
typedef struct Event {
        const char *kind;
        uint32_t id;    /* 0: no reservation */
        uint32_t given; /* bit mask of the details present, by position in the table of event.c */
        const char *pool, *unit, *cgroup, *nodes, *reason, *policy, *error;
        uint64_t size, moved, failed, evicted, residue, left, excess, duration_usec;
        uint32_t uid;
        EventHolder *holders;
        size_t n_holders;
} Event;

/* 0 or a negative errno. Unknown details are skipped. */
int event_read(sd_bus_message *m, Event *ret);
void event_clear(Event *e);

/* Subscribes to the signal; the handler passes the message to event_read(). Does not wait for the bus, which
 * handles the messages of a connection in order: later calls find the subscription in place. If the bus
 * refuses it, sd-bus closes the connection. Negative errno. */
int event_subscribe(sd_bus *bus, sd_bus_message_handler_t handler, void *userdata);

/* Writes one object: time, kind, id (null: no reservation) and the details present. */
void event_write_json(const Event *e, uint64_t realtime_usec, Json *j);
/* Writes the details as a sentence, not sanitised, without newline. */
void event_write_text(const Event *e, FILE *out);
