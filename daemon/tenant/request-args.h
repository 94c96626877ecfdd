/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The arguments of a request, from the method call until the request is granted, queued or refused. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/caller/identity.h"
#include "policy/nodeset.h"
#include "policy/vouch.h"

typedef struct RequestArgs {
        char *pool;
        uint64_t size_bytes;
        IdentityQuery target;
        char *unit, *cgroup, *user; /* the strings of `target` */
        char *client;               /* the unique name of its connection */
        char *near_pci;             /* the PCI device that determines `near`; NULL: none */
        bool interactive;           /* polkit may ask the user */
        bool client_left;           /* the client disconnected during the request */
        uint64_t lease_usec, queue_usec;
        int32_t priority;
        VouchWords words; /* what the client says about the target: labels and user */
        bool has_priority, queue, migrate, exclusive, bind, with_start;
        NodeSet nodes, near;
} RequestArgs;

void request_args_clear(RequestArgs *a);
