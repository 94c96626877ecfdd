/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Users and groups for the event loop. A name service can take minutes, or never reply. Neither the event
 * loop nor the threads that write to cgroups wait for it.
 *
 * The model. A question (kind and name) is looked up on one of a few separate threads. Equal questions share
 * one lookup. An answer, including "no such name", is cached for half a minute. A caller waits for at most
 * `patience` (for NAME_UID a tenth of that) and then gets -ETIMEDOUT, while the lookup continues: it blocks
 * its thread until the name service replies. If all threads are blocked, every new question times out.
 *
 * A user may have at most NAMES_CALLS_MAX open questions; root is not limited. */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "daemon/machine/name-lookup.h"
#include "policy/macro.h"

#define NAMES_CALLS_MAX     256
#define NAMES_PATIENCE_USEC (UINT64_C(10) * 1000 * 1000) /* a D-Bus call has 25 s */

typedef struct Names Names;
typedef struct NamesCall NamesCall;

/* Runs on a thread. Contract as for name_lookup(). */
typedef int (*names_lookup_t)(const char *root, NameKind kind, const char *name, NameRecord *ret);

/* lookup: name_lookup(), except in tests. */
int names_new(sd_event *event, const char *root, names_lookup_t lookup, uint64_t patience_usec, Names **ret);
/* Frees the remaining calls, which must not be used afterwards. Does not wait for lookups in flight. */
Names *names_free(Names *n);
/* Returns true if a lookup was still running. Its thread may hold library locks that exit(3) takes: use
 * _exit(2). */
bool names_are_left(void);
DEFINE_CLEANUP(Names, names_free);

/* error: the result of name_lookup(), or -ETIMEDOUT. record is valid during the call, and NULL if error < 0.
 * The NamesCall has already been freed. */
typedef void (*names_done_t)(int error, const NameRecord *record, void *userdata);

/* Returns 1 if done has been called and *ret is untouched, 0 if done will be called. -EBUSY: asker has too
 * many open questions, or there are too many in total. */
int names_ask(Names *n, NameKind kind, const char *name, uid_t asker, names_done_t done, void *userdata,
              NamesCall **ret);
/* done will not be called. */
NamesCall *names_call_free(NamesCall *c);
DEFINE_CLEANUP(NamesCall, names_call_free);

/* Drops all cached answers. */
void names_forget(Names *n);
