/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who a reservation is for, and who asks for it: established by daemon/identity.c from the kernel and PID 1,
 * never taken from a client's words. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/macro.h"

#define UID_NONE ((uid_t)UINT32_MAX)

typedef struct Subject {
        char *unit;         /* as PID 1 names it; NULL for a cgroup that systemd does not own */
        char *slice;        /* the slice it is in; its ancestors follow from the name */
        char *cgroup;       /* path below the cgroup root, starts with '/'; NULL when unknown (offline) */
        uint64_t cgroup_id; /* inode of the cgroup's directory; 0 when unknown */
        char *container;    /* "RUNTIME:ID" or NULL; what root made only */
        uid_t uid;          /* the one who asks: EUID on the bus */
        char *user;         /* his name, for people to read; NULL when unknown */
        gid_t *gids;        /* his groups */
        size_t n_gids;
        uid_t unit_uid; /* the unit's User=, UID_NONE when unknown */
} Subject;

Subject *subject_free(Subject *s);
DEFINE_CLEANUP(Subject, subject_free);

int subject_copy(const Subject *s, Subject **ret);

/* It asks as that user. name may be NULL. -ENOMEM. */
int subject_become(Subject *s, uid_t uid, const char *name, const gid_t *gids, size_t n_gids);

/* Fills in `container` from unit and cgroup. Only for what root made: a name is a proof only where others
 * cannot give it. PID 1's scopes are root's, apart from those below user.slice; a scope of a user's own
 * manager is no unit of PID 1's, and is user@UID.service here. */
int subject_set_container(Subject *s);

/* Puts the name of the parent of a slice into buf ("a-b.slice" -> "a.slice" -> "-.slice") and returns it;
 * NULL at the root or for what is no slice. buf holds at least strlen(slice) + 1 bytes and may be slice
 * itself. */
char *subject_slice_parent(const char *slice, char *buf);
