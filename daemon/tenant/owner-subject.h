/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The target of an existing reservation for a new policy decision: its owner, with the owner's current
 * groups. */

#include <sys/types.h>

typedef struct Core Core;
typedef struct Subject Subject;

typedef struct OwnerSubject OwnerSubject;

/* error < 0: the groups are not known; subject is NULL then. The callback takes ownership of subject, and
 * may free the OwnerSubject. sender_uid: the user of the caller. */
typedef void (*owner_subject_done_t)(int error, Subject *subject, uid_t sender_uid, void *userdata);

/* client: the bus name of the caller. done may be called before this returns; *ret is set by then. done is
 * not called on failure. */
int owner_subject_start(Core *core, const char *client, const Subject *target, owner_subject_done_t done,
                        void *userdata, OwnerSubject **ret);
OwnerSubject *owner_subject_free(OwnerSubject *o);
