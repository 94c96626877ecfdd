/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads what a reload needs: the files of the configuration, or the machine's nodes. A worker does this,
 * because /etc may be on a network, and a driver may block the reader of its files. */

#include "daemon/loop/worker.h"
#include "policy/conf-message.h"
#include "policy/config.h"
#include "policy/macro.h"
#include "policy/topology.h"

typedef enum ReloadPart {
        RELOAD_CONFIG, /* the files of the configuration */
        RELOAD_NODES,  /* the machine's nodes */
} ReloadPart;

/* On failure only error is set. */
typedef struct ReloadResult {
        Config *config;     /* RELOAD_CONFIG */
        char *warnings;     /* RELOAD_CONFIG: a line for each questionable setting */
        Topology *topology; /* RELOAD_NODES */
        char *error;        /* text for the user, a line for each mistake; NULL when out of memory */
} ReloadResult;

/* Reads without a worker: for the start. -EBADMSG: a file of the configuration was refused. */
int reload_read(const char *root, ReloadPart part, ReloadResult *ret);
void reload_result_clear(ReloadResult *r);

/* The lines of one severity, owned by the caller; "" when there are none. NULL: out of memory. */
char *reload_read_messages(const ConfMessages *m, ConfSeverity severity);

typedef struct ReloadReading ReloadReading;
/* Called from the event loop. The ReloadReading is freed afterwards, and so is what the callee leaves in
 * read. */
typedef void (*reload_read_done_t)(int result, ReloadResult *read, void *userdata);

/* done is never called before this function returns. */
int reload_reading_new(Worker *worker, const char *root, ReloadPart part, reload_read_done_t done,
                       void *userdata, ReloadReading **ret);
/* done is not called afterwards. */
ReloadReading *reload_reading_free(ReloadReading *r);
