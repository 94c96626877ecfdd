/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Determines the caller and the target of a request. The caller is the EUID recorded by the bus driver. What
 * is known about the target comes from PID 1 and the kernel: a client can only name it.
 *
 * pidfd_open(2) needs no permission, so a client may pass the pidfd of another user's process. A unit counts
 * as the caller's own only if all of these hold: the PID of the pidfd is the one that the bus driver
 * recorded for the sender; all UIDs of that process equal the sender's EUID (a set-user-ID program was not
 * tricked into asking); PID 1 says that the process is in the unit; the unit is a session scope of the user,
 * a scope that cdmd made, or a service with this User=; and the process is still alive after all these
 * checks. Everything else is a request for others.
 *
 * names.c looks up User= and the name of the caller after PID 1 has replied. If the lookup of User= fails,
 * the request fails: the unit counts neither as the caller's own nor as another user's.
 *
 * A foreign cgroup, which systemd does not own, is identified by its path: Subject.unit is NULL, and
 * Subject.slice is the slice that contains the cgroup. */

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

/* The query of the client; the strings are borrowed during the call. */
typedef struct IdentityQuery {
        TargetKind kind;
        const char *unit;
        const char *cgroup;
        pid_t pid;
        int pidfd;        /* of the caller; -EBADF: none. Duplicated. */
        bool scope;       /* move the caller into a new scope, if it may be moved */
        const char *user; /* Explain: as if this user asked (root only) */
        bool for_nobody;  /* the request has no user, and root owns the reservation */
        bool as_unit; /* Static=: as if the unit's User= asked (root only); the unit may have only a start
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

/* The services that a lookup asks. The struct is copied, not what it points to. */
typedef struct IdentityContext {
        Gate *gate;
        SenderCache *senders;
        Names *names;
        Worker *worker;
        const char *root; /* as for process_cgroup() */
} IdentityContext;

/* message is a sentence for the user; NULL with IDENTITY_OK. The callee owns identity. The lookup may be
 * freed from within the callback. */
typedef void (*identity_done_t)(IdentityVerdict verdict, const char *message, Identity *identity,
                                void *userdata);

/* done may be called before this function returns; *ret is set first. On failure done is not called. */
int identity_start(const IdentityContext *context, const char *sender, const IdentityQuery *query,
                   identity_done_t done, void *userdata, IdentityLookup **ret);
IdentityLookup *identity_lookup_free(IdentityLookup *l);
DEFINE_CLEANUP(IdentityLookup, identity_lookup_free);
