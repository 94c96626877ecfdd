/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a client asks for, as one value: from the bus until it is granted, waits or is refused. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/caller/identity.h"
#include "policy/nodeset.h"
#include "policy/vouch.h"

typedef struct RequestArgs {
        char *pool;
        uint64_t size_bytes;
        IdentityQuery target;
        char *unit, *cgroup, *user; /* what `target` points to */
        char *client;               /* its name on the bus */
        char *near_pci;             /* the PCI device that `near` follows from; NULL: none */
        bool interactive;           /* polkit may ask the user */
        bool client_left;           /* the client has left the bus since it asked */
        uint64_t lease_usec, queue_usec;
        int32_t priority;
        VouchWords words; /* in whose name */
        bool has_priority, queue, migrate, exclusive, bind, with_start;
        NodeSet nodes, near;
} RequestArgs;

void request_args_clear(RequestArgs *a);
