/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's signal Event(s kind, u id, a{sv} details), read into a struct. */

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
        uint32_t id;    /* 0: about no reservation */
        uint32_t given; /* which details came, by their place in the table of event.c */
        const char *pool, *unit, *cgroup, *nodes, *reason, *policy, *error;
        uint64_t size, moved, failed, evicted, residue, left, excess, duration_usec;
        uint32_t uid;
        EventHolder *holders;
        size_t n_holders;
} Event;

/* Negative errno; details that are not known are passed over. */
int event_read(sd_bus_message *m, Event *ret);
void event_clear(Event *e);

/* Subscribes; the handler gets the message for event_read(). Negative errno. */
int event_subscribe(sd_bus *bus, sd_bus_message_handler_t handler, void *userdata);

/* One object: time, kind, id (null when about none) and the details that came. */
void event_write_json(const Event *e, uint64_t realtime_usec, Json *j);
/* A sentence of what the details say, not sanitised, without newline. */
void event_write_text(const Event *e, FILE *out);
