/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The target of a reservation as policy sees it when more is asked for it: its owner, with the groups of now. */

#include <sys/types.h>

typedef struct Core Core;
typedef struct Subject Subject;

typedef struct OwnerSubject OwnerSubject;

/* error < 0: the groups are not known; subject is NULL then. It is the callee's. sender_uid: who asks. The
 * OwnerSubject may be freed there. */
typedef void (*owner_subject_done_t)(int error, Subject *subject, uid_t sender_uid, void *userdata);

/* client: the name on the bus of the one who asks. done may be called before this returns; *ret is set by then. On failure done is not
 * called. */
int owner_subject_start(Core *core, const char *client, const Subject *target, owner_subject_done_t done,
                        void *userdata, OwnerSubject **ret);
OwnerSubject *owner_subject_free(OwnerSubject *o);
