/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who asks, and for whom. The one who asks is the EUID that the bus vouches for. The target comes from PID 1
 * and the kernel: a client can only point at it.
 *
 * pidfd_open(2) needs no permission, so a client may hand over a stranger's pidfd. "The caller's own unit"
 * is believed only when all of these hold: the pidfd's PID is the one that the bus recorded for the sender;
 * all UIDs of that process are the sender's EUID (no set-uid program was made to ask); PID 1 says which unit
 * it is in; that unit is the user's session scope, a scope that cdmd made, or a service with that User=; and
 * the process still lived after all of that. Everything else is a request for others.
 *
 * The name of User= and the caller's own are looked up by names.c after PID 1 has answered. A User= that
 * cannot be looked up ends the request: it counts neither as the caller's nor as another's.
 *
 * A cgroup that systemd does not own is a target by its path: Subject.unit is NULL then, and slice the one
 * that it is in. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "daemon/caller/identity-value.h"
#include "daemon/caller/sender.h"
#include "daemon/loop/worker.h"
#include "daemon/machine/names.h"
#include "daemon/pid1/gate.h"
#include "daemon/pid1/unit.h"
#include "policy/macro.h"
#include "policy/subject.h"

typedef enum TargetKind { TARGET_SELF, TARGET_UNIT, TARGET_CGROUP, TARGET_PID } TargetKind;

/* As the client put it; borrowed for the time of the call. */
typedef struct IdentityQuery {
        TargetKind kind;
        const char *unit;
        const char *cgroup;
        pid_t pid;
        int pidfd;        /* of the caller; -EBADF: none. Duplicated. */
        bool scope;       /* move the caller into a scope of its own, if it may be moved */
        const char *user; /* Explain: as if this user asked (root only) */
        bool for_nobody;  /* the request has no user, and root owns what it gets */
        bool as_unit; /* Static=: as if the unit's User= asked (root only); it may have no more than a start
                           * job, and no cgroup yet */
} IdentityQuery;

typedef enum IdentityVerdict {
        IDENTITY_OK,
        IDENTITY_NO_SENDER, /* the client is gone */
        IDENTITY_NO_TARGET,
        IDENTITY_INVALID,
        IDENTITY_DENIED,
        IDENTITY_STALE,
        IDENTITY_FAILED, /* PID 1, the kernel or the name service did not answer */
} IdentityVerdict;

typedef struct IdentityLookup IdentityLookup;

/* Who is asked. Copied, but for what it points to. */
typedef struct IdentityContext {
        Gate *gate;
        SenderCache *senders;
        Names *names;
        Worker *worker;
        const char *root; /* as for process_cgroup() */
} IdentityContext;

/* message is a sentence for the user; NULL when IDENTITY_OK. identity belongs to the callee. The lookup may
 * be freed from within the callback. */
typedef void (*identity_done_t)(IdentityVerdict verdict, const char *message, Identity *identity,
                                void *userdata);

/* done may be called before this returns; *ret is set by then. On failure done is not called. */
int identity_start(const IdentityContext *context, const char *sender, const IdentityQuery *query,
                   identity_done_t done, void *userdata, IdentityLookup **ret);
IdentityLookup *identity_lookup_free(IdentityLookup *l);
DEFINE_CLEANUP(IdentityLookup, identity_lookup_free);
