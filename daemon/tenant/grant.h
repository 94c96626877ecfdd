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
typedef struct Entry Entry;
typedef struct Grant Grant;

/* Takes identity; args stay the caller's, until done or grant_abandon(). authorised: the
 * caller may have what policy allows. *ret is set before
 * done is called; done frees the Grant. */
typedef void (*grant_done_t)(const Answer *answer, uint32_t id, void *userdata);
int grant_start(Book *book, Identity *identity, const RequestArgs *args, bool authorised, grant_done_t done,
                void *userdata, Grant **ret);
/* Drops interest of the caller; what is under way goes on and is undone if nobody wants it. */
void grant_abandon(Grant *g);
void grants_free(Book *book);
/* One that waited, and is out of the queue: it gets what was decided. Takes identity. */
void grant_waiting(Entry *e, Identity *identity, const Decision *d);
