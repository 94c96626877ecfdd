/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who asks, and for whom, as daemon/caller/identity.c has found. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/caller/identity-read.h"
#include "daemon/loop/worker.h"
#include "daemon/machine/names.h"
#include "policy/macro.h"
#include "policy/subject.h"

typedef struct Identity {
        Subject *subject; /* the target; where `move` is set the unit that the caller comes from */
        uid_t sender_uid; /* differs from subject->uid only with IdentityQuery.user, for_nobody and as_unit */
        bool own;
        bool in_tenant; /* the caller is in the target, a tenant below a unit: its own, where that is for the caller */
        bool move; /* to be put into a new scope in scope_slice */
        char *scope_slice;
        pid_t pid;          /* the caller; 0 unless TARGET_SELF */
        int pidfd;          /* -EBADF unless TARGET_SELF */
        uint64_t pid_start; /* when the caller started; 0: unknown */
        char *advice;       /* a sentence for a caller that may not ask for others; NULL: there is none */
} Identity;

Identity *identity_free(Identity *i);
DEFINE_CLEANUP(Identity, identity_free);

/* The subject is judged as this user. -ENOMEM. */
int identity_become_user(Subject *s, const NameRecord *user);

/* Is the caller still alive, and still in the cgroup where it was found? To be asked again after every long
 * wait. cgroup: where it must be, or below. 0: done is called later; 1: the target is not the caller itself,
 * and done is not called. */
int identity_check(const Identity *i, Worker *worker, const char *root, const char *cgroup,
                   identity_check_done_t done, void *userdata, IdentityCheck **ret);
