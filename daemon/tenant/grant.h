/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Grants requests: from the permission until the nodes are open. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/caller/identity.h"
#include "daemon/tenant/request-args.h"
#include "policy/decide.h"

typedef struct Answer Answer;
typedef struct Book Book;
typedef struct ChangeContext ChangeContext;
typedef struct Degrades Degrades;
typedef struct Entry Entry;
typedef struct Grant Grant;
typedef struct GrantSet GrantSet;
typedef struct HoldSet HoldSet;
typedef struct Leases Leases;
typedef struct Releases Releases;
typedef struct Waiters Waiters;

typedef struct GrantContext {
        Book *book;
        const ChangeContext *changes;
        Degrades *degrades;
        HoldSet *holds;
        Leases *leases;
        Releases *releases;
        Waiters *waiters;
} GrantContext;

int grants_new(const GrantContext *context, GrantSet **ret);
/* Grants in flight stay on disk as they are, and their callbacks are not called. */
GrantSet *grants_free(GrantSet *s);

/* Takes ownership of identity, also on failure. args are borrowed until done or grant_abandon(). authorised:
 * the caller may have what policy allows. done is called from the event loop, after *ret was set; the Grant
 * then frees itself. */
typedef void (*grant_done_t)(const Answer *answer, uint32_t id, void *userdata);
int grant_start(GrantSet *s, Identity *identity, const RequestArgs *args, bool authorised, grant_done_t done,
                void *userdata, Grant **ret);
/* done will not be called. A grant that is not decided yet ends; any other continues. */
void grant_abandon(Grant *g);
/* Grants a waiting reservation that was taken from the queue, as decided. Takes ownership of identity. */
void grant_waiting(GrantSet *s, Entry *e, Identity *identity, const Decision *d);
