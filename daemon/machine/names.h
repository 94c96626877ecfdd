/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Users and groups for the event loop. A name service can take minutes, or never answer; the event loop does
 * not wait for it, nor do the threads that write to cgroups.
 *
 * The model. A question (kind and name) is looked up on one of a few threads of its own. Equal questions are
 * one look-up; a good answer, also that there is no such name, counts for half a minute. A caller waits for
 * `patience` at most (for NAME_UID a tenth of that) and is then told -ETIMEDOUT, while the look-up goes on:
 * it occupies its thread until the name service lets go, and all threads may be occupied that way. Then
 * every new question times out.
 *
 * One user may have NAMES_CALLS_MAX questions open, which root is not held to. */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "daemon/machine/name-lookup.h"
#include "policy/macro.h"

#define NAMES_CALLS_MAX     256
#define NAMES_PATIENCE_USEC (UINT64_C(10) * 1000 * 1000) /* a D-Bus call has 25 s */

typedef struct Names Names;
typedef struct NamesCall NamesCall;

/* Runs on a thread. As name_lookup(). */
typedef int (*names_lookup_t)(const char *root, NameKind kind, const char *name, NameRecord *ret);

/* lookup: name_lookup, but for tests. */
int names_new(sd_event *event, const char *root, names_lookup_t lookup, uint64_t patience_usec, Names **ret);
/* Does not wait for look-ups: their threads are left to themselves. All calls must have been freed. */
Names *names_free(Names *n);
/* Returns true if a lookup was still running. Its thread may hold library locks that exit(3) takes: use
 * _exit(2). */
bool names_are_left(void);
DEFINE_CLEANUP(Names, names_free);

/* error as of name_lookup(), or -ETIMEDOUT. record is valid during the call, NULL when error < 0. The call
 * is over; its NamesCall is freed. */
typedef void (*names_done_t)(int error, const NameRecord *record, void *userdata);

/* 1: done was called, *ret is untouched; 0: it will be. -EBUSY: asker has too many questions open, or there
 * are too many altogether. */
int names_ask(Names *n, NameKind kind, const char *name, uid_t asker, names_done_t done, void *userdata,
              NamesCall **ret);
/* done will not be called. */
NamesCall *names_call_free(NamesCall *c);
DEFINE_CLEANUP(NamesCall, names_call_free);

/* Drops all cached answers. */
void names_forget(Names *n);
