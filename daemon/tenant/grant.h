/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From the permission to open nodes. */

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
/* What is under way stays as it is on disk, and nobody is answered. */
GrantSet *grants_free(GrantSet *s);

/* Takes identity; args stay the caller's, until done or grant_abandon(). authorised: the
 * caller may have what policy allows. *ret is set before
 * done is called; done frees the Grant. */
typedef void (*grant_done_t)(const Answer *answer, uint32_t id, void *userdata);
int grant_start(GrantSet *s, Identity *identity, const RequestArgs *args, bool authorised, grant_done_t done,
                void *userdata, Grant **ret);
/* Drops interest of the caller; what is under way goes on and is undone if nobody wants it. */
void grant_abandon(Grant *g);
/* One that waited, and is out of the queue: it gets what was decided. Takes identity. */
void grant_waiting(GrantSet *s, Entry *e, Identity *identity, const Decision *d);
