/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One change of a tenant's nodes. */

#include <stdbool.h>

#include "daemon/fence/apply.h"
#include "policy/nodeset.h"

typedef struct Book Book;
typedef struct BufferSet BufferSet;
typedef struct Change Change;
typedef struct Foreign Foreign;

typedef struct ChangeTerms {
        bool migrate;    /* move its pages up as well, at most what the reservation has room for */
        bool usable;     /* fails where no process of the tenant could use what is opened */
        NodeSet leaving; /* what is given up: drained and measured. Of a node that another reservation keeps
                          * open only the excess is drained: what is above all that is still held there. */
} ChangeTerms;
/* What changes are made with. */
typedef struct ChangeContext {
        Book *book;
        BufferSet *buffers;
        Foreign *foreign;
} ChangeContext;

/* changed: the kernel's state was not as wanted. Called from the event loop; the Change may be freed there.
 */
typedef void (*change_done_t)(const ApplyResult *result, bool changed, void *userdata);
/* To be called within a turn of the tenant: makes its cgroup follow the ledger. */
int change_start(const ChangeContext *context, const Reservation *r, const ChangeTerms *terms,
                 change_done_t done, void *userdata, Change **ret);
Change *change_free(Change *c);
