/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The credentials of a bus client: the EUID, groups and PID that the bus driver recorded when the client
 * connected. cdmd asks the driver: sd-bus reads its augmented credentials from /proc later, so they are not
 * safe for authorization. A unique name is never reused and its credentials never change, so credentials are
 * cached. */

#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "policy/macro.h"

typedef struct Sender {
        char *name;
        uid_t uid;
        pid_t pid; /* 0: the driver does not know */
        gid_t *gids;
        size_t n_gids;
} Sender;

typedef struct SenderCache SenderCache;

int sender_cache_new(sd_bus *bus, SenderCache **ret);
SenderCache *sender_cache_free(SenderCache *c);
DEFINE_CLEANUP(SenderCache, sender_cache_free);

/* NULL: not cached. The result is valid until control returns to the event loop. */
const Sender *sender_cached(const SenderCache *c, const char *name);

/* sender is valid during the call; error < 0: a negative errno (-ENXIO: the client is gone), sender is NULL.
 */
typedef void (*sender_cb)(int error, const Sender *sender, void *userdata);
int sender_fetch(SenderCache *c, const char *name, sender_cb cb, void *userdata, sd_bus_slot **ret_slot);
