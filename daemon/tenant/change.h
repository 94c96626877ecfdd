/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Changes a tenant's nodes. */

#include <stdbool.h>

#include "daemon/fence/apply.h"
#include "policy/nodeset.h"

typedef struct Book Book;
typedef struct BufferSet BufferSet;
typedef struct Change Change;
typedef struct Foreign Foreign;

typedef struct ChangeTerms {
        bool migrate;    /* also move the tenant's pages to the nodes, up to the bytes reserved there */
        bool usable;     /* fail if a process of the tenant could not use the opened nodes */
        bool starting;   /* the unit has no cgroup yet, or perhaps still that of its last run */
        NodeSet leaving; /* nodes given up: drained and measured. From a node that another reservation
                          * keeps open, only the excess is drained: the bytes above what the tenant still
                          * holds there. */
} ChangeTerms;
/* The objects that changes use. */
typedef struct ChangeContext {
        Book *book;
        BufferSet *buffers;
        Foreign *foreign;
} ChangeContext;

/* changed: the kernel's state differed from the ledger. Called from the event loop; the callee may free the
 * Change. */
typedef void (*change_done_t)(const ApplyResult *result, bool changed, void *userdata);
/* Makes the tenant's cgroup follow the ledger. Must be called within a turn of the tenant. */
int change_start(const ChangeContext *context, const Reservation *r, const ChangeTerms *terms,
                 change_done_t done, void *userdata, Change **ret);
Change *change_free(Change *c);
