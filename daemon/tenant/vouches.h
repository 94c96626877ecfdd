/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The vouches for cgroups (policy/vouch.h), also on disk, for as long as the cgroups exist. */

#include "daemon/loop/store.h"
#include "daemon/loop/worker.h"
#include "policy/vouch.h"

typedef struct VouchSet VouchSet;

/* Upper bounds of all vouches, and of those by other users than root. A machine has some hundreds of jobs
 * and containers, and a vouch takes at most 5 KiB. */
#define VOUCHES_MAX       4096
#define VOUCHES_USERS_MAX 2048

int vouches_new(Store *store, Worker *worker, VouchSet **ret);
/* Must be called before worker_free(). Files on disk stay. */
VouchSet *vouches_free(VouchSet *s);

/* Adds a vouch that was read from disk; takes ownership of v, also on failure. */
int vouches_restore(VouchSet *s, Vouch *v);
/* Starts a check that forgets all vouches whose cgroup does not exist any more. */
void vouches_sweep(VouchSet *s);
/* Must be called when a cgroup with this path was removed. */
void vouches_removed(VouchSet *s, const char *cgroup);

/* Finds the vouch that applies to a target: its own, or that of its nearest ancestor. done is called from
 * the event loop; v: valid during the call, NULL: none. 1: done has already been called, and *ret is
 * unchanged. */
typedef struct VouchLook VouchLook;
typedef void (*vouch_found_t)(int error, const Vouch *v, void *userdata);
int vouches_find(VouchSet *s, const Subject *target, vouch_found_t done, void *userdata, VouchLook **ret);
/* Cancels the search: done will not be called. Must not be called after done. */
VouchLook *vouch_look_free(VouchLook *l);

/* Stores a new vouch for a target, first on disk. -EBUSY: there are too many; -ENOENT: the target has no
 * cgroup; -EEXIST: there is already one. *ret is valid until the next iteration of the event loop. */
int vouches_keep(VouchSet *s, const Subject *target, const VouchWords *words, uid_t speaker,
                 const Vouch **ret);
