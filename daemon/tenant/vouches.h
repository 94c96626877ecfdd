/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was said of cgroups (policy/vouch.h), as long as they are there; on disk as well. */

#include "daemon/loop/store.h"
#include "daemon/loop/worker.h"
#include "policy/vouch.h"

typedef struct VouchSet VouchSet;

/* So many are kept, and of what others than root said so many: a machine has some hundred jobs and containers. One
 * takes 5 KiB at most. */
#define VOUCHES_MAX       4096
#define VOUCHES_USERS_MAX 2048

int vouches_new(Store *store, Worker *worker, VouchSet **ret);
/* To be called before worker_free(). What is on disk stays. */
VouchSet *vouches_free(VouchSet *s);

/* One that was on disk; takes it. */
int vouches_restore(VouchSet *s, Vouch *v);
/* Those whose cgroup has ended are forgotten soon. */
void vouches_sweep(VouchSet *s);
/* A cgroup of that path was removed. */
void vouches_removed(VouchSet *s, const char *cgroup);

/* Which one holds for a target: its own, or that of the nearest cgroup above. done is called from the event loop;
 * v: NULL where there is none, valid during the call. 1: done was called already, *ret is untouched. */
typedef struct VouchLook VouchLook;
typedef void (*vouch_found_t)(int error, const Vouch *v, void *userdata);
int vouches_find(VouchSet *s, const Subject *target, vouch_found_t done, void *userdata, VouchLook **ret);
/* done will not be called. Not after it was. */
VouchLook *vouch_look_free(VouchLook *l);

/* Keeps what is said of a target, of which nothing is kept; on disk first. -EBUSY: there are too many; -ENOENT: the
 * target has no cgroup. *ret is valid until the event loop turns. */
int vouches_keep(VouchSet *s, const Subject *target, const VouchWords *words, uid_t speaker,
                 const Vouch **ret);
