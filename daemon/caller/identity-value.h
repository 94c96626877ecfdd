/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The caller and the target of a request, as determined by daemon/caller/identity.c. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/caller/identity-read.h"
#include "daemon/loop/worker.h"
#include "daemon/machine/names.h"
#include "policy/macro.h"
#include "policy/subject.h"

typedef struct Identity {
        Subject *subject; /* the target; with `move`, the unit that the caller leaves */
        uid_t sender_uid; /* differs from subject->uid only with IdentityQuery.user, for_nobody and as_unit */
        bool own;
        bool in_tenant; /* the caller is in the target, a subtenant; who may use it is decided later */
        bool move;      /* the caller moves into a new scope in scope_slice */
        char *scope_slice;
        pid_t pid;          /* the caller; 0 unless TARGET_SELF */
        int pidfd;          /* -EBADF unless TARGET_SELF */
        uint64_t pid_start; /* start time of the caller; 0: unknown */
        char *advice;       /* a sentence for a caller that may not ask for others; NULL: none */
} Identity;

Identity *identity_free(Identity *i);
DEFINE_CLEANUP(Identity, identity_free);

/* Makes policy judge the subject as this user. Fails with -ENOMEM. */
int identity_become_user(Subject *s, const NameRecord *user);

/* Checks that the caller is still alive and still in `cgroup` or below. Must be repeated after every long
 * wait. Returns 0 if done is called later, 1 if the target is not the caller itself: then done is not
 * called. */
int identity_check(const Identity *i, Worker *worker, const char *root, const char *cgroup, done_t done,
                   void *userdata, IdentityCheck **ret);
